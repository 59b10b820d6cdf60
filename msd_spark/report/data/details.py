"""Names, facts and neighbours of songs, in chunks that the report loads on demand. Reads no files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from msd_spark.report.scripts import packed

CHUNK = 1000
"""Songs per chunk."""

PITCH_NAMES = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")
"""Pitch classes in the order of chroma and of ``key``."""

MOST_LIKELY = 3
"""Genres per song whose probability is shown."""

MOST_NEIGHBOURS = 20
"""Neighbours per song at most; fits a byte."""

WHOLE = {"year": "year", "seconds": "duration", "tempo": "tempo", "plays": "plays", "listeners": "listeners"}
"""Facts that are rounded to whole numbers, and their columns."""


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


def likeliest(probabilities: np.ndarray) -> list[list[list[float]]]:
    """Return [class, probability] of the most likely classes of each row, in descending order; none for NaN.

    Examples
    --------
    >>> likeliest(np.array([[0.1, 0.2, 0.6, 0.1], [np.nan] * 4]))
    [[[2, 0.6], [1, 0.2], [0, 0.1]], []]
    """
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :MOST_LIKELY]
    best = np.take_along_axis(probabilities, order, axis=1).astype(np.float64).round(3)
    pairs = zip(order.tolist(), best.tolist(), np.isfinite(best).all(axis=1), strict=True)
    return [[list(pair) for pair in zip(*row, strict=True)] if known else [] for *row, known in pairs]


@dataclass(frozen=True)
class Neighbours:
    """Neighbours of songs by row, nearest first: those of song i are ``starts[i]`` to ``starts[i + 1]``."""

    starts: np.ndarray
    rows: np.ndarray
    distances: np.ndarray

    @classmethod
    def of(cls, table: pa.Table, track_ids: pd.Series) -> Neighbours:
        """Return the neighbours among the songs of the report (`track_ids`), from rows of ``neighbours/RUN``."""
        ids = pa.array(track_ids, pa.string())
        songs, others = (
            pc.fill_null(pc.index_in(table[name], value_set=ids), -1).to_numpy()
            for name in ("track_id", "neighbour_id")
        )
        inside = np.flatnonzero((songs >= 0) & (others >= 0))
        inside = inside[np.lexsort((table["rank"].to_numpy()[inside], songs[inside]))]
        starts = np.searchsorted(songs[inside], np.arange(len(ids) + 1))
        return cls(starts, others[inside].astype(np.uint32), table["distance"].to_numpy()[inside].astype(np.float32))

    def data(self, chunk: slice) -> dict[str, Any]:
        """Return the data of a chunk's neighbours."""
        starts = self.starts[chunk.start : chunk.stop + 1]
        part = slice(starts[0], starts[-1])
        counts = np.diff(starts).astype(np.uint8)
        return {"counts": packed(counts), "rows": packed(self.rows[part]), "distances": packed(self.distances[part])}


def texts(column: pd.Series) -> list[str | None]:
    """Return a column of texts, with None for null."""
    return [None if pd.isna(text) else str(text) for text in column]


def wholes(column: pd.Series) -> list[int | None]:
    """Return a column of numbers, rounded, with None for null."""
    return [None if pd.isna(value) else round(float(value)) for value in column]


def name_data(songs: pd.DataFrame) -> dict[str, Any]:
    """Return ids, titles and artists of a chunk of songs."""
    return {
        "ids": songs["track_id"].tolist(),
        "titles": texts(songs["title"]),
        "artists": texts(songs["artist_name"]),
    }


def detail_data(songs: pd.DataFrame, probabilities: np.ndarray | None) -> dict[str, Any]:
    """Return the facts of a chunk of songs by name, one value per song; facts that no song has are left out.

    Parameters
    ----------
    songs : pandas.DataFrame
        Rows of `msd_spark.report.data.songs.Songs`.
    probabilities : numpy.ndarray or None
        Class probabilities, shape ``(n, classes)``; NaN for songs without them.
    """
    facts: dict[str, list[Any]] = {"album": texts(songs["release"])}
    facts |= {fact: wholes(songs[column]) for fact, column in WHOLE.items()}
    facts["key"] = [key_name(*pair) for pair in zip(songs["key"], songs["mode"], strict=True)]
    facts["lyrics"] = songs["has_lyrics"].astype(bool).tolist()
    if probabilities is not None:
        facts["likeliest"] = likeliest(probabilities)
    return {fact: values for fact, values in facts.items() if any(value is not None for value in values)}


def chunks(n: int, size: int = CHUNK) -> Iterator[tuple[int, slice]]:
    """Yield the number and the rows of each chunk of songs.

    Examples
    --------
    >>> list(chunks(5, 3))
    [(0, slice(0, 3, None)), (1, slice(3, 5, None))]
    """
    for number, first in enumerate(range(0, n, size)):
        yield number, slice(first, min(n, first + size))
