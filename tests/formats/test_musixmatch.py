from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from msd_spark.formats.musixmatch import parse_bag, parse_reverse_mapping, parse_words

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


def test_words_keep_their_control_characters_quotes_and_blanks() -> None:
    assert parse_words("%i,the,don\x92t,\u201cyeah\u201d,a\x85b, x") == [
        "i",
        "the",
        "don\x92t",
        "\u201cyeah\u201d",
        "a\x85b",
        " x",
    ]


def test_only_the_first_per_cent_sign_is_no_word() -> None:
    assert parse_words("%100%,%") == ["100%", "%"]


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters=",\n"), min_size=1), min_size=1))
def test_every_list_of_words_comes_back_from_its_line(words: list[str]) -> None:
    assert parse_words("%" + ",".join(words)) == words


def test_reverse_mapping_splits_at_the_first_separator_and_passes_over_empty_lines() -> None:
    lines = ["happi<SEP>happy", "", "a<SEP>b<SEP>c", "x<SEP>"]
    assert parse_reverse_mapping(lines) == {"happi": "happy", "a": "b<SEP>c", "x": ""}
