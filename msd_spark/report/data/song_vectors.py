"""Vectors of the report's songs, one byte per number, for recommendations computed in the browser."""

from __future__ import annotations

from typing import Any

import numpy as np

from msd_spark.factors.mixed import OFFSET
from msd_spark.factors.settings import AlsParameters
from msd_spark.report.data.listeners import DEPTH, LENGTH
from msd_spark.report.scripts import packed, packed_rows


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
        "factors": packed_rows(factors),
        "directions": packed_rows(directions),
        "gram": packed(np.asarray(gram, np.float32)),
        # Increase of the confidence, which is 1 without plays, by one play.
        "beyond": parameters.alpha * float(np.log1p(1 / parameters.epsilon)),
        "regularisation": parameters.regularisation,
        "length": LENGTH,
        "depth": DEPTH,
        "offset": OFFSET,
    }
