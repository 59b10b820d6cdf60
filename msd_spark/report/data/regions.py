"""Labels of regions of the map at several depths of zoom, by tf-idf. Reads no files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from msd_spark.report.data.grid import STEPS, Grid
from msd_spark.report.scripts import packed

FEWEST_SONGS = 5
"""A label is on at least this many songs of its region."""

SONGS_PER_REGION = 40
"""Mean number of songs per region at the deepest level."""

Terms = pd.DataFrame
"""One row per song and term of the song: columns ``row`` (of the song) and ``term``."""


def region_labels(places: np.ndarray, terms: Mapping[str, Terms]) -> dict[str, Any]:
    """Return the labels of each level; level i divides the map in 2^i by 2^i regions.

    Parameters
    ----------
    places : numpy.ndarray
        Shape ``(n, 2)``.
    terms : mapping
        Terms by kind, for example genres, artists and tags.

    Notes
    -----
    The label of a region is the term with the greatest tf-idf: the share of the region's songs that have the term,
    times the logarithm of the number of songs of the map per song with the term. If a term labels adjacent regions,
    only the one where it weighs most has a label. It is placed at the mean of the region's songs with the term.
    """
    deepest = max(1, int(np.log2(max(1, len(places) / SONGS_PER_REGION)) / 2))
    levels = [_labels_of(level, places, terms) for level in range(1, deepest + 1)]
    whole = Grid.over(places, 1)
    return {"kinds": list(terms), "levels": [_data(level, labels, whole) for level, labels in enumerate(levels, 1)]}


def _labels_of(level: int, places: np.ndarray, terms: Mapping[str, Terms]) -> pd.DataFrame:
    """Return cell, term, kind, weight and place of the labels of a level, in descending order of the weight."""
    side = 2**level
    cells = Grid.over(places, side).cells(places)
    totals = np.bincount(cells, minlength=side**2)
    every = []
    for kind, (_, table) in enumerate(terms.items()):
        rows = table["row"].to_numpy()
        codes, names = pd.factorize(table["term"])
        keys, inverse, counts = np.unique(
            cells[rows] * (len(names) + 1) + codes, return_inverse=True, return_counts=True
        )
        frequent = counts >= FEWEST_SONGS
        cell, code = np.divmod(keys[frequent], len(names) + 1)
        x, y = (np.bincount(inverse, places[rows, axis])[frequent] / counts[frequent] for axis in (0, 1))
        idf = np.log(len(places) / np.bincount(codes)[code])
        weight = counts[frequent] / totals[cell] * idf
        term = np.asarray(names, object)[code]
        every.append(pd.DataFrame({"cell": cell, "term": term, "kind": kind, "weight": weight, "x": x, "y": y}))
    labels = pd.concat(every).sort_values(["weight", "term"], ascending=[False, True], kind="stable")
    labels = labels[labels["weight"] > 0].drop_duplicates("cell")
    taken: set[tuple[str, int, int]] = set()
    greatest = []
    for term, cell in zip(labels["term"], labels["cell"], strict=True):
        row, column = divmod(int(cell), side)
        around = ((term, row + down, column + across) for down in (-1, 0, 1) for across in (-1, 0, 1))
        greatest.append(taken.isdisjoint(around))
        if greatest[-1]:
            taken.add((term, row, column))
    return labels[np.array(greatest, bool)]


def _data(level: int, labels: pd.DataFrame, whole: Grid) -> dict[str, Any]:
    along = (labels[["x", "y"]].to_numpy(np.float64) - whole.low) / whole.size
    steps = np.rint(np.clip(along, 0, 1) * STEPS).astype(np.uint16)
    kinds = packed(labels["kind"].to_numpy(np.uint8))
    texts = [str(term) for term in labels["term"]]
    return {"level": level, "x": packed(steps[:, 0]), "y": packed(steps[:, 1]), "kinds": kinds, "texts": texts}
