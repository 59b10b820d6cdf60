from __future__ import annotations

import os
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
        return [(line.number, line.text, line.ended) for line in read_lines(str(path))]


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


@given(st.binary(max_size=200))
def test_every_byte_is_in_a_line(content: bytes) -> None:
    found = lines(b"#" * 512 + b"\n" + content)[1:]  # not compressed, and no archive
    assert [number for number, _, _ in found] == list(range(2, len(found) + 2))
    assert all(ended for _, _, ended in found[:-1])

    def decoded(line: bytes) -> str:
        try:
            return line.decode()
        except UnicodeDecodeError:
            return line.decode("latin-1")

    together = "".join(text + "\n" * ended for _, text, ended in found)
    assert together == "\n".join(map(decoded, content.split(b"\n")))


def test_lines_longer_than_what_is_read_at_once() -> None:
    # 1 MiB is read at a time: a two-byte letter and a line feed lie across the borders.
    first, second = "a" * (2**20 - 1) + "\u00e9" * 10, "b" * (3 * 2**20)
    found = lines(f"{first}\n{second}\nend".encode())
    assert found == [(1, first, True), (2, second, True), (3, "end", False)]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere.txt", "no file {}"),
        (".", "{} is a folder; name a file"),
        ("pipe", "{} is a pipe or a device; name a file"),
    ],
)
def test_text_files_that_are_not_there(tmp_path: Path, name: str, message: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    location = f"{tmp_path}/{name}"
    with pytest.raises(UserError) as caught:
        list(read_lines(location))
    assert str(caught.value) == message.format(location)
