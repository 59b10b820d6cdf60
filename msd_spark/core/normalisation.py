"""Compute the statistics of the train split that models normalise their inputs by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import pyarrow as pa

from msd_spark.core.moments import Moments
from msd_spark.core.schemas import N_DYNAMICS, Geometry
from msd_spark.core.song_summary import SUMMARY_SIZE

NORMALISED = ("chroma", "timbre", "lyric_vector", "summary", "dynamics")
"""Columns of an example whose mean and standard deviation are recorded."""

WORD_WEIGHTS = "words"
"""Name of the weights of words in a normalisation."""


def feature_moments(examples: pa.Table, geometry: Geometry) -> dict[str, Moments]:
    """Return the moments of each of `NORMALISED`, without padding and absent lyrics."""
    lengths = examples["n_segments"].to_numpy()
    inside = geometry.mask(lengths).astype(bool)
    values = {}
    widths = {"chroma": geometry.n_pitches, "timbre": geometry.n_pitches, "dynamics": N_DYNAMICS}
    for name, width in widths.items():
        rows = _flat(examples[name]).reshape(len(lengths), geometry.n_segments, width)
        values[name] = rows.reshape(-1, width) if inside.all() else rows[inside]
    values["summary"] = _flat(examples["summary"]).reshape(-1, SUMMARY_SIZE)
    present = examples["has_lyrics"].to_numpy() > 0
    values["lyric_vector"] = _flat(examples["lyric_vector"]).reshape(len(lengths), geometry.lyric_size)[present]
    return {name: Moments.of(rows) for name, rows in values.items()}


def _flat(column: pa.ChunkedArray) -> np.ndarray:
    return column.combine_chunks().flatten().to_numpy()


def normalisation(parts: Iterable[Mapping[Any, Any]]) -> dict[str, dict[str, list[float]]]:
    """Return mean and standard deviation of each of `NORMALISED` from `feature_moments`."""
    together = list(parts)
    return {name: statistics(reduce(add, (part[name] for part in together))) for name in NORMALISED}


def statistics(moments: Moments) -> dict[str, list[float]]:
    """Return mean and standard deviation in the form of the metadata."""
    mean, deviation = moments.mean_and_deviation()
    return {"mean": mean.tolist(), "deviation": deviation.tolist()}
