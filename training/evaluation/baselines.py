"""What one scores without listening: baselines that know the train split's truths, and nothing of the songs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.evaluation.bootstrap import Artists, mean_statistic, together
from training.evaluation.candidate import Candidate
from training.evaluation.confusion import confusion_metrics, expected_confusion_statistic

BASELINES = ("none", "simple", "all")
"""What ``--baselines`` takes: ``simple`` ones know the train split's truths alone, ``all`` adds a linear model."""


@dataclass(frozen=True)
class TrainingTruths:
    """What is true of the train split.

    Attributes
    ----------
    track_ids, artist_groups : numpy.ndarray
        Shape ``(n,)``: of every example, whether it has the target or not.
    prior : numpy.ndarray
        Shape ``(size,)``, float64: each class's share of the examples, each tag's share, or the mean factors.
    classes : numpy.ndarray
        Shape ``(n,)``, int32: each example's class, -1 where it has none; all -1 where the target is no class.
    """

    track_ids: np.ndarray
    artist_groups: np.ndarray
    prior: np.ndarray
    classes: np.ndarray

    @classmethod
    def of(
        cls, track_ids: np.ndarray, artist_groups: np.ndarray, true: np.ndarray, present: np.ndarray, size: int
    ) -> TrainingTruths:
        """Gather the truths of the train split.

        Parameters
        ----------
        track_ids, artist_groups : numpy.ndarray
            Shape ``(n,)``.
        true : numpy.ndarray
            Shape ``(n,)``: classes; or ``(n, size)``: tags or factors.
        present : numpy.ndarray
            Shape ``(n,)``, bool: whether the example has the target.
        size : int
            Classes, tags or factors.
        """
        known = true[present]
        if true.ndim == 1:
            counts = np.bincount(known, minlength=size)
            return cls(
                track_ids, artist_groups, counts / max(1, len(known)), np.where(present, true, -1).astype(np.int32)
            )
        prior = known.mean(axis=0, dtype=np.float64) if len(known) else np.zeros(size)
        return cls(track_ids, artist_groups, prior, np.full(len(true), -1, np.int32))


def prior_scores(prior: np.ndarray, n: int) -> np.ndarray:
    """Return the same scores for each of `n` examples: shape ``(n, size)``.

    For classes this is the majority baseline: the class it gives is the largest one, its probabilities are
    the train split's shares, the best that can be said without a song. A class that the train split lacks
    has no probability.
    """
    return np.tile(prior, (n, 1))


def stratified_random(
    true: np.ndarray, shares: np.ndarray, classes: Sequence[str], artists: Artists, *, ordinal: bool = False
) -> Candidate:
    """Return the baseline that guesses a class at random, each as often as the train split has it.

    In closed form: of the `n` examples of a class, ``n * shares[k]`` are taken for class `k` on average, and
    the figures are those of that expected confusion matrix. For accuracy, balanced accuracy and recall they
    are the expected values; F1, a ratio, is the value that single draws scatter about. A guess has no
    probability and puts nothing in order, so the figures of these are null. Intervals are over the songs that
    are judged, not over the guesses.

    Parameters
    ----------
    true : numpy.ndarray
        Shape ``(n,)``: classes.
    shares : numpy.ndarray
        Shape ``(n_classes,)``: of the train split.
    classes : sequence of str
    artists : Artists
    ordinal : bool
        Adds ``off_by_one_accuracy``, for classes that have an order.
    """
    support = np.bincount(true, minlength=len(shares))
    confusion = support[:, None] * shares
    figures = {name: float(value) for name, value in confusion_metrics(confusion).items()}
    by_class = {
        name: {
            "support": int(support[place]),
            "precision": float(support[place] / len(true)) if shares[place] else None,
            "recall": float(shares[place]) if support[place] else None,
            "f1": _harmonic(support[place] / len(true), shares[place]) if support[place] else None,
        }
        for place, name in enumerate(classes)
    }
    undefined = dict.fromkeys(("macro_average_precision", "micro_average_precision", "macro_roc_auc", "log_loss"))
    statistic = expected_confusion_statistic(true, shares, artists)
    if ordinal:
        near = np.convolve(shares, np.ones(3), mode="same")[true]
        figures["off_by_one_accuracy"] = float(near.mean())
        statistic = together(statistic, mean_statistic({"off_by_one_accuracy": near}, artists))
    figures["micro_f1"] = figures["accuracy"]
    return Candidate({"examples": len(true), **figures, **undefined, "by_class": by_class}, statistic)


def _harmonic(precision: float, recall: float) -> float:
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


def artist_mean_scores(groups: np.ndarray, training: TrainingTruths) -> tuple[np.ndarray, int]:
    """Return, for each example, the class shares of its artist in the train split, and for how many it had any.

    The train split's own shares count as one more song of each artist, so an artist of whom nothing is known
    gets just these. In a split that is disjoint by artist that is every one, and the baseline equals the
    majority; on a split by track it shows what knowing the artist is worth.

    Parameters
    ----------
    groups : numpy.ndarray
        Shape ``(n,)``: artist groups of the examples that are judged.
    training : TrainingTruths

    Returns
    -------
    scores : numpy.ndarray
        Shape ``(n, n_classes)``.
    known : int
        Examples whose artist has a song with a class in the train split.
    """
    judged = training.classes >= 0
    names, index = np.unique(training.artist_groups[judged], return_inverse=True)
    counts = np.zeros((len(names) + 1, len(training.prior)))
    np.add.at(counts, (index, training.classes[judged]), 1)
    place = np.searchsorted(names, groups)
    there = place < len(names)
    there[there] = names[place[there]] == groups[there]
    own = counts[np.where(there, place, len(names))]
    return (own + training.prior) / (own.sum(axis=1, keepdims=True) + 1), int(there.sum())
