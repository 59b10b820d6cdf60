"""What a model learns to tell: a song's genre, its tags, how popular it is, or its factors from the listens."""

from __future__ import annotations

from dataclasses import dataclass

from msd_spark.core.errors import UserError
from msd_spark.core.schemas import FACTOR_VECTOR, PRESENCE, TAG_VECTOR
from training.data.dataset import Dataset

GENRE, TAGS, POPULARITY, FACTORS = "genre", "tags", "popularity", "factors"
TARGETS = (GENRE, TAGS, POPULARITY, FACTORS)
"""Every target by the name that ``--target`` takes."""

DECILES = 10
"""Classes of the popularity target: decile 0 is the least played tenth, 9 the most played."""

COLUMNS = {GENRE: "genre_index", TAGS: TAG_VECTOR, POPULARITY: "popularity_decile", FACTORS: FACTOR_VECTOR}
"""The column of an example that holds each target."""


@dataclass(frozen=True)
class Target:
    """What is predicted, and where a dataset holds it.

    Attributes
    ----------
    name : str
        One of `TARGETS`.
    size : int
        Outputs of the model's head.
    class_names : tuple of str
        What each output stands for.
    """

    name: str
    size: int
    class_names: tuple[str, ...]

    @property
    def column(self) -> str:
        """Column of the examples that holds the truth."""
        return COLUMNS[self.name]

    @property
    def presence(self) -> str:
        """Column that is 1 where an example has the target and 0 where it has not."""
        return PRESENCE[self.column]

    @property
    def is_vector(self) -> bool:
        """Whether an example's truth is a vector of `size` numbers; else it is the index of a class."""
        return self.name in (TAGS, FACTORS)

    @classmethod
    def of(cls, name: str, dataset: Dataset) -> Target:
        """Return a target as a dataset has it.

        Parameters
        ----------
        name : str
            One of `TARGETS`.
        dataset : Dataset

        Raises
        ------
        UserError
            When the dataset has no column of that target, with the command that writes one.
        """
        column = COLUMNS[name]
        if column not in dataset.columns:
            wanted, cure = {
                TAGS: ("tag vector", "write one with jobs/dataset.py --tags 50"),
                FACTORS: ("factors", "write them with jobs/factors.py and jobs/dataset.py --factors"),
            }.get(name, (f"column {column}", "write the dataset again with jobs/dataset.py"))
            raise UserError(f"dataset {dataset.name} has no {wanted}; {cure}")
        if name == GENRE:
            names = dataset.labels
        elif name == TAGS:
            names = dataset.tags
        else:
            size = DECILES if name == POPULARITY else dataset.width(column)
            names = [f"{'decile' if name == POPULARITY else 'factor'} {number}" for number in range(size)]
        return cls(name, len(names), tuple(names))
