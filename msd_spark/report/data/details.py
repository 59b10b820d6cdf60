"""Details of songs: facts and neighbours, in chunks that the report loads on demand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

CHUNK = 500
"""Songs per chunk."""

PITCH_NAMES = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")
"""Pitch classes in the order of chroma and of ``key``."""

MOST_LIKELY = 3
"""Genres per song whose probability is shown."""


def key_name(key: float | None, mode: float | None) -> str | None:
    """Return the name of a key; None if unknown.

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
    """Return the most likely classes with their probabilities, in descending order.

    Examples
    --------
    >>> likeliest(np.array([0.1, 0.2, 0.6, 0.1]), ["Blues", "Jazz", "Rap", "Latin"])
    [['Rap', 0.6], ['Jazz', 0.2], ['Blues', 0.1]]
    """
    if probabilities is None or len(probabilities) != len(class_names):
        return []
    order = np.argsort(-probabilities, kind="stable")[:MOST_LIKELY]
    return [[class_names[place], round(float(probabilities[place]), 3)] for place in order]


def neighbour_lists(neighbours: pd.DataFrame, track_ids: pd.Series) -> list[list[list[Any]]]:
    """Return [row, distance] of each song's neighbours that are in the report (`track_ids`)."""
    numbers = pd.Series(np.arange(len(track_ids)), index=track_ids.to_numpy())
    both = neighbours["track_id"].isin(numbers.index) & neighbours["neighbour_id"].isin(numbers.index)
    inside = neighbours[both].sort_values(["track_id", "rank"])
    lists: list[list[list[Any]]] = [[] for _ in range(len(track_ids))]
    rows = zip(numbers[inside["track_id"]], numbers[inside["neighbour_id"]], inside["distance"], strict=True)
    for song, neighbour, distance in rows:
        lists[song].append([int(neighbour), round(float(distance), 4)])
    return lists


def detail_rows(songs: pd.DataFrame, class_names: list[str]) -> list[dict[str, Any]]:
    """Return the known facts of each song of `msd_spark.report.data.songs.Songs`."""
    rows = []
    for song in songs.to_dict("records"):
        facts = {
            "album": None if pd.isna(song["release"]) else song["release"],
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
        rows.append({name: value for name, value in facts.items() if value is not None})
    return rows


def _whole(value: Any) -> int | None:
    return None if pd.isna(value) else round(float(value))


def chunks(facts: list[dict[str, Any]], neighbours: list[list[list[Any]]] | None) -> list[list[dict[str, Any]]]:
    """Return the facts and neighbours of songs in chunks of `CHUNK` songs."""
    if neighbours is not None:
        facts = [song | {"neighbours": near} for song, near in zip(facts, neighbours, strict=True)]
    return [facts[first : first + CHUNK] for first in range(0, len(facts), CHUNK)]
