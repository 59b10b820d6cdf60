"""The figures that models are compared and chosen by."""

from __future__ import annotations

from training.targets import FACTORS, GENRE, POPULARITY, TAGS

MAIN_FIGURES = {
    GENRE: ("macro_f1", "accuracy"),
    POPULARITY: ("macro_f1", "off_by_one_accuracy"),
    TAGS: ("macro_roc_auc", "macro_pr_auc"),
    FACTORS: ("cosine", "mean_squared_error"),
}
"""The first one decides; the second is shown beside it. By target."""

LESS_IS_BETTER = frozenset({"loss", "log_loss", "mean_squared_error"})
"""Figures of which less is better."""
