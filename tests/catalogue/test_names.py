"""Spellings of names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msd_spark.catalogue.names import base_title, display_name, fold, search_words, without_guests, without_ignored

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Björk à la Ñandú", [["bjork"], ["a"], ["la"], ["nandu"]]),
        ("ＡＣ／ＤＣ", [["ac", "dc"]]),
        ("Don't, don’t & don`t", [["dont"], ["dont"], ["dont"]]),
        ("Æther, Łódź, Straße", [["aether"], ["lodz"], ["strasse"]]),
        ("Ke$ha + 1", [["ke", "ha"], ["1"]]),
        ("Кино", [["кино"]]),
        ("???", [["???"]]),
        ("", []),
    ],
)
def test_words_have_no_case_width_accents_and_punctuation(text: str, words: list[list[str]]) -> None:
    assert search_words(text) == words


@given(TEXT)
def test_folding_twice_changes_nothing(text: str) -> None:
    folded = fold(text)
    assert fold(folded) == folded


@given(TEXT)
def test_every_text_with_a_visible_character_has_words_without_spaces(text: str) -> None:
    words = [part for parts in search_words(text) for part in parts]
    assert bool(words) == bool(text.split())
    assert all(len(word.split()) == 1 for word in words)


def test_ignored_words_remain_if_there_are_no_others() -> None:
    assert without_ignored(["the", "beatles"]) == ["beatles"]
    assert without_ignored(["the", "the"]) == ["the", "the"]


@pytest.mark.parametrize(
    ("title", "base"),
    [
        ("Hurt (Live)", "Hurt"),
        ("Hurt [Remastered] (Live)", "Hurt"),
        ("Hurt - Live", "Hurt"),
        ("Crazy In Love feat. Jay-Z", "Crazy In Love"),
        ("(Live)", "(Live)"),
        ("Twenty-One", "Twenty-One"),
        (" ", " "),
    ],
)
def test_a_title_without_its_version(title: str, base: str) -> None:
    assert base_title(title) == base


def test_names_without_guests_and_with_unknown_parts() -> None:
    assert without_guests("Beyoncé (feat. Jay-Z)") == "Beyoncé"
    assert without_guests("feat. Nobody") == "feat. Nobody"
    assert display_name(None, "Alone") == "? - Alone"
    assert display_name(float("nan"), None) == "? - ?"
