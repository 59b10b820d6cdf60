"""Baselines fitted on features of the songs, by scikit-learn.

These are logistic regression and gradient boosting. Penalty and class weights of the logistic regression are those with
the best deciding metric (macro F1 for classes, macro ROC-AUC for tags) in cross-validation by artist within the train
split; tags always have balanced weights. Gradient boosting has the same class weights. Factors have ridge regression
only.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold
from sklearn.preprocessing import KBinsDiscretizer, StandardScaler
from threadpoolctl import threadpool_limits

from training.data.targets.target import CLASSES, LABELS, NUMBERS, Target
from training.evaluation.mapping import Mapper, map_here
from training.evaluation.song_features import Features

LOGISTIC, BOOSTING, RIDGE = "logistic regression", "gradient boosting", "ridge regression"

PENALTIES = (0.1, 1.0, 10.0, 100.0)
"""Values of scikit-learn's C: the sum of losses per unit of squared weights."""

RIDGE_PENALTIES = tuple(1 / c for c in PENALTIES)
DEFAULT_PENALTY, DEFAULT_WEIGHTS = 1.0, "balanced"
"""Used where cross-validation is impossible: fewer than two artists or classes."""

FOLDS = 3
TRAINING_EXAMPLES = 50_000
"""Training examples to read."""

SEARCH_EXAMPLES = 5_000
"""Training examples, by whole artists, on which penalty and weights are chosen."""

ITERATIONS = 300
BOOSTING_ITERATIONS = 50
BOOSTING_BINS = 32
"""Quantile bins of each feature, computed once: with class weights scikit-learn's own take 40 s per tag."""

BOOSTING_TREES = {CLASSES: (15, 1.0), LABELS: (8, 0.1)}
"""Leaves of a tree, and share of the features to search for each split; smaller for tags, which have a model each."""

WORD_COMPONENTS = 50
"""Components of the words for gradient boosting, which takes no sparse features."""

LARGEST_DEVIATION = 4.0
SMALLEST_DOCUMENT_FREQUENCY = 2

ONE_THREAD_BELOW = 2_000_000
"""Stored values of a feature matrix below which one thread is faster than several, up to 15 times."""

Predict = Callable[[Any], np.ndarray]
"""From encoded features of `n` songs to scores of shape ``(n, size)``."""

Score = Callable[[np.ndarray, np.ndarray], float | None]
"""From truths and scores to the deciding metric, higher is better; None if it is undefined."""


@dataclass(frozen=True)
class Fitted:
    """A fitted baseline; `notes` are for ``metrics.json``."""

    predict: Callable[[Features], np.ndarray]
    notes: dict[str, Any]


class Encoder:
    """Features of songs, scaled on the train split.

    Numbers are standardised, clipped to ±4 standard deviations and divided by the square root of their number. Words
    are ``(1 + ln count) * idf`` with smoothed idf, of unit norm; words in fewer than two songs are left out.
    """

    def __init__(self, train: Features) -> None:
        self.scaler = StandardScaler().fit(train.values) if train.values.shape[1] else None
        self.n_words = int(train.word_indices.max(initial=0)) + 1
        counts = self._counts(train)
        self.known = np.flatnonzero(np.bincount(counts.indices, minlength=self.n_words) >= SMALLEST_DOCUMENT_FREQUENCY)
        self.tfidf = TfidfTransformer(sublinear_tf=True).fit(counts[:, self.known]) if len(self.known) else None

    def _counts(self, features: Features) -> sparse.csr_matrix:
        rows, places = np.nonzero((features.word_indices > 0) & (features.word_indices < self.n_words))
        cells = features.word_counts[rows, places].astype(np.float64), (rows, features.word_indices[rows, places])
        return sparse.csr_matrix(cells, shape=(len(features.track_ids), self.n_words))

    def numbers(self, features: Features) -> np.ndarray:
        """Return the scaled numbers: shape ``(n, k)``, float64."""
        if self.scaler is None:  # classifiers need a feature, and a single word has no components
            return np.zeros((len(features.track_ids), int(len(self.known) < 2)))
        scaled = self.scaler.transform(features.values.astype(np.float64))
        return np.clip(scaled, -LARGEST_DEVIATION, LARGEST_DEVIATION) / np.sqrt(scaled.shape[1])

    def words(self, features: Features) -> sparse.csr_matrix:
        """Return the weighted words: shape ``(n, n_known_words)``."""
        if self.tfidf is None:
            return sparse.csr_matrix((len(features.track_ids), 0))
        return self.tfidf.transform(self._counts(features)[:, self.known])

    def everything(self, features: Features) -> Any:
        """Return numbers and words, sparse only if there are words."""
        numbers, words = self.numbers(features), self.words(features)
        return sparse.hstack([sparse.csr_matrix(numbers), words], format="csr") if words.shape[1] else numbers


