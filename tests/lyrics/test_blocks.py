from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from msd_spark.lyrics import blocks as bag_files
from msd_spark.lyrics.blocks import ParsedBlock, parse_block, read_blocks
from tests.support.lyric_samples import track

WORDS = ["i", "don\x92t", "a\x85b", "\u201cyeah\u201d", "the"]
HEADER = "%" + ",".join(WORDS)


def read(path: Path) -> tuple[list[str], list[ParsedBlock]]:
    words, blocks = read_blocks(str(path), "train")
    return words, [parse_block(block, len(words)) for block in blocks]


def written(folder: Path, text: str | bytes, name: str = "bags.txt") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def tracks(blocks: list[ParsedBlock]) -> list[str]:
    return [name.decode() for block in blocks for name in block.bags.track_ids.tolist()]


def rejected(blocks: list[ParsedBlock]) -> list[tuple[str, str | None]]:
    return [(rejection.reason, rejection.member) for block in blocks for _, rejection in block.rejections]


def test_comments_and_empty_lines_are_skipped_and_words_keep_unusual_line_separators(tmp_path: Path) -> None:
    text = f"# one\n\n# two\n{HEADER}\n{track(1)},5,1:2,3:1\n\n# three\n{track(2)},0,5:9\n"
    words, blocks = read(written(tmp_path, text))
    assert words == WORDS
    assert tracks(blocks) == [track(1), track(2)]
    assert blocks[0].bags.musixmatch_ids.tolist() == [5, 0]
    assert blocks[0].bag_lines.tolist() == [5, 8]
    assert rejected(blocks) == []


def test_a_truncated_last_line_is_rejected_even_if_it_is_valid(tmp_path: Path) -> None:
    text = f"{HEADER}\n{track(1)},5,1:2\n{track(2)},5,1:2,3:1"
    for cut in range(1, len(f"{track(2)},5,1:2,3:1") + 1):
        end = len(text) - len(f"{track(2)},5,1:2,3:1") + cut
        _, blocks = read(written(tmp_path, text[:end]))
        assert tracks(blocks) == [track(1)]
        assert rejected(blocks) == [("truncated_line", "line 3")]


def test_lines_may_end_with_carriage_return_and_line_feed(tmp_path: Path) -> None:
    text = f"# one\n\n{HEADER}\n{track(1)},5,1:2\n\n{track(2)},0,5:9\n{track(3)},0,6:9\n"
    words, blocks = read(written(tmp_path, text.replace("\n", "\r\n")))
    assert words == WORDS
    assert tracks(blocks) == [track(1), track(2)]
    assert rejected(blocks) == [("unknown_word", "line 7")]


def test_a_single_carriage_return_does_not_end_a_line(tmp_path: Path) -> None:
    _, blocks = read(written(tmp_path, f"{HEADER}\n{track(1)},5,1:2\r\n"))
    assert rejected(blocks) == [("bad_count", "line 2")]


def test_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    words, blocks = read(written(tmp_path, b"\xef\xbb\xbf" + f"{HEADER}\n{track(1)},5,1:2\n".encode()))
    assert words == WORDS
    assert tracks(blocks) == [track(1)]


def test_bytes_that_are_not_utf_8_reject_only_their_line(tmp_path: Path) -> None:
    text = f"{HEADER}\n{track(1)},5,1:2\n".encode() + b"\xff\xfe,5,1:2\n" + f"{track(2)},5,1:2\n".encode()
    _, blocks = read(written(tmp_path, text))
    assert tracks(blocks) == [track(1), track(2)]
    assert rejected(blocks) == [("bad_track_id", "line 3")]


def test_concatenated_files_with_the_same_words_are_read_as_one(tmp_path: Path) -> None:
    part = f"# part\n{HEADER}\n{track(1)},5,1:2\n"
    _, blocks = read(written(tmp_path, part + part.replace(track(1), track(2))))
    assert tracks(blocks) == [track(1), track(2)]


@pytest.mark.parametrize("packing", ["plain", "gzip", "zip"])
def test_packed_files_are_read(tmp_path: Path, packing: str) -> None:
    text = f"{HEADER}\n{track(1)},5,1:2\n".encode()
    path = written(tmp_path, gzip.compress(text) if packing == "gzip" else text, "mxm_dataset_train.txt.zip")
    if packing == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("mxm_dataset_train.txt", text)
    assert tracks(read(path)[1]) == [track(1)]


LINES = st.lists(
    st.sampled_from(["", "# comment", HEADER, "nonsense", f"{track(7)},1,1:1", f"{track(8)},22,2:1,4:3", "\x85,1"])
)


@given(LINES, st.integers(1, 90), st.booleans(), st.sampled_from(["\n", "\r\n"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_size_of_blocks_does_not_change_the_result(
    tmp_path: Path, lines: list[str], size: int, ended: bool, end: str
) -> None:
    text = end.join(["# first", HEADER, *lines, f"{track(9)},1,1:1"]) + end * ended
    path = written(tmp_path, text)
    _, whole = read(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bag_files, "BLOCK_BYTES", size)
        _, parts = read(path)
    assert tracks(parts) == tracks(whole)
    assert rejected(parts) == rejected(whole)
    assert [line for block in parts for line in block.bag_lines] == [
        line for block in whole for line in block.bag_lines
    ]
