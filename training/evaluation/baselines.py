"""Baselines that know only the truths of the train split, not the songs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from training.evaluation.bootstrap import Artists, Candidate, mean_statistic, together
from training.evaluation.classification import without_trivial, without_trivial_resamples
from training.evaluation.confusion import expected_confusion_statistic

UNDEFINED = ("macro_average_precision", "micro_average_precision", "macro_roc_auc", "log_loss")
"""Metrics that need probabilities or a ranking, which random guesses do not have."""


@dataclass(frozen=True)
class TrainingTruths:
    """Truths of the train split, of all its examples with or without the target.

    Attributes
    ----------
    track_ids, artist_groups : numpy.ndarray
        Shape ``(n,)``.
    prior : numpy.ndarray
        Shape ``(size,)``, float64: the share of each class or tag, or the mean factors.
    classes : numpy.ndarray
        Shape ``(n,)``, int32: -1 for an example without a class, and for all if the target is not a class.
    """

    track_ids: np.ndarray
    artist_groups: np.ndarray
    prior: np.ndarray
    classes: np.ndarray

    @classmethod
    def of(
        cls, track_ids: np.ndarray, artist_groups: np.ndarray, true: np.ndarray, present: np.ndarray, size: int
    ) -> TrainingTruths:
        """Summarise the truths of the train split; those that are not `present` are ignored."""
        known = true[present]
        if true.ndim == 1:
            prior = np.bincount(known, minlength=size) / max(1, len(known))
            return cls(track_ids, artist_groups, prior, np.where(present, true, -1).astype(np.int32))
        prior = known.mean(axis=0, dtype=np.float64) if len(known) else np.zeros(size)
        return cls(track_ids, artist_groups, prior, np.full(len(true), -1, np.int32))


def stratified_random(
    true: np.ndarray, shares: np.ndarray, classes: Sequence[str], artists: Artists, *, ordinal: bool = False
) -> Candidate:
    """Return the baseline that guesses each class at random, as often as the train split has it.

    The metrics are those of the expected confusion matrix: of `n` examples of a class, ``n * shares[k]`` are guessed
    as class `k`. Accuracy, balanced accuracy and recall are expected values; F1, a ratio, is approximate. Intervals
    cover the choice of songs, not the randomness of the guesses. Ordered classes also get ``off_by_one_accuracy``.
    """
    support = np.bincount(true, minlength=len(shares))
    by_class = {
        name: {
            "support": int(n),
            "precision": float(n / len(true)) if share else None,
            "recall": float(share) if n else None,
            "f1": _harmonic_mean(n / len(true), share) if n else None,
        }
        for name, n, share in zip(classes, support, shares, strict=True)
    }
    statistic = expected_confusion_statistic(true, shares, artists)
    if ordinal:
        near = np.convolve(shares, np.ones(3), mode="same")[true]
        statistic = together(statistic, mean_statistic({"off_by_one_accuracy": near}, artists))
    statistic = without_trivial_resamples(statistic, true, artists)
    metrics: dict[str, Any] = {name: float(value) for name, (value,) in statistic(np.ones((artists.count, 1))).items()}
    metrics["micro_f1"] = metrics["accuracy"]
    metrics = {"examples": len(true), **metrics, **dict.fromkeys(UNDEFINED), "by_class": by_class}
    return Candidate(without_trivial(metrics, true), statistic)


def _harmonic_mean(precision: float, recall: float) -> float:
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


def artist_mean_scores(groups: np.ndarray, training: TrainingTruths) -> tuple[np.ndarray, int]:
    """Return the class shares of each example's artist in the train split.

    The shares of the train split count as one more song of each artist. In a split by artist no artist is known, so
    this baseline equals the majority; in a split by track it shows the value of knowing the artist.

    Returns
    -------
    scores : numpy.ndarray
        Shape ``(n, n_classes)``.
    known : int
        Number of examples whose artist has a song with a class in the train split.
    """
    with_class = training.classes >= 0
    names, index = np.unique(training.artist_groups[with_class], return_inverse=True)
    counts = np.zeros((len(names) + 1, len(training.prior)))
    np.add.at(counts, (index, training.classes[with_class]), 1)
    known = np.isin(groups, names)
    # The last row of the counts, all zeros, is for unknown artists.
    own = counts[np.where(known, np.searchsorted(names, groups), len(names))]
    return (own + training.prior) / (own.sum(axis=1, keepdims=True) + 1), int(known.sum())
