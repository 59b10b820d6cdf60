"""What a click on a song shows: facts and neighbours, in chunks that the page loads when they are wanted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

CHUNK = 500
"""Songs of a chunk."""

PITCH_NAMES = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")
"""Names of the 12 pitch classes in the order of chroma and of ``key`` (0 is C)."""

MOST_LIKELY = 3
"""Genres of which a song's probability is told."""


def key_name(key: float | None, mode: float | None) -> str | None:
    """Return a key as musicians write it; None where it is not known.

    Examples
    --------
    >>> key_name(1, 0), key_name(10, 1), key_name(0, None)
    ('C♯ minor', 'B♭ major', 'C')
    """
    if key is None or pd.isna(key) or not 0 <= int(key) < len(PITCH_NAMES):
        return None
    name = PITCH_NAMES[int(key)]
    return name if mode is None or pd.isna(mode) else f"{name} {'major' if int(mode) else 'minor'}"


def likeliest(probabilities: np.ndarray | None, class_names: list[str]) -> list[list[Any]]:
    """Return the likeliest classes and their probabilities, the most likely one first.

    Examples
    --------
    >>> likeliest(np.array([0.1, 0.2, 0.6, 0.1]), ["Blues", "Jazz", "Rap", "Latin"])
    [['Rap', 0.6], ['Jazz', 0.2], ['Blues', 0.1]]
    """
    if probabilities is None or len(probabilities) != len(class_names):
        return []
    order = np.argsort(-probabilities, kind="stable")[:MOST_LIKELY]
    return [[class_names[place], round(float(probabilities[place]), 3)] for place in order]


def neighbour_lists(neighbours: pd.DataFrame, track_ids: pd.Series) -> tuple[list[list[list[Any]]], int]:
    """Return each song's neighbours as the page's numbers and distances, and how many are not on the page.

    Parameters
    ----------
    neighbours : pandas.DataFrame
        Rows of ``neighbours/RUN``.
    track_ids : pandas.Series
        Of the page's songs, in their order.
    """
    numbers = pd.Series(np.arange(len(track_ids)), index=track_ids.to_numpy())
    mine = neighbours[neighbours["track_id"].isin(numbers.index)].sort_values(["track_id", "rank"])
    there = mine[mine["neighbour_id"].isin(numbers.index)]
    lists: list[list[list[Any]]] = [[] for _ in range(len(track_ids))]
    rows = zip(numbers[there["track_id"]], numbers[there["neighbour_id"]], there["distance"], strict=True)
    for song, neighbour, distance in rows:
        lists[song].append([int(neighbour), round(float(distance), 4)])
    return lists, len(mine) - len(there)


def detail_rows(songs: pd.DataFrame, class_names: list[str]) -> list[dict[str, Any]]:
    """Return the facts of each song; what is not known is left out.

    Parameters
    ----------
    songs : pandas.DataFrame
        ``release``, ``year``, ``duration`` (seconds), ``tempo`` (beats a minute), ``key``, ``mode``, ``plays``,
        ``listeners``, ``genre_probabilities``, ``has_lyrics`` and ``n_segments``; null where not known.
    class_names : list of str
        What the probabilities are of.
    """
    rows = []
    for song in songs.to_dict("records"):
        facts = {
            "album": song["release"],
            "year": _whole(song["year"]),
            "seconds": _whole(song["duration"]),
            "tempo": _whole(song["tempo"]),
            "key": key_name(song["key"], song["mode"]),
            "plays": _whole(song["plays"]),
            "listeners": _whole(song["listeners"]),
            "segments": _whole(song["n_segments"]),
            "lyrics": bool(song["has_lyrics"]),
            "likeliest": likeliest(song["genre_probabilities"], class_names),
        }
        rows.append({name: value for name, value in facts.items() if value is not None and not _is_nan(value)})
    return rows


def _whole(value: Any) -> int | None:
    return None if pd.isna(value) else round(float(value))


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and np.isnan(value)


def chunks(facts: list[dict[str, Any]], neighbours: list[list[list[Any]]] | None) -> list[list[dict[str, Any]]]:
    """Return the songs' facts and neighbours, `CHUNK` songs together."""
    whole = [
        song | ({"neighbours": neighbours[number]} if neighbours is not None else {})
        for number, song in enumerate(facts)
    ]
    return [whole[first : first + CHUNK] for first in range(0, len(whole), CHUNK)]
