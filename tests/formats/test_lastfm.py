from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msd_spark.formats.lastfm import EntryError, merge_tags, normalise_tag, parse_entry, parse_score

TRACK = "TRMGGDX128F4234184"
NAME = f"lastfm_test/M/G/G/{TRACK}.json"


def entry(tags: Any, **other: Any) -> bytes:
    return json.dumps({"artist": "Yma Sumac", "similars": [], "tags": tags, "track_id": TRACK} | other).encode()


@pytest.mark.parametrize(
    ("tag", "normalised"),
    [
        ("Rock", "rock"),
        ("  Hip \t Hop\n", "hip hop"),
        ("ＪＰＯＰ", "jpop"),
        ("cafe\u0301", "café"),
        ("CAFÉ", "café"),
        ("Straße", "strasse"),
        ("ﬁne\u00a0tune", "fine tune"),
        ("\u2003", ""),
        ("", ""),
        ("a\ud800b", "a\ufffdb"),
        ("\ud83c\udfb8", "\U0001f3b8"),  # two halves of one character
    ],
)
def test_spellings_of_a_tag(tag: str, normalised: str) -> None:
    assert normalise_tag(tag) == normalised


@given(st.text(st.characters()))
def test_a_normalised_tag_stays_as_it_is(tag: str) -> None:
    once = normalise_tag(tag)
    assert normalise_tag(once) == once
    assert once == " ".join(once.split())
    once.encode()


@given(st.text(st.characters(max_codepoint=0x2FF)))
def test_upper_and_lower_case_are_the_same_tag(tag: str) -> None:
    assert normalise_tag(tag.upper()) == normalise_tag(tag.upper().lower())


def test_tags_that_become_equal_are_merged_with_the_greatest_score() -> None:
    tags = [("Rock", 20.0), ("rock ", 80.0), ("ROCK", 3.0), ("jazz", 0.0), (" ", 9.0)]
    assert merge_tags(tags) == ({"rock": 80.0, "jazz": 0.0}, 1)


def test_an_entry_of_the_official_form() -> None:
    read = parse_entry(entry([["Exotica", "100"], ["Peru", "7"], ["", "3"]]), NAME)
    assert (read.track_id, read.tags) == (TRACK, {"exotica": 100.0, "peru": 7.0})
    assert (read.given, read.empty) == (3, 1)
    assert parse_entry(entry([]), NAME).tags == {}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not_json"),
        (b'{"track_id": "TRMGG', "not_json"),
        (b"\xff\xfe{", "not_json"),
        (b"\x80abc", "not_json"),
        (b"[" * 200_000, "not_json"),
        (b"9" * 5000, "not_json"),
        (b"[]", "wrong_type"),
        (b"null", "wrong_type"),
        (entry(None), "wrong_type"),
        (entry({"rock": "100"}), "wrong_type"),
        (entry(["rock"]), "wrong_type"),
        (entry([["rock"]]), "wrong_type"),
        (entry([["rock", "100", 1]]), "wrong_type"),
        (entry([[1, "100"]]), "wrong_type"),
        (entry([["rock", "101"]]), "bad_score"),
        (entry([["rock", "many"]]), "bad_score"),
        (entry([["rock", None]]), "bad_score"),
        (entry([], track_id="SOAAAAAAAAAAAAAAAA"), "bad_track_id"),
        (entry([], track_id=7), "bad_track_id"),
        (entry([], track_id="TRMGGDX128F4234185"), "track_id_mismatch"),
        (b"{}", "bad_track_id"),
    ],
)
def test_entries_that_are_none(content: bytes, reason: str) -> None:
    with pytest.raises(EntryError) as caught:
        parse_entry(content, NAME)
    assert caught.value.reason == reason


@pytest.mark.parametrize(("value", "score"), [("0", 0.0), ("100", 100.0), (100.0, 100.0), (7, 7.0), ("66.5", 66.5)])
def test_scores(value: Any, score: float) -> None:
    assert parse_score(value) == score


@pytest.mark.parametrize("value", [-1, "-1", 100.5, "1e9", "nan", float("nan"), 10**400, True, "", "１", [], b"5"])
def test_what_is_no_score(value: Any) -> None:
    with pytest.raises(EntryError, match="bad_score"):
        parse_score(value)


@given(
    st.binary(max_size=60)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ).map(lambda tags: json.dumps({"track_id": TRACK, "tags": tags}).encode())
)
def test_whatever_a_file_holds_is_an_entry_or_says_why_not(content: bytes) -> None:
    try:
        read = parse_entry(content, NAME)
    except EntryError:
        return
    assert all(0 <= score <= 100 for score in read.tags.values())
