"""Quality metrics of a space of songs: neighbours that share a trait, clusters, linear probes; each next to chance."""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

UNKNOWN = -1
"""Code of an unknown trait."""


@dataclass(frozen=True)
class Agreement:
    """How often neighbours share a trait.

    Attributes
    ----------
    share : float or None
        Share of equal traits among the pairs of a song and a neighbour with known traits; None without such pairs.
    chance : float or None
        Expected share for neighbours drawn at random from all other songs with a known trait.
    """

    share: float | None
    chance: float | None
    pairs: int


def agreement(codes: np.ndarray, queries: np.ndarray, neighbours: np.ndarray) -> Agreement:
    """Return how often songs and their neighbours share a trait.

    Parameters
    ----------
    codes : numpy.ndarray
        Shape ``(n,)``: code of each song's trait, or `UNKNOWN`.
    queries : numpy.ndarray
        Shape ``(m,)``: numbers of songs.
    neighbours : numpy.ndarray
        Shape ``(m, k)``: numbers of their neighbours; negative for empty places.
    """
    mine = codes[queries].astype(np.int64)
    theirs = np.where(neighbours >= 0, codes[neighbours], UNKNOWN)
    known = (mine[:, None] != UNKNOWN) & (theirs != UNKNOWN)
    pairs = int(known.sum())
    if not pairs:
        return Agreement(None, None, 0)
    same = known & (mine[:, None] == theirs)
    sizes = np.bincount(codes[codes != UNKNOWN].astype(np.int64))
    others = int(sizes.sum()) - 1
    weights = known.sum(axis=1)
    expected = (sizes[np.maximum(mine, 0)] - 1) / max(1, others)
    return Agreement(float(same.sum() / pairs), float((expected * weights).sum() / pairs), pairs)


@dataclass(frozen=True)
class Clusters:
    """How well genres are separated.

    Attributes
    ----------
    silhouette : float
        Of genres, from -1 to 1 [1]_.
    v_measure : float
        Of as many k-means clusters as genres, from 0 to 1 [2]_.

    References
    ----------
    .. [1] P. Rousseeuw, "Silhouettes", Journal of Computational and Applied Mathematics 20, 1987.
    .. [2] A. Rosenberg, J. Hirschberg, "V-Measure", EMNLP-CoNLL 2007.
    """

    silhouette: float
    v_measure: float
    songs: int
    genres: int


def clusters(
    vectors: np.ndarray, codes: np.ndarray, seed: int, most: int = 20_000, silhouettes: int = 5_000
) -> Clusters | None:
    """Measure how well genres are separated, on a seeded sample; None for fewer than two genres or too few songs.

    Parameters
    ----------
    vectors : numpy.ndarray
        Shape ``(n, size)``.
    codes : numpy.ndarray
        Shape ``(n,)``: genres, or `UNKNOWN`.
    most, silhouettes : int
        Largest samples for the clusters and for the silhouette, whose work grows with the square.
    """
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score, v_measure_score

    generator = np.random.default_rng(seed)
    rows = _sample(np.flatnonzero(codes != UNKNOWN), most, generator)
    genres = len(np.unique(codes[rows]))
    if not 2 <= genres < len(rows):
        return None
    values = np.asarray(vectors[rows], np.float64)
    assigned = KMeans(genres, n_init=3, random_state=seed).fit_predict(values)
    few = _sample(np.arange(len(rows)), silhouettes, generator)
    if not 2 <= len(np.unique(codes[rows[few]])) < len(few):
        return None
    silhouette = silhouette_score(values[few], codes[rows[few]])
    return Clusters(float(silhouette), float(v_measure_score(codes[rows], assigned)), len(rows), genres)


@dataclass(frozen=True)
class Probe:
    """Metrics of a linear model of a trait, on artists that it was not fitted on.

    Attributes
    ----------
    measure : str
        ``accuracy``, or ``mean absolute error`` in the unit of the trait.
    value, chance : float
        Of the linear model, and of always predicting the most frequent class or the median.
    r_squared : float, optional
        Coefficient of determination of a number; may be negative.
    """

    measure: str
    value: float
    chance: float
    songs: int
    r_squared: float | None = None


FOLDS = 5
FEWEST_SONGS = 50

MOST_DEVIATIONS = 10.0
"""Features are clipped to this many standard deviations."""


def probe(vectors: np.ndarray, trait: np.ndarray, groups: np.ndarray, seed: int, most: int = 20_000) -> Probe | None:
    """Fit a linear model to a trait by five-fold cross-validation, split by artist.

    Parameters
    ----------
    vectors : numpy.ndarray
        Shape ``(n, size)``.
    trait : numpy.ndarray
        Shape ``(n,)``: codes (integers, or `UNKNOWN`) for logistic regression, or numbers (floats, or NaN) for ridge
        regression.
    groups : numpy.ndarray
        Shape ``(n,)``: the artist of each song.
    most : int
        Largest sample.

    Returns
    -------
    Probe or None
        None for fewer than `FEWEST_SONGS` songs with the trait or five artists, or if it is constant in the training
        part of a fold.
    """
    from sklearn.dummy import DummyClassifier, DummyRegressor
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.metrics import accuracy_score, mean_absolute_error, r2_score
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler
    from threadpoolctl import threadpool_limits

    of_classes = np.issubdtype(trait.dtype, np.integer)
    known = trait != UNKNOWN if of_classes else np.isfinite(trait)
    rows = _sample(np.flatnonzero(known), most, np.random.default_rng(seed))
    if len(rows) < FEWEST_SONGS or len(np.unique(groups[rows])) < FOLDS or len(np.unique(trait[rows])) < 2:
        return None
    values, true = np.asarray(vectors[rows], np.float64), trait[rows]
    parts = list(GroupKFold(FOLDS).split(values, groups=groups[rows]))
    if any(len(np.unique(true[fitted])) < 2 for fitted, _ in parts):
        return None
    model = LogisticRegression(max_iter=300) if of_classes else Ridge()
    guess = DummyClassifier(strategy="prior") if of_classes else DummyRegressor(strategy="median")
    # An outlier beyond the training data should not predict a year of 60,000.
    cut = FunctionTransformer(np.clip, kw_args={"a_min": -MOST_DEVIATIONS, "a_max": MOST_DEVIATIONS})
    predicted = []
    for candidate in (make_pipeline(StandardScaler(), cut, model), guess):
        # For matrices of this size BLAS threads wait for each other longer than they compute.
        with warnings.catch_warnings(), threadpool_limits(1):
            warnings.simplefilter("ignore", ConvergenceWarning)  # nearly converged is good enough
            predicted.append(cross_val_predict(candidate, values, true, cv=parts))
    score = accuracy_score if of_classes else mean_absolute_error
    return Probe(
        "accuracy" if of_classes else "mean absolute error",
        float(score(true, predicted[0])),
        float(score(true, predicted[1])),
        len(rows),
        None if of_classes else float(r2_score(true, predicted[0])),
    )


def as_json(metric: Agreement | Clusters | Probe | None) -> dict[str, Any] | None:
    """Return a metric for a JSON file; None stays None."""
    return None if metric is None else asdict(metric)


def _sample(rows: np.ndarray, most: int, generator: np.random.Generator) -> np.ndarray:
    return np.sort(generator.choice(rows, most, replace=False)) if len(rows) > most else rows
