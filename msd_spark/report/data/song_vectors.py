"""Vectors of the report's songs, one byte per number, for recommendations computed in the browser."""

from __future__ import annotations

from typing import Any

import numpy as np

from msd_spark.factors.mixed import OFFSET
from msd_spark.factors.settings import AlsParameters
from msd_spark.report.data.listeners import DEPTH, LENGTH
from msd_spark.report.scripts import packed

ZERO = 128
"""Byte of the number 0."""

STEPS = 127
"""Bytes on either side of `ZERO`."""


def quantised(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Quantise vectors; a number is ``(byte - ZERO) * step`` with an error of at most half a step.

    Parameters
    ----------
    vectors : numpy.ndarray
        Shape ``(n, size)``; NaN rows for songs without a vector.

    Returns
    -------
    levels : numpy.ndarray
        Shape ``(n, size)``, uint8.
    steps : numpy.ndarray
        Shape ``(n,)``, float32; 0 for a missing or zero vector.
    """
    known = np.nan_to_num(np.asarray(vectors, np.float64))
    steps = (np.abs(known).max(axis=1, initial=0) / STEPS).astype(np.float32)
    scaled = np.divide(known, steps[:, None], out=np.zeros_like(known), where=steps[:, None] > 0)
    return (np.clip(np.rint(scaled), -STEPS, STEPS) + ZERO).astype(np.uint8), steps


def song_vectors_data(
    factors: np.ndarray, directions: np.ndarray, gram: np.ndarray, parameters: AlsParameters
) -> dict[str, Any]:
    """Return the data for recommendations from songs.

    Parameters
    ----------
    factors : numpy.ndarray
        Shape ``(songs, rank)``; NaN for songs without factors.
    directions : numpy.ndarray
        Shape ``(songs, size)``: embeddings of length 1.
    gram : numpy.ndarray
        Shape ``(rank, rank)``: Gram matrix of the factors of all tracks, in the report or not.
    """
    return {
        "factors": _packed(factors),
        "directions": _packed(directions),
        "gram": packed(np.asarray(gram, np.float32)),
        # Increase of the confidence, which is 1 without plays, by one play.
        "beyond": parameters.alpha * float(np.log1p(1 / parameters.epsilon)),
        "regularisation": parameters.regularisation,
        "length": LENGTH,
        "depth": DEPTH,
        "offset": OFFSET,
    }


def _packed(vectors: np.ndarray) -> dict[str, Any]:
    levels, steps = quantised(vectors)
    return {"size": vectors.shape[1], "zero": ZERO, "levels": packed(levels), "steps": packed(steps)}
