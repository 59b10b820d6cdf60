"""Rank the tracks of each user by scores, without those of the user's history."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from scipy import sparse

Recommender = Callable[[sparse.csr_matrix], np.ndarray]
"""Maps histories, plays of shape ``(m, tracks)``, to scores of that shape, float32; greater is better."""

NONE = -1
"""Marks empty places of a list, when a user has heard all other tracks."""

SCORES_AT_ONCE = 20_000_000
"""Scores in memory at a time: 80 MB."""


def best(scores: np.ndarray, k: int) -> np.ndarray:
    """Return the columns of the k greatest scores per row, greatest first; ties by lower column.

    A score of minus infinity skips a column; `NONE` fills up rows with fewer columns than k.
    """
    m, n = scores.shape
    lists = np.full((m, k), NONE, np.int32)
    for user, row in enumerate(scores):
        if k < n:
            threshold = np.partition(row, n - k)[n - k]
            above = np.flatnonzero(row > threshold)
            columns = np.concatenate([above, np.flatnonzero(row == threshold)[: k - len(above)]])
        else:
            columns = np.arange(n)
        columns = columns[row[columns] > -np.inf]
        lists[user, : len(columns)] = columns[np.lexsort((columns, -row[columns]))]
    return lists


def without(scores: np.ndarray, history: sparse.csr_matrix) -> np.ndarray:
    """Set the scores of each row's history to minus infinity, in place, and return them."""
    scores[np.repeat(np.arange(len(scores)), np.diff(history.indptr)), history.indices] = -np.inf
    return scores


def in_blocks(n_rows: int, n_columns: int) -> Iterator[slice]:
    """Yield slices of rows with at most `SCORES_AT_ONCE` scores each."""
    size = max(1, SCORES_AT_ONCE // max(n_columns, 1))
    for start in range(0, n_rows, size):
        yield slice(start, min(start + size, n_rows))


def recommend(recommender: Recommender, history: sparse.csr_matrix, k: int) -> np.ndarray:
    """Return each user's k best tracks outside the history, shape ``(users, k)``, int32."""
    lists = [best(without(recommender(history[block]), history[block]), k) for block in in_blocks(*history.shape)]
    return np.concatenate(lists) if lists else np.empty((0, k), np.int32)


def hits_of(lists: np.ndarray, held_out: sparse.csr_matrix) -> np.ndarray:
    """Return which places of each list have a held-out track: shape ``(users, k)``, bool."""
    hits = np.zeros(lists.shape, bool)
    for user, places in enumerate(lists):
        hits[user] = np.isin(places, held_out.indices[held_out.indptr[user] : held_out.indptr[user + 1]])
    return hits
