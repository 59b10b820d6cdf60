"""Metrics of a tagger, for which each tag is one binary decision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from training.evaluation.bootstrap import Artists, Statistic, mean_statistic, together
from training.evaluation.classification import SMALLEST_PROBABILITY, mean_of_defined
from training.evaluation.ranking import macro_ranking_statistic


def tag_losses(true: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return each example's mean binary cross-entropy over tags: shape ``(n,)``, in nats."""
    wide = scores.astype(np.float64)
    correct = np.where(true > 0, wide, 1 - wide)
    return -np.log(np.maximum(correct, SMALLEST_PROBABILITY)).mean(axis=1)


def multilabel_statistic(true: np.ndarray, scores: np.ndarray, artists: Artists) -> Statistic:
    """Return the statistic of a tagger's main metrics; see `multilabel_metrics`."""
    return together(
        macro_ranking_statistic(true > 0, scores.astype(np.float64), artists),
        mean_statistic({"log_loss": tag_losses(true, scores)}, artists),
    )


def multilabel_metrics(true: np.ndarray, scores: np.ndarray, tags: Sequence[str]) -> dict[str, Any]:
    """Return the metrics of a tagger on at least one example; arrays are ``(n, n_tags)``.

    Returns
    -------
    dict
        ``examples``; ``macro_roc_auc`` and ``macro_pr_auc`` (average precision), means over the ``tags_judged``
        tags that have a positive and a negative example; ``tags_left_out``, the number of others; ``log_loss``;
        ``by_class``, one row per tag, null where a metric is undefined.
    """
    by_class: dict[str, dict[str, Any]] = {}
    for tag, positive, own in zip(tags, (true > 0).T, scores.T, strict=True):
        defined = bool(positive.any() and not positive.all())
        by_class[tag] = {
            "support": int(positive.sum()),
            "roc_auc": float(roc_auc_score(positive, own)) if defined else None,
            "pr_auc": float(average_precision_score(positive, own)) if defined else None,
        }
    n_defined = sum(row["roc_auc"] is not None for row in by_class.values())
    return {
        "examples": len(true),
        "macro_roc_auc": mean_of_defined([row["roc_auc"] for row in by_class.values()]),
        "macro_pr_auc": mean_of_defined([row["pr_auc"] for row in by_class.values()]),
        "log_loss": float(tag_losses(true, scores).mean()),
        "tags_judged": n_defined,
        "tags_left_out": len(tags) - n_defined,
        "by_class": by_class,
    }
