"""The best tracks of each user by a recommender's scores, without those of the user's history."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from scipy import sparse

Recommender = Callable[[sparse.csr_matrix], np.ndarray]
"""From histories, plays of shape ``(m, tracks)``, to scores of that shape, float32; a greater one is better."""

NONE = -1
"""Stands in a list's empty places, where a user has heard all other tracks."""

SCORES_AT_ONCE = 20_000_000
"""Scores that are held at a time: 80 MB."""


def best(scores: np.ndarray, k: int) -> np.ndarray:
    """Return the places of the k greatest scores of each row, the greatest first.

    Of equal scores the one that stands first comes first, so that the answer is one.

    Parameters
    ----------
    scores : numpy.ndarray
        Shape ``(m, n)``, float; minus infinity for what is no candidate.
    k : int

    Returns
    -------
    numpy.ndarray
        Shape ``(m, k)``, int32; `NONE` where there are fewer candidates.
    """
    m, n = scores.shape
    found = np.full((m, k), NONE, np.int32)
    for row, ours in enumerate(scores):
        if k < n:
            threshold = np.partition(ours, n - k)[n - k]
            above = np.flatnonzero(ours > threshold)
            chosen = np.concatenate([above, np.flatnonzero(ours == threshold)[: k - len(above)]])
        else:
            chosen = np.arange(n)
        chosen = chosen[ours[chosen] > -np.inf]
        found[row, : len(chosen)] = chosen[np.lexsort((chosen, -ours[chosen]))]
    return found


def without(scores: np.ndarray, history: sparse.csr_matrix) -> np.ndarray:
    """Set the scores of each row's history to minus infinity, in place, and return them."""
    scores[np.repeat(np.arange(len(scores)), np.diff(history.indptr)), history.indices] = -np.inf
    return scores


def in_blocks(n_rows: int, n_columns: int) -> Iterator[slice]:
    """Cut rows into blocks of `SCORES_AT_ONCE` scores."""
    size = max(1, SCORES_AT_ONCE // max(n_columns, 1))
    for start in range(0, n_rows, size):
        yield slice(start, min(start + size, n_rows))


def recommend(recommender: Recommender, history: sparse.csr_matrix, k: int) -> np.ndarray:
    """Return each user's k best tracks that are not in the history, shape ``(users, k)``, int32."""
    lists = [best(without(recommender(history[block]), history[block]), k) for block in in_blocks(*history.shape)]
    return np.concatenate(lists) if lists else np.empty((0, k), np.int32)


def hits_of(lists: np.ndarray, held: sparse.csr_matrix) -> np.ndarray:
    """Return which places of users' lists hold a track that was held out of them: shape ``(users, k)``, bool."""
    hits = np.zeros(lists.shape, bool)
    for user, ours in enumerate(lists):
        hits[user] = np.isin(ours, held.indices[held.indptr[user] : held.indptr[user + 1]])
    return hits
