"""Files that the lyrics job cannot take, and what it says of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from msd_spark.core.errors import UserError
from msd_spark.formats.musixmatch import parse_reverse_mapping
from msd_spark.lyrics.blocks import ParsedBlock, parse_block, read_blocks
from msd_spark.lyrics.corpus import take_stock
from msd_spark.lyrics.job import LyricsSettings, read_bag_files, unstem
from tests.support.lyric_samples import track

LINE = f"{track(1)},1,1:1\n"


def refused(folder: Path, text: str) -> str:
    path = folder / "bags.txt"
    path.write_bytes(text.encode())
    with pytest.raises(UserError) as caught:
        read_blocks(str(path), "train")
    assert str(caught.value).startswith(f"{path} ")
    return str(caught.value)


@pytest.mark.parametrize("text", ["", "\n", "# comment\n", "# %i,the\n"])
def test_a_file_without_words(tmp_path: Path, text: str) -> None:
    assert "has no line of words (it begins with %); is it a musiXmatch file?" in refused(tmp_path, text)


def test_words_that_come_after_the_first_bag(tmp_path: Path) -> None:
    message = refused(tmp_path, f"# comment\n{LINE}%i,the\n")
    assert f"before line 2, '{LINE.strip()}'" in message


def test_a_file_that_ends_within_its_words(tmp_path: Path) -> None:
    assert "ends within its line of words, line 2" in refused(tmp_path, "# comment\n%i,th")


def test_a_second_list_of_other_words(tmp_path: Path) -> None:
    assert "another list of words in line 4" in refused(tmp_path, f"%i,the\n{LINE}\n%i,a\n{LINE}")


def test_two_files_of_other_words_and_no_file(tmp_path: Path) -> None:
    one, other = tmp_path / "one.txt", tmp_path / "other.txt"
    one.write_text(f"%i,the\n{LINE}")
    other.write_text(f"%i,a\n{LINE}")
    with pytest.raises(UserError, match=rf"{other} lists other words than {one}"):
        read_bag_files(LyricsSettings("unused", str(one), str(other)))
    with pytest.raises(UserError, match="give --train, --test or both"):
        read_bag_files(LyricsSettings("unused", None, None))
    with pytest.raises(UserError, match=f"lyrics: no file {tmp_path}/absent"):
        read_bag_files(LyricsSettings("unused", f"{tmp_path}/absent", None))
    with pytest.raises(UserError, match=f"lyrics: no file {tmp_path}"):
        read_bag_files(LyricsSettings("unused", str(tmp_path), None))


def test_a_reverse_mapping_gives_words_and_stems_where_it_has_none(tmp_path: Path) -> None:
    path = tmp_path / "mapping.txt"
    path.write_bytes(b"babi<SEP>babies\r\nempti<SEP>\n\ndanc<SEP>dancing\n")
    assert unstem(["danc", "empti", "babi", "x"], str(path)) == ["dancing", "empti", "babies", "x"]
    assert unstem(["danc"], None) == ["danc"]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("babi<SEP>babies\nno separator\n", "line 2 has no <SEP>: 'no separator'"),
        ("babi<SEP>babies\nbabi<SEP>baby\n", "line 2 gives 'babi' a second word, 'baby' after 'babies'"),
        ("babi<SEP>babies\ndanc<SEP>danci", "is cut off: line 2 has no line feed"),
        ("x<SEP>y\n", "has none of the header's words; give mxm_reverse_mapping.txt"),
        ("", "has none of the header's words"),
    ],
)
def test_reverse_mappings_that_are_none(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "mapping.txt"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        unstem(["babi", "danc"], str(path))
    assert str(path) in str(caught.value)
    assert named in str(caught.value)


def test_a_stem_that_is_given_the_same_word_twice_is_no_matter() -> None:
    assert parse_reverse_mapping(["a<SEP>b", "a<SEP>b"]) == {"a": "b"}


def parsed(folder: Path, name: str, text: str) -> list[ParsedBlock]:
    path = folder / name
    path.write_text(text)
    words, blocks = read_blocks(str(path), "train")
    return [parse_block(block, len(words)) for block in blocks]


def test_of_a_track_that_stands_twice_the_first_bag_counts_and_all_lines_add_up(tmp_path: Path) -> None:
    one = parsed(tmp_path, "one.txt", f"%i,the\n{track(1)},1,1:1\n{track(2)},1,1:1\n{track(1)},1,2:1\nbad\n")
    two = parsed(tmp_path, "two.txt", f"%i,the\nbad\n{track(3)},1,1:1\n{track(2)},1,1:1\n{track(1)},1,1:7\n")
    corpus = take_stock([*one, *two])
    assert corpus.repeats == {0: [2], 1: [1, 2]}
    assert (corpus.n_lines, corpus.n_tracks, len(corpus.rejections)) == (8, 3, 5)
    seen = [(item.source.rsplit("/", 1)[1], item.member, item.reason) for item in corpus.rejections]
    assert seen == [
        ("one.txt", "line 4", "repeated_track"),
        ("one.txt", "line 5", "bad_track_id"),
        ("two.txt", "line 2", "bad_track_id"),
        ("two.txt", "line 4", "repeated_track"),
        ("two.txt", "line 5", "repeated_track"),
    ]
    assert corpus.rejections[3].detail == f"{track(2)} stands in line 3 of {tmp_path}/one.txt already"
    assert corpus.rejections[4].detail == f"{track(1)} stands in line 2 of {tmp_path}/one.txt already"


def test_a_file_without_bags_is_no_bags(tmp_path: Path) -> None:
    corpus = take_stock(parsed(tmp_path, "none.txt", "%i,the\n"))
    assert (corpus.n_lines, corpus.n_tracks, corpus.repeats, corpus.rejections) == (0, 0, {}, [])
