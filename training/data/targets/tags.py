"""The target ``tags``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msd_spark.core.schemas import TAG_VECTOR
from training.data.targets.forms import LabelTarget

if TYPE_CHECKING:
    from training.data.dataset import Dataset


class Tags(LabelTarget):
    """The Last.fm tags of a song, among the most frequent ones."""

    name = "tags"
    column = TAG_VECTOR
    content = "tags"
    remedy = "run msd-spark labels with a source of tags, then msd-spark dataset --tags 50"
    main_metrics = ("macro_roc_auc", "macro_pr_auc")
    headline_metrics = ("macro_roc_auc", "macro_pr_auc", "log_loss")

    @classmethod
    def outputs(cls, dataset: Dataset) -> Sequence[str]:
        """Return the tags by their position in the tag vector."""
        return dataset.tags
