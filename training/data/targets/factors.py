"""The target ``factors``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msd_spark.core.schemas import FACTOR_VECTOR
from training.data.targets.forms import NumberTarget

if TYPE_CHECKING:
    from training.data.dataset import Dataset


class Factors(NumberTarget):
    """The ALS factors of a song, from the play counts."""

    name = "factors"
    column = FACTOR_VECTOR
    content = "factors"
    remedy = "run msd-spark plays and msd-spark factors, then msd-spark dataset --factors"
    main_metrics = ("cosine", "mean_squared_error")
    headline_metrics = ("cosine", "mean_squared_error", "r2")

    @classmethod
    def outputs(cls, dataset: Dataset) -> Sequence[str]:
        """Return the names of the dimensions."""
        return [f"factor {number}" for number in range(dataset.width(cls.column))]
