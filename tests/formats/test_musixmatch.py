from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msd_spark.formats.musixmatch import BagOfWordsError, parse_bag, parse_reverse_mapping, parse_words

TRACK = "TRAAAAV128F421A322"
INT32_MAX = 2**31 - 1


def test_a_line_of_the_official_file() -> None:
    bag = parse_bag("TRAAAAV128F421A322,4623710,1:6,2:4,17:1,4988:2", 5000)
    assert bag.track_id == TRACK
    assert bag.musixmatch_id == 4623710
    assert bag.indices.tolist() == [1, 2, 17, 4988]
    assert bag.counts.tolist() == [6, 4, 1, 2]
    assert bag.indices.dtype == bag.counts.dtype == np.int32


def test_the_first_and_the_last_word_are_words() -> None:
    assert parse_bag(f"{TRACK},1,1:1,5:1", 5).indices.tolist() == [1, 5]


def test_the_greatest_count_is_a_count() -> None:
    assert parse_bag(f"{TRACK},1,1:{INT32_MAX}", 5).counts.tolist() == [INT32_MAX]


@given(
    track_id=st.from_regex(r"TR[A-Z0-9]{16}", fullmatch=True),
    musixmatch_id=st.integers(0, 2**63 - 1),
    words=st.dictionaries(st.integers(1, 5000), st.integers(1, INT32_MAX), min_size=1, max_size=80),
)
def test_every_bag_comes_back_from_its_line(track_id: str, musixmatch_id: int, words: dict[int, int]) -> None:
    line = ",".join([track_id, str(musixmatch_id), *(f"{index}:{count}" for index, count in words.items())])
    bag = parse_bag(line, 5000)
    assert (bag.track_id, bag.musixmatch_id) == (track_id, musixmatch_id)
    assert dict(zip(bag.indices.tolist(), bag.counts.tolist(), strict=True)) == words


def test_words_keep_their_control_characters_and_quotes_but_no_blanks() -> None:
    assert parse_words("% i, the,don\x92t,\u201cyeah\u201d,a\x85b,\x85\t") == [
        "i",
        "the",
        "don\x92t",
        "\u201cyeah\u201d",
        "a\x85b",
        "\x85",
    ]


def test_only_the_first_per_cent_sign_is_no_word() -> None:
    assert parse_words("%100%,%") == ["100%", "%"]


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters=", \t\n"), min_size=1), min_size=1))
def test_every_list_of_words_comes_back_from_its_line(words: list[str]) -> None:
    assert parse_words("%" + ",".join(words)) == words


def test_reverse_mapping_splits_at_the_first_separator_and_passes_over_empty_lines() -> None:
    lines = ["happi<SEP>happy", "", "a<SEP>b<SEP>c", "x<SEP>"]
    assert parse_reverse_mapping(lines) == {"happi": "happy", "a": "b<SEP>c", "x": ""}


@pytest.mark.parametrize(
    ("line", "reason", "named"),
    [
        ("", "bad_track_id", "''"),
        ("TRAAAAV128F421A32,1,1:1", "bad_track_id", "'TRAAAAV128F421A32'"),
        ("traaaav128f421a322,1,1:1", "bad_track_id", "'traaaav128f421a322'"),
        (f" {TRACK},1,1:1", "bad_track_id", f"' {TRACK}'"),
        ("x" * 1000, "bad_track_id", f"'{'x' * 40}'"),
        (TRACK, "bad_musixmatch_id", TRACK),
        (f"{TRACK},,1:1", "bad_musixmatch_id", TRACK),
        (f"{TRACK},-1,1:1", "bad_musixmatch_id", "'-1'"),
        (f"{TRACK},1:1,2:1", "bad_musixmatch_id", "'1:1'"),
        (f"{TRACK},\u0661,1:1", "bad_musixmatch_id", "'\u0661'"),
        (f"{TRACK},\u00b2,1:1", "bad_musixmatch_id", TRACK),
        (f"{TRACK},1", "bad_count", TRACK),
        (f"{TRACK},1,", "bad_count", TRACK),
        (f"{TRACK},1,1:1,", "bad_count", "''"),
        (f"{TRACK},1,1", "bad_count", "'1'"),
        (f"{TRACK},1,1:", "bad_count", "'1:'"),
        (f"{TRACK},1,0:1", "bad_count", "'0:1'"),
        (f"{TRACK},1,1:0", "bad_count", "'1:0'"),
        (f"{TRACK},1,1:-2", "bad_count", "'1:-2'"),
        (f"{TRACK},1,1:1.5", "bad_count", "'1:1.5'"),
        (f"{TRACK},1,1:1:1", "bad_count", "'1:1:1'"),
        (f"{TRACK},1,1: 1", "bad_count", "'1: 1'"),
        (f"{TRACK},1,1:1\r", "bad_count", "'1:1\\r'"),
        (f"{TRACK},1,01:1", "bad_count", "'01:1'"),
        (f"{TRACK},1,1:{2**31}", "bad_count", str(2**31)),
        (f"{TRACK},1,6:1", "unknown_word", "word 6 of 5"),
        (f"{TRACK},1,2:1,3:1,2:4", "repeated_word", TRACK),
    ],
)
def test_lines_that_are_no_bag_of_words(line: str, reason: str, named: str) -> None:
    with pytest.raises(BagOfWordsError) as caught:
        parse_bag(line, 5)
    assert caught.value.reason == reason
    assert named in caught.value.detail
    assert str(caught.value) == f"{reason}: {caught.value.detail}"
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 150


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        pytest.param(f"{TRACK},1,{10**30}:1", "unknown_word", id="an index beyond int64: OverflowError"),
        pytest.param(f"{TRACK},1,1:{10**30}", "bad_count", id="a count beyond int64: OverflowError"),
        pytest.param(f"{TRACK},1,1:{'9' * 5000}", "bad_count", id="more digits than int() takes: ValueError"),
        pytest.param(f"{TRACK},{'9' * 5000},1:1", "bad_musixmatch_id", id="the same in the id: ValueError"),
        pytest.param(f"{TRACK},{2**63},1:1", "bad_musixmatch_id", id="an id that the column cannot hold: accepted"),
        pytest.param(f"{TRACK},1,1\u0662:1", "bad_count", id="digits of another script: accepted as 12"),
    ],
)
def test_numbers_that_no_column_holds(line: str, reason: str) -> None:
    with pytest.raises(BagOfWordsError) as caught:
        parse_bag(line, 50)
    assert caught.value.reason == reason


@pytest.mark.parametrize("line", ["", "i,the,you", "# %i,the", " %i", "\ufeff%i"])
def test_lines_that_are_no_list_of_words(line: str) -> None:
    with pytest.raises(ValueError, match="begins with %") as caught:
        parse_words(line)
    assert repr(line[:10]) in str(caught.value)


def test_a_mapping_without_its_separator() -> None:
    with pytest.raises(ValueError, match="line 3 has no <SEP>: 'happi;happy'"):
        parse_reverse_mapping(["a<SEP>b", "", "happi;happy"])
