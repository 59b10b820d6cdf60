"""Figures that say whether a space of songs is good: neighbours that share a trait, clusters, linear probes.

Each stands beside what chance would give, and can be had of several spaces of the same songs alike.
"""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

UNKNOWN = -1
"""The code of a trait that is not known of a song."""


@dataclass(frozen=True)
class Agreement:
    """How often neighbours share a trait.

    Attributes
    ----------
    share : float or None
        Of the pairs of a song and its neighbour of whom both have the trait, those in which it is the same; None where
        there are no such pairs.
    chance : float or None
        The same share, had each song's neighbours been drawn at random from all other songs with the trait.
    pairs : int
    """

    share: float | None
    chance: float | None
    pairs: int


def agreement(
    codes: np.ndarray, queries: np.ndarray, neighbours: np.ndarray, among: np.ndarray | None = None
) -> Agreement:
    """Return how often songs and their neighbours share a trait.

    Parameters
    ----------
    codes : numpy.ndarray
        Shape ``(n,)``: the trait of each song as a number; `UNKNOWN` where it has none.
    queries : numpy.ndarray
        Shape ``(m,)``: numbers of songs.
    neighbours : numpy.ndarray
        Shape ``(m, k)``: numbers of their neighbours; below 0 where there are no more.
    among : numpy.ndarray, optional
        Shape ``(n,)``, bool: queries that count; all where it is left out.
    """
    mine = codes[queries].astype(np.int64)
    if among is not None:
        mine = np.where(among[queries], mine, UNKNOWN)
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
    """How well genres are apart.

    Attributes
    ----------
    silhouette : float
        Of genres, from -1 to 1 [1]_: how much nearer a song is to its own genre than to the next.
    v_measure : float
        Of as many k-means clusters as genres, from 0 to 1 [2]_.
    songs, genres : int

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
    """Judge how well genres are apart, on a seeded sample; None with fewer than two genres or too few songs.

    Parameters
    ----------
    vectors : numpy.ndarray
        Shape ``(n, size)``.
    codes : numpy.ndarray
        Shape ``(n,)``: genres; `UNKNOWN` where a song has none.
    seed, most, silhouettes : int
        Of the sample: its seed, its songs, and its songs for the silhouette, whose work grows with the square.
    """
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score, v_measure_score

    generator = np.random.default_rng(seed)
    rows = _sample(np.flatnonzero(codes != UNKNOWN), most, generator)
    genres = len(np.unique(codes[rows]))
    if not 2 <= genres < len(rows):
        return None
    values = np.asarray(vectors[rows], np.float64)
    found = KMeans(genres, n_init=3, random_state=seed).fit_predict(values)
    few = _sample(np.arange(len(rows)), silhouettes, generator)
    if not 2 <= len(np.unique(codes[rows[few]])) < len(few):
        return None
    silhouette = silhouette_score(values[few], codes[rows[few]])
    return Clusters(float(silhouette), float(v_measure_score(codes[rows], found)), len(rows), genres)


@dataclass(frozen=True)
class Probe:
    """What a linear model reads off the vectors, on artists that it was not fitted on.

    Attributes
    ----------
    measure : str
        ``accuracy``, or ``mean absolute error`` in the unit of the trait.
    value, chance : float
        Of the linear model, and of always saying the commonest class or the median.
    songs : int
    r_squared : float, optional
        Of a number: the share of its variance that is explained; may be negative.
    """

    measure: str
    value: float
    chance: float
    songs: int
    r_squared: float | None = None


FOLDS = 5
FEWEST_SONGS = 50

MOST_DEVIATIONS = 10.0
"""Beyond so many standard deviations a number is cut before a probe sees it."""


def probe(vectors: np.ndarray, trait: np.ndarray, groups: np.ndarray, seed: int, most: int = 20_000) -> Probe | None:
    """Fit a linear model to a trait, on five parts of the songs in turn that share no artist.

    Parameters
    ----------
    vectors : numpy.ndarray
        Shape ``(n, size)``.
    trait : numpy.ndarray
        Shape ``(n,)``: codes (whole numbers; `UNKNOWN` for none), for which logistic regression is taken, or numbers
        (floats; NaN for none), for which ridge regression is.
    groups : numpy.ndarray
        Shape ``(n,)``: the artist of each song.
    seed, most : int
        Of the sample.

    Returns
    -------
    Probe or None
        None for fewer than `FEWEST_SONGS` songs with the trait or five artists, or where it does not vary in
        each four of the five parts.
    """
    from sklearn.dummy import DummyClassifier, DummyRegressor
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.metrics import accuracy_score, mean_absolute_error, r2_score
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

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
    # A song far outside of all that a probe was fitted on says which way, not that its year is 60,000.
    cut = FunctionTransformer(np.clip, kw_args={"a_min": -MOST_DEVIATIONS, "a_max": MOST_DEVIATIONS})
    said = []
    for candidate in (make_pipeline(StandardScaler(), cut, model), guess):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a probe that is nearly there tells as much
            said.append(cross_val_predict(candidate, values, true, cv=parts))
    score = accuracy_score if of_classes else mean_absolute_error
    return Probe(
        "accuracy" if of_classes else "mean absolute error",
        float(score(true, said[0])),
        float(score(true, said[1])),
        len(rows),
        None if of_classes else float(r2_score(true, said[0])),
    )


def as_json(figure: Agreement | Clusters | Probe | None) -> dict[str, Any] | None:
    """Return a figure for a JSON file; None where there is none."""
    return None if figure is None else asdict(figure)


def _sample(rows: np.ndarray, most: int, generator: np.random.Generator) -> np.ndarray:
    return np.sort(generator.choice(rows, most, replace=False)) if len(rows) > most else rows
