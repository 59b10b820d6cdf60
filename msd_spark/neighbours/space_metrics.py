"""Quality metrics of a space of songs: traits shared by neighbours, clusters, linear probes."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.cluster import KMeans
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, mean_absolute_error, r2_score, silhouette_score, v_measure_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from threadpoolctl import threadpool_limits

from msd_spark.neighbours.exclusions import UNKNOWN

FOLDS = 5
FEWEST_SONGS = 50

MOST_SONGS = 20_000
"""Largest sample for clusters and probes."""

MOST_DEVIATIONS = 10.0
"""Features are clipped to this many standard deviations."""


def agreement(codes: np.ndarray, queries: np.ndarray, neighbours: np.ndarray) -> dict[str, Any]:
    """Return how often songs and their neighbours share a trait.

    `codes` ``(n,)`` has each song's trait, or `UNKNOWN`; `queries` ``(m,)`` are numbers of songs, and `neighbours`
    ``(m, k)`` those of their neighbours, negative for empty places.

    The result has ``pairs`` of a song and a neighbour with known traits; ``share`` of equal traits among them;
    ``chance``, the expected share for neighbours drawn at random from all other songs with a known trait. The last two
    are None without pairs.
    """
    own = codes[queries].astype(np.int64)
    others = np.where(neighbours >= 0, codes[neighbours], UNKNOWN)
    known = (own[:, None] != UNKNOWN) & (others != UNKNOWN)
    pairs = int(known.sum())
    if not pairs:
        return {"share": None, "chance": None, "pairs": 0}
    same = known & (own[:, None] == others)
    sizes = np.bincount(codes[codes != UNKNOWN].astype(np.int64))
    expected = (sizes[np.maximum(own, 0)] - 1) / max(1, int(sizes.sum()) - 1)
    chance = (expected * known.sum(axis=1)).sum() / pairs
    return {"share": float(same.sum() / pairs), "chance": float(chance), "pairs": pairs}


def clusters(vectors: np.ndarray, codes: np.ndarray, seed: int, silhouettes: int = 5_000) -> dict[str, Any] | None:
    """Measure how well genres are separated, on a seeded sample.

    Vectors are ``(n, size)``; `codes` ``(n,)`` are genres, or `UNKNOWN`. `silhouettes` is the largest sample for the
    silhouette, whose work grows with the square.

    The result has the ``silhouette`` of genres, from -1 to 1 [1]_; ``v_measure`` of as many k-means clusters as genres,
    from 0 to 1 [2]_; the numbers of ``songs`` and ``genres``. It is None for fewer than two genres or too few songs.

    References
    ----------
    .. [1] P. Rousseeuw, "Silhouettes", Journal of Computational and Applied Mathematics 20, 1987.
    .. [2] A. Rosenberg, J. Hirschberg, "V-Measure", EMNLP-CoNLL 2007.
    """
    generator = np.random.default_rng(seed)
    rows = _sample(np.flatnonzero(codes != UNKNOWN), MOST_SONGS, generator)
    genres = len(np.unique(codes[rows]))
    if not 2 <= genres < len(rows):
        return None
    values = np.asarray(vectors[rows], np.float64)
    assigned = KMeans(genres, n_init=3, random_state=seed).fit_predict(values)
    sample = _sample(np.arange(len(rows)), silhouettes, generator)
    if not 2 <= len(np.unique(codes[rows[sample]])) < len(sample):
        return None
    return {
        "silhouette": float(silhouette_score(values[sample], codes[rows[sample]])),
        "v_measure": float(v_measure_score(codes[rows], assigned)),
        "songs": len(rows),
        "genres": genres,
    }


def probe(vectors: np.ndarray, trait: np.ndarray, groups: np.ndarray, seed: int) -> dict[str, Any] | None:
    """Fit a linear model to a trait by five-fold cross-validation, split by artist.

    Vectors are ``(n, size)``. `trait` ``(n,)`` has codes (integers, or `UNKNOWN`) for logistic regression, or numbers
    (floats, or NaN) for ridge regression; `groups` ``(n,)`` has the artist of each song.

    The result has the ``measure``, accuracy or mean absolute error; its ``value`` for the model, and by ``chance``:
    always predicting the most frequent class or the median; the number of ``songs``; ``r_squared`` of a number, which
    may be negative. It is None for fewer than `FEWEST_SONGS` songs with the trait or five artists, or if the trait is
    constant in the training part of a fold.
    """
    of_classes = np.issubdtype(trait.dtype, np.integer)
    known = trait != UNKNOWN if of_classes else np.isfinite(trait)
    rows = _sample(np.flatnonzero(known), MOST_SONGS, np.random.default_rng(seed))
    if len(rows) < FEWEST_SONGS or len(np.unique(groups[rows])) < FOLDS or len(np.unique(trait[rows])) < 2:
        return None
    values, true = np.asarray(vectors[rows], np.float64), trait[rows]
    parts = list(GroupKFold(FOLDS).split(values, groups=groups[rows]))
    if any(len(np.unique(true[fitted])) < 2 for fitted, _ in parts):
        return None
    model = LogisticRegression(max_iter=300) if of_classes else Ridge()
    constant = DummyClassifier(strategy="prior") if of_classes else DummyRegressor(strategy="median")
    # An outlier beyond the training data should not predict a year of 60,000.
    clip = FunctionTransformer(np.clip, kw_args={"a_min": -MOST_DEVIATIONS, "a_max": MOST_DEVIATIONS})
    # For matrices of this size BLAS threads wait for each other longer than they compute.
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)  # nearly converged is good enough
        predicted, guessed = (
            cross_val_predict(candidate, values, true, cv=parts)
            for candidate in (make_pipeline(StandardScaler(), clip, model), constant)
        )
    score = accuracy_score if of_classes else mean_absolute_error
    return {
        "measure": "accuracy" if of_classes else "mean absolute error",
        "value": float(score(true, predicted)),
        "chance": float(score(true, guessed)),
        "songs": len(rows),
        "r_squared": None if of_classes else float(r2_score(true, predicted)),
    }


def _sample(rows: np.ndarray, most: int, generator: np.random.Generator) -> np.ndarray:
    return np.sort(generator.choice(rows, most, replace=False)) if len(rows) > most else rows