def fit_learned(target: Target, train: Features, score: Score, mapper: Mapper = map_here) -> dict[str, Fitted]:
    """Return the fitted baselines by name; the train split must have an example.

    The trials of penalties and weights, and then the two fits, are spread by `mapper`.
    """
    encoder = Encoder(train)
    encoded = encoder.everything(train)
    penalty, weights, notes = _choose(target, encoded, train, score, None, mapper)
    if target.form == NUMBERS:
        return {RIDGE: _fit_linear(target, train, encoder, encoded, penalty, weights, notes)}

    def fit(name: str) -> Fitted:
        if name == LOGISTIC:
            return _fit_linear(target, train, encoder, encoded, penalty, weights, notes)
        facts = {"class_weights": notes["class_weights"], "training_examples": len(train.track_ids)}
        return Fitted(_fit_boosting(target, encoder, train, weights), facts | {"iterations": BOOSTING_ITERATIONS})

    names = (LOGISTIC, BOOSTING)
    return dict(zip(names, mapper(fit, names), strict=True))


def fit_linear(
    target: Target, train: Features, score: Score, encoder: Encoder, chosen_on: Features | None = None
) -> Fitted:
    """Return the fitted logistic regression, or ridge regression for factors.

    Penalty and class weights are chosen by cross-validation in `train`, or by the metric on the songs `chosen_on`.
    """
    encoded = encoder.everything(train)
    other = None if chosen_on is None else (encoder.everything(chosen_on), chosen_on.true)
    return _fit_linear(target, train, encoder, encoded, *_choose(target, encoded, train, score, other))


def _fit_linear(
    target: Target,
    train: Features,
    encoder: Encoder,
    encoded: Any,
    penalty: float,
    weights: str | None,
    notes: dict[str, Any],
) -> Fitted:
    with _quietly(encoded.size):
        predict = _fit(target, encoded, train.true, penalty, weights)
    notes = notes | {"training_examples": len(train.track_ids), "words": len(encoder.known)}
    return Fitted(lambda features: predict(encoder.everything(features)), notes)


@contextmanager
def _quietly(size: int) -> Iterator[None]:
    """Fit with the fastest number of threads, without warnings of slow convergence.

    At weak regularisation the last digits of the weights converge slowly and change no metric.
    """
    with warnings.catch_warnings(), _threads(size):
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def _threads(size: int) -> threadpool_limits:
    return threadpool_limits(1 if size < ONE_THREAD_BELOW else None)


def _choose(
    target: Target,
    encoded: Any,
    train: Features,
    score: Score,
    other: tuple[Any, np.ndarray] | None,
    mapper: Mapper = map_here,
) -> tuple[float, str | None, dict[str, Any]]:
    """Return the best penalty and class weights, and notes.

    They have the best metric of pooled predictions in cross-validation. With encoded features and truths of `other`
    songs, the metric is that on these songs.
    """
    subset = _some_artists(train.artist_groups)
    values, true, groups = encoded[subset], train.true[subset], train.artist_groups[subset]
    n_groups = len(np.unique(groups))
    # Without weights one penalty does not fit both frequent and rare tags.
    weightings = {NUMBERS: (None,), LABELS: (DEFAULT_WEIGHTS,), CLASSES: (None, DEFAULT_WEIGHTS)}[target.form]
    folds = list[tuple[np.ndarray, np.ndarray]]()
    settings = list[tuple[float, str | None]]()

    def metric_of(setting: tuple[float, str | None]) -> float | None:
        with _quietly(encoded.size):
            if other is not None:
                return score(other[1], _fit(target, encoded, train.true, *setting)(other[0]))
            scores = np.zeros((len(true), target.size))
            for learn, judge in folds:
                scores[judge] = _fit(target, values[learn], true[learn], *setting)(values[judge])
            return score(true, scores)

    if n_groups >= 2 and (target.is_vector or np.ptp(true)):
        folds = list(_folds(target, true, groups, min(FOLDS, n_groups)))
        penalties = RIDGE_PENALTIES if target.form == NUMBERS else PENALTIES
        settings = [(penalty, weights) for weights in weightings for penalty in penalties]
    tried = [
        (metric, *setting)
        for metric, setting in zip(mapper(metric_of, settings), settings, strict=True)
        if metric is not None
    ]
    _, penalty, weights = max(tried, key=lambda one: one[0], default=(0.0, DEFAULT_PENALTY, DEFAULT_WEIGHTS))
    rows = [{"C": one[1], "class_weights": one[2] or "none", "metric": one[0]} for one in tried]
    notes = {"C": penalty, "class_weights": weights or "none", "folds": FOLDS, "search_examples": len(true)}
    return penalty, weights, notes | {"cross_validation": rows}


