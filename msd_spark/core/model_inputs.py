"""Build a model's inputs from columns of examples, for training and scoring alike."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from msd_spark.core.schemas import N_DYNAMICS, Geometry
from msd_spark.core.song_summary import SUMMARY_SIZE
from msd_spark.core.words import WORDS

CHROMA, TIMBRE, MASK, LYRIC_VECTOR, HAS_LYRICS = "chroma", "timbre", "mask", "lyric_vector", "has_lyrics"
SUMMARY, WORD_INDICES, WORD_COUNTS, DYNAMICS = "summary", "word_indices", "word_counts", "dynamics"
"""Names of a model's inputs."""

BASIC_INPUTS = (CHROMA, TIMBRE, MASK, LYRIC_VECTOR, HAS_LYRICS)
"""Inputs of models that do not name others."""

ALL_INPUTS = (*BASIC_INPUTS, SUMMARY, WORD_INDICES, WORD_COUNTS, DYNAMICS)


def input_shapes(geometry: Geometry, names: Collection[str] = BASIC_INPUTS) -> dict[str, tuple[int, ...]]:
    """Return the shape of one example by the name of the input."""
    shapes = {
        CHROMA: geometry.segments_shape,
        TIMBRE: geometry.segments_shape,
        MASK: (geometry.n_segments,),
        LYRIC_VECTOR: (geometry.lyric_size,),
        HAS_LYRICS: (1,),
        SUMMARY: (SUMMARY_SIZE,),
        WORD_INDICES: (WORDS,),
        WORD_COUNTS: (WORDS,),
        DYNAMICS: (geometry.n_segments, N_DYNAMICS),
    }
    return {name: shapes[name] for name in ALL_INPUTS if name in names}


THOUSAND = np.float32(1000)


def to_thousandths(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return float32 numbers as uint16 thousandths, and whether `to_float32` restores each."""
    with np.errstate(invalid="ignore"):
        stored = np.rint(values * THOUSAND).astype(np.uint16)
    return stored, to_float32(stored) == values


def to_float32(values: np.ndarray) -> np.ndarray:
    """Return stored numbers as float32; uint16 are thousandths. Copy only if needed.

    Examples
    --------
    >>> to_float32(np.array([0, 123, 1000], np.uint16)) == np.float32([0, 0.123, 1])
    array([ True,  True,  True])
    """
    floats = np.asarray(values, np.float32)
    if values.dtype == np.uint16:
        floats /= THOUSAND
    return floats


def columns_of_inputs(names: Collection[str]) -> tuple[str, ...]:
    """Return the columns of examples that inputs are made of."""
    return tuple("n_segments" if name == MASK else name for name in ALL_INPUTS if name in names)


def model_inputs(
    columns: Mapping[str, np.ndarray], geometry: Geometry, names: Collection[str] = BASIC_INPUTS
) -> dict[str, np.ndarray]:
    """Return the named inputs of a model for a batch of examples, float32.

    Each has shape ``(n, *input_shapes(geometry, names)[name])``. The columns ``n_segments`` and ``has_lyrics`` have
    shape ``(n,)``; all others have shape ``(n, …)`` or are flat.
    """
    if MASK in names:
        # A song without segments becomes one segment of zeros: the mean over no segments would be NaN.
        columns = {**columns, MASK: geometry.mask(np.maximum(columns["n_segments"], 1))}
    return {
        name: to_float32(columns[name]).reshape(-1, *shape) for name, shape in input_shapes(geometry, names).items()
    }
