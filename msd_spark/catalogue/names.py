"""Find a song by track id, or by "artist - title" in any spelling."""

from __future__ import annotations

import difflib
import unicodedata
from dataclasses import dataclass

import numpy as np
import pandas as pd

from msd_spark.catalogue.artist_groups import normalise_name

CLOSEST = 8
"""Number of suggestions if no song or several match."""

LEAST_ALIKE = 0.3
"""Smallest difflib ratio of a suggestion."""

LOOKED_AT = 2000
"""Number of songs that difflib compares, chosen by shared letter pairs, because difflib is slow."""


@dataclass(frozen=True)
class Unknown:
    """A name that matches no song, or several (`ambiguous`).

    `closest` has the rows of these songs, or of those with the most similar names.
    """

    ambiguous: bool
    closest: tuple[int, ...]


def fold_accents(text: str) -> str:
    """Return a name without its accents.

    Examples
    --------
    >>> fold_accents("beyoncé"), fold_accents("señor")
    ('beyonce', 'senor')
    """
    parts = unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFC", "".join(mark for mark in parts if unicodedata.category(mark) != "Mn"))


def display_name(artist: str | float | None, title: str | float | None) -> str:
    """Return "artist - title", with a question mark for an unknown part."""
    return " - ".join("?" if pd.isna(part) else str(part) for part in (artist, title))


def find_song(songs: pd.DataFrame, query: str) -> int | Unknown:
    """Return the row of a song, by a track id, "artist - title", or a title.

    Case, width, punctuation and white space are ignored, and accents too if no song matches with them. `songs` has
    ``track_id``, ``artist_name`` and ``title``.
    """
    by_id = np.flatnonzero(songs["track_id"].to_numpy() == query.strip())
    if len(by_id):
        return int(by_id[0])
    full = _normalised(songs, ["artist_name", "title"])
    titles = _normalised(songs, ["title"])
    name = normalise_name(query)
    for fold in (str, fold_accents):
        for names in (full, titles):
            rows = np.flatnonzero(names.map(fold).to_numpy() == fold(name))
            if len(rows) == 1:
                return int(rows[0])
            if len(rows) > 1:
                return Unknown(True, tuple(int(row) for row in rows[:CLOSEST]))
    return Unknown(False, closest_names(full.map(fold_accents), fold_accents(name)))


def closest_names(names: pd.Series, query: str) -> tuple[int, ...]:
    """Return the rows of the most similar names, best first."""
    grams = _grams(query)
    shared = names.map(lambda name: len(grams & _grams(name)) / (1 + len(name))).to_numpy()
    candidates = np.argsort(-shared, kind="stable")[:LOOKED_AT]
    matcher = difflib.SequenceMatcher(autojunk=False)
    matcher.set_seq2(query)
    ratios = []
    for row in candidates:
        matcher.set_seq1(names.iloc[row])
        ratios.append(matcher.ratio())
    order = np.argsort(-np.array(ratios), kind="stable")[:CLOSEST]
    return tuple(int(candidates[place]) for place in order if ratios[place] >= LEAST_ALIKE)


def _grams(text: str) -> set[str]:
    return {text[start : start + 2] for start in range(len(text) - 1)}


def _normalised(songs: pd.DataFrame, columns: list[str]) -> pd.Series:
    together = songs[columns[0]].fillna("").astype(str)
    for column in columns[1:]:
        together = together + " - " + songs[column].fillna("").astype(str)
    return together.map(normalise_name)
