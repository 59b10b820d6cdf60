"""Plays of sampled users and their recommendations. Reads no files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from msd_spark.factors.mixed import fuse
from msd_spark.factors.ranking import NONE, best, without

LENGTH = 10
"""Songs per list."""

DEPTH = 100
"""Songs per list that are mixed."""


@dataclass(frozen=True)
class Listeners:
    """Users, their plays and their factors.

    Attributes
    ----------
    plays : sparse matrix
        Shape ``(users, tracks)``: play counts.
    user_factors : numpy.ndarray
        Shape ``(users, rank)``.
    track_factors : numpy.ndarray
        Shape ``(tracks, rank)``; NaN for tracks without factors.
    directions : numpy.ndarray
        Shape ``(tracks, size)``: embeddings of length 1; NaN for tracks without embedding.
    """

    users: Sequence[str]
    plays: sparse.csr_matrix
    user_factors: np.ndarray
    track_factors: np.ndarray
    directions: np.ndarray


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Scale vectors to length 1, as float32; NaN for zero vectors."""
    lengths = np.linalg.norm(np.asarray(vectors, np.float64), axis=1, keepdims=True)
    return (vectors / np.where(lengths > 0, lengths, np.nan)).astype(np.float32)


def by_plays(listeners: Listeners) -> np.ndarray:
    """Return each user's `DEPTH` best unplayed tracks by the product of factors.

    Returns
    -------
    numpy.ndarray
        Shape ``(users, DEPTH)``: track numbers, `NONE` if there are fewer.
    """
    scores = listeners.user_factors.astype(np.float32) @ listeners.track_factors.T.astype(np.float32)
    return _best(scores, listeners.plays)


def by_content(listeners: Listeners) -> np.ndarray:
    """Return each user's `DEPTH` unplayed tracks with the greatest cosine similarity to the mean of the played ones.

    Each played track counts once. A user without a played track that has an embedding gets none.

    Returns
    -------
    numpy.ndarray
        See `by_plays`.
    """
    known = np.isfinite(listeners.directions).all(axis=1)
    directions = np.where(known[:, None], listeners.directions, 0)
    centroids = (listeners.plays > 0).astype(np.float32) @ directions
    scores = centroids @ directions.T  # the length of the centroid does not change the order
    scores[:, ~known] = np.nan
    scores[~centroids.any(axis=1)] = np.nan
    return _best(scores, listeners.plays)


def _best(scores: np.ndarray, plays: sparse.csr_matrix) -> np.ndarray:
    return best(without(np.where(np.isnan(scores), -np.inf, scores), plays), DEPTH)


def users_data(listeners: Listeners, refer: Callable[[int], int]) -> list[dict[str, Any]]:
    """Return the lists of each user.

    Parameters
    ----------
    refer : callable
        From a track number to the reference that the report's scripts use.

    Returns
    -------
    list of dict
        ``id``; ``tracks``, the number of played tracks; ``played``, [track, plays] of the most played; ``als`` and
        ``content``, tracks; ``mixed``, [track, rank by plays, rank by content].
    """
    users = []
    for number, (als_row, content_row) in enumerate(zip(by_plays(listeners), by_content(listeners), strict=True)):
        row = listeners.plays[[number]]
        most = np.lexsort((row.indices, -row.data))[:LENGTH]
        als, content = als_row[als_row != NONE].tolist(), content_row[content_row != NONE].tolist()
        users.append(
            {
                "id": str(listeners.users[number]),
                "tracks": int(row.nnz),
                "played": [[refer(int(row.indices[at])), int(row.data[at])] for at in most],
                "als": [refer(track) for track in als[:LENGTH]],
                "content": [refer(track) for track in content[:LENGTH]],
                "mixed": [[refer(one.item), *one.ranks] for one in fuse([als, content], LENGTH)],
            }
        )
    return users
