"""The target ``genre``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from training.data.targets.forms import ClassTarget

if TYPE_CHECKING:
    from training.data.dataset import Dataset


class Genre(ClassTarget):
    """The genre of a song."""

    name = "genre"
    column = "genre_index"
    content = "a genre"
    remedy = "run msd-spark labels, then msd-spark dataset"
    more_classes = (
        "write a dataset with more genres: msd-spark dataset with another --label-set or a lower --min-examples"
    )
    main_metrics = ("macro_f1", "accuracy")
    headline_metrics = (
        "accuracy",
        "balanced_accuracy",
        "macro_f1",
        "weighted_f1",
        "macro_average_precision",
        "log_loss",
    )

    @classmethod
    def outputs(cls, dataset: Dataset) -> Sequence[str]:
        """Return the genres of the label set."""
        return dataset.labels
