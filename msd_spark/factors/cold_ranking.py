"""Rank songs without listens for users, and judge the ranks: pure functions.

A recommender gives users places and songs places in one space; a score is the product. Users' listens to the cold
songs are used for judging alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from tabulate import tabulate

from msd_spark.factors import metrics
from msd_spark.factors.ranking import best, hits_of, in_blocks

PLACES = 100
FIGURES = ("ndcg@100", "auc")
RANDOM = "random"


@dataclass(frozen=True)
class Places:
    """Where a recommender puts users and songs.

    Attributes
    ----------
    users, songs : numpy.ndarray
        Shape ``(m, size)`` and ``(n, size)``, float32.
    """

    users: np.ndarray
    songs: np.ndarray


def profiles(history: sparse.csr_matrix, features: np.ndarray) -> np.ndarray:
    """Return users as the mean of their songs' unit vectors.

    The product with a song's unit vector is the mean cosine between it and what the user plays.

    Parameters
    ----------
    history : scipy.sparse.csr_matrix
        Shape ``(m, n)``, plays.
    features : numpy.ndarray
        Shape ``(n, size)``.
    """
    heard = sparse.csr_matrix((np.ones(history.nnz, np.float32), history.indices, history.indptr), history.shape)
    return np.asarray((heard @ unit(features)) / np.maximum(np.diff(heard.indptr), 1)[:, None], np.float32)


def unit(features: np.ndarray) -> np.ndarray:
    """Return vectors of length 1; one of zeros stays zero."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.where(lengths > 0, lengths, 1), np.float32)


def judge_cold(recommenders: Mapping[str, Places], heard: sparse.csr_matrix, seed: int) -> dict[str, Any]:
    """Return each recommender's figures over users, beside random scores, and by how much it leads these.

    Parameters
    ----------
    recommenders : mapping
        Name to places of the same users and songs.
    heard : scipy.sparse.csr_matrix
        Shape ``(m, n)``: which cold songs each user plays; at least one, and not all.
    seed : int

    Returns
    -------
    dict
        Name to ``ndcg@100`` and ``auc`` with their intervals by resampling users, and ``over_random`` with the same of
        the differences to random scores on the same resamples.
    """
    generator = np.random.default_rng(seed)
    by_user: dict[str, list[np.ndarray]] = {name: [] for name in (RANDOM, *recommenders)}
    for block in in_blocks(*heard.shape):
        held = heard[block]
        positive = held.toarray() > 0
        for name, found in by_user.items():
            if name == RANDOM:
                scores = generator.random(positive.shape, np.float32)
            else:
                scores = recommenders[name].users[block] @ recommenders[name].songs.T
            hits = hits_of(best(scores, min(PLACES, heard.shape[1])), held)
            ndcg = metrics.ndcg_at(hits, np.diff(held.indptr), PLACES)
            found.append(np.column_stack([ndcg, metrics.auc(scores, positive)]))
    values = {name: np.concatenate(found) for name, found in by_user.items()}
    return {
        name: {
            **_figures(ours, seed),
            **({} if name == RANDOM else {"over_random": _figures(ours - values[RANDOM], seed)}),
        }
        for name, ours in values.items()
    }


def _figures(values: np.ndarray, seed: int) -> dict[str, list[float]]:
    by_figure = dict(zip(FIGURES, values.T, strict=True))
    return {name: figure.as_list() for name, figure in metrics.with_intervals(by_figure, seed).items()}


def _lead(found: Mapping[str, Any]) -> list[dict[str, list[float]]]:
    return [found["over_random"]] if "over_random" in found else []


def table(judged: Mapping[str, Any]) -> str:
    """Return figures of `judge_cold` as a table for people."""

    def shown(figure: list[float]) -> str:
        return f"{figure[0]:.4f} ({figure[1]:.4f}–{figure[2]:.4f})"

    rows = [
        [name, *(shown(found[figure]) for figure in FIGURES), *(shown(lead["auc"]) for lead in _lead(found))]
        for name, found in judged.items()
    ]
    return tabulate(rows, ["cold songs by", *FIGURES, "auc over random"], "simple")
