from __future__ import annotations

import gzip
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msd_spark.core.errors import UserError
from msd_spark.io.byte_ranges import LONGEST_LINE, ByteRange, cut_into_ranges, read_lines_of

content_of_lines = st.lists(st.sampled_from([b"", b"a", b"bc", b"\r", b"x" * 9, b"\x85\x0b"]), max_size=12).map(
    b"\n".join
)


def read(path: Path, range_bytes: int, block_bytes: int) -> list[tuple[int, bytes, bool]]:
    """Return each line of a file, by its number from 1, read range by range."""
    found, before = [], 0
    for part in cut_into_ranges(str(path), range_bytes):
        n_lines = 0
        for lines in read_lines_of(part, block_bytes):
            assert lines.first == n_lines
            each = lines.content.removesuffix(b"\n").split(b"\n")
            for number, line in enumerate(each, 1):
                found.append((before + lines.first + number, line, lines.ended or number < len(each)))
            n_lines += len(each)
        before += n_lines
    return found


@given(content_of_lines, st.integers(1, 30), st.integers(1, 12), st.booleans())
def test_every_line_is_in_one_range_with_its_number(
    content: bytes, range_bytes: int, block_bytes: int, ends: bool
) -> None:
    content += b"\n" * ends
    *whole, rest = content.split(b"\n")
    wanted = [(number, line, True) for number, line in enumerate(whole, 1)]
    if rest:
        wanted.append((len(whole) + 1, rest, False))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "lines.txt")
        path.write_bytes(content)
        assert read(path, range_bytes, block_bytes) == wanted


def test_a_line_without_end_is_not_held_in_memory_and_the_next_one_is_found(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_bytes(b"first\n" + b"x" * 300_000 + b"\nlast\n")
    found = read(path, 1000, 512)
    assert [(number, line[:5], ended) for number, line, ended in found] == [
        (1, b"first", True),
        (2, b"xxxxx", True),
        (3, b"last", True),
    ]
    assert LONGEST_LINE <= len(found[1][1]) < 100_000


def test_a_compressed_file_is_one_range(tmp_path: Path) -> None:
    content = b"".join(b"line %d\n" % number for number in range(2000))
    (tmp_path / "lines.txt.gz").write_bytes(gzip.compress(content))
    with zipfile.ZipFile(tmp_path / "lines.txt.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train_triplets.txt", content)
    wanted = [(number, b"line %d" % (number - 1), True) for number in range(1, 2001)]
    (tmp_path / "lines.txt").write_bytes(gzip.compress(content))  # the content decides, not the name
    for name in ("lines.txt.gz", "lines.txt.zip", "lines.txt"):
        assert cut_into_ranges(str(tmp_path / name)) == [ByteRange(str(tmp_path / name), 0, 0, -1)]
        assert read(tmp_path / name, 100, 64) == wanted


def test_a_plain_file_with_the_name_of_a_compressed_one_is_split(tmp_path: Path) -> None:
    (tmp_path / "lines.txt.gz").write_bytes(b"first\nlast\n")
    assert len(cut_into_ranges(str(tmp_path / "lines.txt.gz"), 6)) == 2
    assert read(tmp_path / "lines.txt.gz", 6, 64) == [(1, b"first", True), (2, b"last", True)]


def test_damaged_and_unclear_archives_are_refused(tmp_path: Path) -> None:
    whole = gzip.compress(b"line\n" * 5000)
    (tmp_path / "cut.gz").write_bytes(whole[:-9])
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.txt", "a\n")
        archive.writestr("b.txt", "b\n")
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr("a.txt", "some lines\n" * 10)
    content = (tmp_path / "bad.zip").read_bytes()
    (tmp_path / "bad.zip").write_bytes(content.replace(b"some lines", b"same lines", 1))
    for name, message in (
        ("cut.gz", "cut.gz is damaged"),
        ("bad.zip", "bad.zip is damaged: Bad CRC-32"),
        ("two.zip", r"two.zip holds 2 files \(a.txt, b.txt\), not one; unpack it"),
    ):
        with pytest.raises(UserError, match=message):
            read(tmp_path / name, 100, 64)


def test_a_file_that_is_not_there_and_one_with_nothing_in_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no file .*none\.txt"):
        cut_into_ranges(str(tmp_path / "none.txt"))
    (tmp_path / "empty.txt").touch()
    assert cut_into_ranges(str(tmp_path / "empty.txt")) == []
