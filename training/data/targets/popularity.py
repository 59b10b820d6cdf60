"""The target ``popularity``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msd_spark.core.schemas import DECILES
from training.data.targets.forms import ClassTarget

if TYPE_CHECKING:
    from training.data.dataset import Dataset


class Popularity(ClassTarget):
    """The decile of a song's play count: 0 for the least played tenth, 9 for the most played."""

    name = "popularity"
    column = "popularity_decile"
    content = "play counts"
    remedy = "run msd-spark plays, then msd-spark dataset"
    main_metrics = ("macro_f1", "off_by_one_accuracy")
    headline_metrics = (
        "accuracy",
        "off_by_one_accuracy",
        "macro_f1",
        "weighted_f1",
        "macro_average_precision",
        "log_loss",
    )
    ordinal = True

    @classmethod
    def outputs(cls, dataset: Dataset) -> Sequence[str]:
        """Return the names of the deciles."""
        return [f"decile {number}" for number in range(DECILES)]