def _some_artists(groups: np.ndarray) -> np.ndarray:
    """Return a mask of at most about `SEARCH_EXAMPLES` examples, of whole artists."""
    names, index, counts = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.random.default_rng(0).permutation(len(names))
    chosen = order[: max(2, int(np.searchsorted(np.cumsum(counts[order]), SEARCH_EXAMPLES, side="right")))]
    return np.isin(index, chosen)


def _folds(target: Target, true: np.ndarray, groups: np.ndarray, n_folds: int) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class with fewer examples than folds
        if target.form == CLASSES and np.bincount(true).max() >= n_folds:
            return list(StratifiedGroupKFold(n_folds, shuffle=True, random_state=0).split(true, true, groups))
    return GroupKFold(n_folds).split(groups, groups=groups)


def _fit(target: Target, values: Any, true: np.ndarray, penalty: float, weights: str | None) -> Predict:
    if target.form == NUMBERS:
        ridge = Ridge(alpha=penalty).fit(values, true)
        return lambda features: ridge.predict(features).reshape(features.shape[0], -1)
    return _by_class(
        target, values, true, lambda: LogisticRegression(C=penalty, class_weight=weights, max_iter=ITERATIONS)
    )


def _fit_boosting(target: Target, encoder: Encoder, train: Features, weights: str | None) -> Any:
    words = encoder.words(train)
    n_components = min(WORD_COMPONENTS, words.shape[0] - 1, words.shape[1] - 1)
    reduction = TruncatedSVD(n_components, random_state=0).fit(words) if n_components > 0 else None

    def dense(features: Features) -> np.ndarray:
        parts = [encoder.numbers(features)]
        if reduction is not None:
            parts.append(reduction.transform(encoder.words(features)))
        return np.hstack(parts)

    leaves, share = BOOSTING_TREES[target.form]

    def estimator() -> Any:
        return HistGradientBoostingClassifier(
            max_iter=BOOSTING_ITERATIONS,
            max_leaf_nodes=leaves,
            max_features=share,
            class_weight=weights,
            early_stopping=False,
            random_state=0,
        )

    values = dense(train)
    with warnings.catch_warnings(), _threads(values.size):
        warnings.simplefilter("ignore", UserWarning)  # a constant feature
        bins = KBinsDiscretizer(BOOSTING_BINS, encode="ordinal", quantile_method="averaged_inverted_cdf").fit(values)
        predict = _by_class(target, bins.transform(values), train.true, estimator)
    return lambda features: predict(bins.transform(dense(features)))


def _by_class(target: Target, values: Any, true: np.ndarray, estimator: Callable[[], Any]) -> Predict:
    """Fit a classifier, or one per tag; a class without a training example has probability 0."""
    if target.is_vector:
        columns = (true > 0).T.astype(int)
        fitted = [estimator().fit(values, own) if np.ptp(own) else float(own[0]) for own in columns]
        return lambda features: np.column_stack(
            [
                np.full(features.shape[0], one) if isinstance(one, float) else one.predict_proba(features)[:, 1]
                for one in fitted
            ]
        )
    classes = np.unique(true)
    if len(classes) < 2:
        return lambda features: np.tile(np.eye(target.size)[classes[0]], (features.shape[0], 1))
    classifier = estimator().fit(values, true)

    def predict(features: Any) -> np.ndarray:
        scores = np.zeros((features.shape[0], target.size))
        scores[:, classes] = classifier.predict_proba(features)
        return scores

    return predict
