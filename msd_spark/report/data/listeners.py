"""What some users played and what is recommended to them, as the page's data. No file is read here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from msd_spark.factors.mixed import fuse
from msd_spark.factors.ranking import NONE, best, without

LENGTH = 10
"""Songs of a list on the page."""

DEPTH = 100
"""Places of the lists that are mixed."""


@dataclass(frozen=True)
class Listeners:
    """Some users, their listens and their factors.

    Attributes
    ----------
    users : sequence of str
    plays : sparse matrix
        Shape ``(users, tracks)``: how often each played each track that has factors or an embedding.
    user_factors : numpy.ndarray
        Shape ``(users, rank)``.
    track_factors : numpy.ndarray
        Shape ``(tracks, rank)``; NaN in the rows of tracks without factors.
    directions : numpy.ndarray
        Shape ``(tracks, size)``: embeddings of length 1; NaN in the rows of tracks without one.
    """

    users: Sequence[str]
    plays: sparse.csr_matrix
    user_factors: np.ndarray
    track_factors: np.ndarray
    directions: np.ndarray


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Return vectors of length 1, float32; NaN for those that have no direction or are NaN themselves."""
    lengths = np.linalg.norm(np.asarray(vectors, np.float64), axis=1, keepdims=True)
    return (vectors / np.where(lengths > 0, lengths, np.nan)).astype(np.float32)


def by_listens(listeners: Listeners) -> np.ndarray:
    """Return each user's `DEPTH` best tracks by the product of factors, without what the user played.

    Returns
    -------
    numpy.ndarray
        Shape ``(users, DEPTH)``, places of tracks; `NONE` where there are fewer.
    """
    scores = listeners.user_factors.astype(np.float32) @ listeners.track_factors.T.astype(np.float32)
    return _best(scores, listeners.plays)


def by_content(listeners: Listeners) -> np.ndarray:
    """Return each user's `DEPTH` tracks of greatest cosine to the mean direction of what the user played.

    Each track counts once, however often it was played; a user none of whose tracks has an embedding gets none.

    Returns
    -------
    numpy.ndarray
        As `by_listens`.
    """
    known = np.isfinite(listeners.directions).all(axis=1)
    directions = np.where(known[:, None], listeners.directions, 0)
    played = (listeners.plays > 0).astype(np.float32)
    centroids = played @ directions
    scores = centroids @ directions.T  # the centroid's length is the same for all of a user's tracks
    scores[:, ~known] = np.nan
    scores[~centroids.any(axis=1)] = np.nan
    return _best(scores, listeners.plays)


def _best(scores: np.ndarray, plays: sparse.csr_matrix) -> np.ndarray:
    scores = np.where(np.isnan(scores), -np.inf, scores)
    return best(without(scores, plays), DEPTH)


def users_data(listeners: Listeners, refer: Callable[[int], int]) -> list[dict[str, Any]]:
    """Return what the page shows of each user.

    Parameters
    ----------
    listeners : Listeners
    refer : callable
        From a track's place to what names it in the page's data.

    Returns
    -------
    list of dict
        ``id``; ``tracks``, how many the user played; ``played``, the most played ones as [track, plays];
        ``als`` and ``content``, tracks; ``mixed``, [track, rank by listens, rank by content].
    """
    found = []
    lists = zip(by_listens(listeners), by_content(listeners), strict=True)
    for number, (als, content) in enumerate(lists):
        ours = listeners.plays[[number]]
        most = np.lexsort((ours.indices, -ours.data))[:LENGTH]
        als, content = als[als != NONE].tolist(), content[content != NONE].tolist()
        found.append(
            {
                "id": str(listeners.users[number]),
                "tracks": int(ours.nnz),
                "played": [[refer(int(ours.indices[at])), int(ours.data[at])] for at in most],
                "als": [refer(track) for track in als[:LENGTH]],
                "content": [refer(track) for track in content[:LENGTH]],
                "mixed": [[refer(one.item), *one.ranks] for one in fuse([als, content], LENGTH)],
            }
        )
    return found
