"""Vectors of the page's songs, a byte a number, and what the page needs to recommend songs by them."""

from __future__ import annotations

from typing import Any

import numpy as np

from msd_spark.factors.mixed import OFFSET
from msd_spark.factors.settings import AlsParameters
from msd_spark.report.data.listeners import DEPTH, LENGTH
from msd_spark.report.scripts import packed

ZERO = 128
"""The byte that stands for 0."""

STEPS = 127
"""Bytes above and below it."""


def quantised(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return vectors as bytes and each vector's step: a number is ``(byte - ZERO) * step``, half a step off at most.

    Parameters
    ----------
    vectors : numpy.ndarray
        Shape ``(n, size)``; NaN throughout in the rows of songs that have none.

    Returns
    -------
    levels : numpy.ndarray
        Shape ``(n, size)``, uint8.
    steps : numpy.ndarray
        Shape ``(n,)``, float32; 0 for a vector that is none, or zero.
    """
    known = np.nan_to_num(np.asarray(vectors, np.float64))
    steps = (np.abs(known).max(axis=1, initial=0) / STEPS).astype(np.float32)
    scaled = np.divide(known, steps[:, None], out=np.zeros_like(known), where=steps[:, None] > 0)
    return (np.clip(np.rint(scaled), -STEPS, STEPS) + ZERO).astype(np.uint8), steps


def restored(levels: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Return vectors from `quantised`, float64; zero where there were none."""
    return (levels.astype(np.float64) - ZERO) * steps[:, None].astype(np.float64)


def song_vectors_data(
    factors: np.ndarray, directions: np.ndarray, gram: np.ndarray, parameters: AlsParameters
) -> dict[str, Any]:
    """Return what recommends songs from songs on the page.

    Parameters
    ----------
    factors : numpy.ndarray
        Shape ``(songs, rank)``; NaN for songs without factors.
    directions : numpy.ndarray
        Shape ``(songs, size)``: embeddings of length 1.
    gram : numpy.ndarray
        Shape ``(rank, rank)``: of all tracks' factors, on the page or not.
    parameters : AlsParameters
    """
    return {
        "factors": _packed(factors),
        "directions": _packed(directions),
        "gram": packed(np.asarray(gram, np.float32)),
        # What one play adds to the confidence of 1.
        "beyond": parameters.alpha * float(np.log1p(1 / parameters.epsilon)),
        "regularisation": parameters.regularisation,
        "length": LENGTH,
        "depth": DEPTH,
        "offset": OFFSET,
    }


def _packed(vectors: np.ndarray) -> dict[str, Any]:
    levels, steps = quantised(vectors)
    return {"size": vectors.shape[1], "zero": ZERO, "levels": packed(levels), "steps": packed(steps)}
