"""Figures of a tagger: each tag is a yes or no of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from training.evaluation.bootstrap import Artists, mean_statistic, together
from training.evaluation.candidate import Candidate
from training.evaluation.classification import SMALLEST_PROBABILITY, mean_of_defined
from training.evaluation.ranking import macro_ranking_statistic


def tagger(true: np.ndarray, scores: np.ndarray, tags: Sequence[str], artists: Artists) -> Candidate:
    """Return a tagger to be judged with intervals.

    Parameters
    ----------
    true : numpy.ndarray
        Shape ``(n, n_tags)``: 1 where a track has a tag, else 0.
    scores : numpy.ndarray
        Shape ``(n, n_tags)``: probabilities.
    tags : sequence of str
    artists : Artists
    """
    statistic = together(
        macro_ranking_statistic(true > 0, scores.astype(np.float64), artists),
        mean_statistic({"log_loss": tag_losses(true, scores)}, artists),
    )
    return Candidate(multilabel_metrics(true, scores, tags), statistic)


def tag_losses(true: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return each example's binary cross-entropy, the mean over tags: shape ``(n,)``, in nats."""
    wide = scores.astype(np.float64)
    given = np.where(true > 0, wide, 1 - wide)
    return -np.log(np.maximum(given, SMALLEST_PROBABILITY)).mean(axis=1)


def multilabel_metrics(true: np.ndarray, scores: np.ndarray, tags: Sequence[str]) -> dict[str, Any]:
    """Return the figures of a tagger on at least one example.

    Parameters
    ----------
    true, scores : numpy.ndarray
        Shape ``(n, n_tags)``: 0 or 1, and probabilities.
    tags : sequence of str
        Names by index.

    Returns
    -------
    dict
        ``examples``; ``macro_roc_auc`` and ``macro_pr_auc``, means over the tags that have a positive and a
        negative example; ``tags_judged`` and ``tags_left_out``, how many those are and how many not;
        ``log_loss``; ``by_class``, a row a tag, null where a figure is not defined. The area under the
        precision-recall curve is the average precision, without interpolation.
    """
    positive = true > 0
    by_class: dict[str, dict[str, Any]] = {}
    for place, tag in enumerate(tags):
        mine, said = positive[:, place], scores[:, place]
        judged = bool(mine.any() and not mine.all())
        by_class[tag] = {
            "support": int(mine.sum()),
            "roc_auc": float(roc_auc_score(mine, said)) if judged else None,
            "pr_auc": float(average_precision_score(mine, said)) if judged else None,
        }
    n_judged = sum(row["roc_auc"] is not None for row in by_class.values())
    return {
        "examples": len(true),
        "macro_roc_auc": mean_of_defined([row["roc_auc"] for row in by_class.values()]),
        "macro_pr_auc": mean_of_defined([row["pr_auc"] for row in by_class.values()]),
        "log_loss": float(tag_losses(true, scores).mean()),
        "tags_judged": n_judged,
        "tags_left_out": len(tags) - n_judged,
        "by_class": by_class,
    }
