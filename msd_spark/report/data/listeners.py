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
"""Best songs of each list that rank fusion combines."""


@dataclass(frozen=True)
class Listeners:
    """Users, their play counts, factors, and embeddings; NaN for tracks that lack a vector."""

    users: Sequence[str]
    plays: sparse.csr_matrix  # (users, tracks)
    user_factors: np.ndarray  # (users, rank)
    track_factors: np.ndarray  # (tracks, rank)
    directions: np.ndarray  # (tracks, size): embeddings of length 1


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Scale vectors to length 1, as float32; NaN for zero vectors."""
    lengths = np.linalg.norm(np.asarray(vectors, np.float64), axis=1, keepdims=True)
    return (vectors / np.where(lengths > 0, lengths, np.nan)).astype(np.float32)


def by_plays(listeners: Listeners) -> np.ndarray:
    """Return each user's `DEPTH` best unplayed tracks by the product of factors; see `_best`."""
    scores = listeners.user_factors.astype(np.float32) @ listeners.track_factors.T.astype(np.float32)
    return _best(scores, listeners.plays)


def by_content(listeners: Listeners) -> np.ndarray:
    """Return each user's `DEPTH` unplayed tracks most similar (cosine) to the mean played one.

    Each played track counts once. A user without a played track that has an embedding gets none.
    """
    known = np.isfinite(listeners.directions).all(axis=1)
    directions = np.where(known[:, None], listeners.directions, 0)
    centroids = (listeners.plays > 0).astype(np.float32) @ directions
    scores = centroids @ directions.T  # the length of the centroid does not change the order
    scores[:, ~known] = np.nan
    scores[~centroids.any(axis=1)] = np.nan
    return _best(scores, listeners.plays)


def _best(scores: np.ndarray, plays: sparse.csr_matrix) -> np.ndarray:
    """Return track numbers, shape ``(users, DEPTH)``; `NONE` for missing ones."""
    return best(without(np.where(np.isnan(scores), -np.inf, scores), plays), DEPTH)


def users_data(listeners: Listeners, refer: Callable[[int], int]) -> list[dict[str, Any]]:
    """Return the most played tracks with their plays, and the recommendations of each user.

    `refer` maps a track number to the reference that the report's scripts use. Mixed recommendations have their ranks
    by plays and by content.
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
                "mixed": [[refer(track), *ranks] for track, ranks in fuse([als, content], LENGTH)],
            }
        )
    return users
