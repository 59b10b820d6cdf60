from __future__ import annotations

import gzip
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msd_spark.core.errors import UserError
from msd_spark.io.lines import read_lines


def lines(content: bytes) -> list[tuple[int, str, bool]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "lines.txt")
        path.write_bytes(content)
        return list(read_lines(str(path)))


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (b"", []),
        (b"\n", [(1, "", True)]),
        (b"a\n\nb\n", [(1, "a", True), (2, "", True), (3, "b", True)]),
        (b"a\nb", [(1, "a", True), (2, "b", False)]),
        (b"a\r\nb\n", [(1, "a\r", True), (2, "b", True)]),
    ],
)
def test_lines_and_whether_they_ended(content: bytes, wanted: list[tuple[int, str, bool]]) -> None:
    assert lines(content) == wanted


def test_only_a_line_feed_ends_a_line() -> None:
    text = "a\x85b\u2028c\u2029d\x0be\x0cf\rg\x1ch"
    assert lines(text.encode() + b"\n") == [(1, text, True)]


def test_bytes_that_are_not_utf8_become_replacement_characters() -> None:
    assert lines(b"caf\xe9,x\nok\n") == [(1, "caf\ufffd,x", True), (2, "ok", True)]


@given(st.binary(max_size=200))
def test_every_byte_is_in_a_line(content: bytes) -> None:
    found = lines(content)
    assert [number for number, _, _ in found] == list(range(1, len(found) + 1))
    assert all(ended for _, _, ended in found[:-1])
    together = "".join(text + "\n" * ended for _, text, ended in found)
    assert together == b"\n".join(part for part in content.split(b"\n")).decode("utf-8", "replace")


def test_lines_longer_than_what_is_read_at_once() -> None:
    # 1 MiB is read at a time: a two-byte letter and a line feed lie across the borders.
    first, second = "a" * (2**20 - 1) + "\u00e9" * 10, "b" * (3 * 2**20)
    found = lines(f"{first}\n{second}\nend".encode())
    assert found == [(1, first, True), (2, second, True), (3, "end", False)]


def test_a_compressed_file_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt.gz"
    path.write_bytes(gzip.compress(b"%a,b\n"))
    assert "%a,b" not in [text for _, text, _ in read_lines(str(path))]


@pytest.mark.parametrize("name", ["nowhere.txt", "."])
def test_text_files_that_are_not_there(tmp_path: Path, name: str) -> None:
    location = f"{tmp_path}/{name}"
    with pytest.raises(UserError) as caught:
        list(read_lines(location))
    assert str(caught.value) == f"no file {location}"
