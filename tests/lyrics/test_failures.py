"""Files that the lyrics job rejects, and its messages."""

from __future__ import annotations

from pathlib import Path

import pytest

from msd_spark.core.command_line import run_verb
from msd_spark.core.errors import UserError
from msd_spark.core.options import OptionError
from msd_spark.formats.musixmatch import parse_reverse_mapping
from msd_spark.lyrics.blocks import ParsedBlock, find_repeats, parse_block, read_blocks
from msd_spark.lyrics.job import read_bag_files, read_inputs, unstem
from msd_spark.lyrics.settings import LyricsSettings
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
    assert "has no line of words, starting with %; is it a musiXmatch file?" in refused(tmp_path, text)


def test_words_that_come_after_the_first_bag(tmp_path: Path) -> None:
    message = refused(tmp_path, f"# comment\n{LINE}%i,the\n")
    assert f"before line 2: '{LINE.strip()}'" in message


def test_a_file_truncated_in_its_words(tmp_path: Path) -> None:
    assert "is truncated in its line of words, line 2" in refused(tmp_path, "# comment\n%i,th")


def test_a_second_list_of_other_words(tmp_path: Path) -> None:
    assert "lists different words in line 4" in refused(tmp_path, f"%i,the\n{LINE}\n%i,a\n{LINE}")


def test_two_files_with_different_words_and_missing_files(tmp_path: Path) -> None:
    one, other = tmp_path / "one.txt", tmp_path / "other.txt"
    one.write_text(f"%i,the\n{LINE}")
    other.write_text(f"%i,a\n{LINE}")
    with pytest.raises(UserError, match=rf"{other} and {one} list different words; give two files of one release"):
        read_bag_files(LyricsSettings(train=str(one), test=str(other)))
    with pytest.raises(UserError, match=f"no file {tmp_path}/absent"):
        read_bag_files(LyricsSettings(train=f"{tmp_path}/absent"))
    with pytest.raises(UserError, match=f"{tmp_path} is a folder; name a file"):
        read_bag_files(LyricsSettings(train=str(tmp_path)))


def test_a_data_folder_without_lyrics(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        read_inputs(LyricsSettings(data=f"{tmp_path}/data", warehouse=f"{tmp_path}/warehouse"))
    assert f"no bags of words in {tmp_path}/data; run msd-spark fetch lyrics" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_named_files_replace_those_of_the_data_folder(generated: Path, tmp_path: Path) -> None:
    path = tmp_path / "bags.txt"
    path.write_text(f"%i,the\n{LINE}")
    inputs = read_inputs(LyricsSettings(train=str(path), data=str(generated)))
    assert inputs.words == ["i", "the"]
    assert [block.source for block in inputs.blocks] == [str(path)]
    by_default = read_inputs(LyricsSettings(data=str(generated)))
    assert {block.official_split for block in by_default.blocks} == {"train", "test"}
    assert by_default.words != by_default.stems


@pytest.mark.parametrize("value", ["0", "-1", "inf", "nan"])
def test_a_parameter_out_of_range(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run_verb("lyrics", ["--sif-a", value])
    assert caught.value.code == 2
    assert "--sif-a is" in (error := capsys.readouterr().err)
    assert "allowed: greater than 0 and finite" in error


def test_unknown_weights() -> None:
    with pytest.raises(OptionError, match="--weights is 'tf'; allowed: share, idf, sif"):
        LyricsSettings(weights="tf")


def test_a_reverse_mapping_returns_words_or_else_stems(tmp_path: Path) -> None:
    path = tmp_path / "mapping.txt"
    path.write_bytes(b"babi<SEP>babies\r\nempti<SEP>\n\ndanc<SEP>dancing\n")
    assert unstem(["danc", "empti", "babi", "x"], str(path)) == ["dancing", "empti", "babies", "x"]
    assert unstem(["danc"], None) == ["danc"]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("babi<SEP>babies\nno separator\n", "line 2 has no <SEP>: 'no separator'"),
        ("babi<SEP>babies\nbabi<SEP>baby\n", "line 2 has a second word for 'babi': 'baby' after 'babies'"),
        ("babi<SEP>babies\ndanc<SEP>danci", "is truncated: line 2 has no line feed"),
        ("x<SEP>y\n", "has none of the header's words; give mxm_reverse_mapping.txt"),
        ("", "has none of the header's words"),
    ],
)
def test_invalid_reverse_mappings(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "mapping.txt"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        unstem(["babi", "danc"], str(path))
    assert str(path) in str(caught.value)
    assert named in str(caught.value)


def test_a_repeated_line_of_the_mapping_is_accepted() -> None:
    assert parse_reverse_mapping(["a<SEP>b", "a<SEP>b"]) == {"a": "b"}


def parsed(folder: Path, name: str, text: str) -> list[ParsedBlock]:
    path = folder / name
    path.write_text(text)
    words, blocks = read_blocks(str(path), "train")
    return [parse_block(block, len(words)) for block in blocks]


def test_the_first_bag_of_a_repeated_track_is_used_and_all_lines_are_counted(tmp_path: Path) -> None:
    one = parsed(tmp_path, "one.txt", f"%i,the\n{track(1)},1,1:1\n{track(2)},1,1:1\n{track(1)},1,2:1\nbad\n")
    two = parsed(tmp_path, "two.txt", f"%i,the\nbad\n{track(3)},1,1:1\n{track(2)},1,1:1\n{track(1)},1,1:7\n")
    corpus = find_repeats([*one, *two])
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
    assert corpus.rejections[3].detail == f"{track(2)} occurs earlier, in line 3 of {tmp_path}/one.txt"
    assert corpus.rejections[4].detail == f"{track(1)} occurs earlier, in line 2 of {tmp_path}/one.txt"


def test_a_file_without_bags(tmp_path: Path) -> None:
    corpus = find_repeats(parsed(tmp_path, "none.txt", "%i,the\n"))
    assert (corpus.n_lines, corpus.n_tracks, corpus.repeats, corpus.rejections) == (0, 0, {}, [])
