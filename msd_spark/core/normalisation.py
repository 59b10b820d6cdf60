"""Compute the statistics of the train split that models normalise their inputs by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from operator import add
from typing import Any

import pyarrow as pa

from msd_spark.core.cells import from_cells
from msd_spark.core.model_inputs import input_shapes, to_float32
from msd_spark.core.moments import Moments
from msd_spark.core.schemas import Geometry

NORMALISED = ("chroma", "timbre", "lyric_vector", "summary", "dynamics")
"""Columns of an example whose mean and standard deviation are recorded."""

WORD_WEIGHTS = "words"
"""Name of the weights of words in a normalisation."""


def feature_moments(examples: pa.Table, geometry: Geometry) -> dict[str, Moments]:
    """Return the moments of each of `NORMALISED`, without padding and absent lyrics."""
    lengths = examples["n_segments"].to_numpy()
    inside = geometry.mask(lengths).astype(bool)
    shapes = input_shapes(geometry, NORMALISED)
    values = {name: to_float32(from_cells(examples[name])).reshape(len(lengths), *shapes[name]) for name in NORMALISED}
    values |= {name: rows[inside] for name, rows in values.items() if rows.ndim == 3}
    values["lyric_vector"] = values["lyric_vector"][examples["has_lyrics"].to_numpy() > 0]
    return {name: Moments.of(rows) for name, rows in values.items()}


def normalisation(parts: Iterable[Mapping[Any, Any]]) -> dict[str, dict[str, list[float]]]:
    """Return mean and standard deviation of each of `NORMALISED` from `feature_moments`."""
    together = list(parts)
    return {name: statistics(reduce(add, (part[name] for part in together))) for name in NORMALISED}


def statistics(moments: Moments) -> dict[str, list[float]]:
    """Return mean and standard deviation in the form of the metadata."""
    mean, deviation = moments.mean_and_deviation()
    return {"mean": mean.tolist(), "deviation": deviation.tolist()}
