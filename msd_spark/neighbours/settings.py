"""What is asked of a search for neighbours, and the names of what lies in ``neighbours/RUN``."""

from __future__ import annotations

from dataclasses import dataclass

from msd_spark.core.errors import UserError

STAGE = "neighbours"
TABLE = "neighbours"

METRICS = ("cosine", "euclidean")
SPACES = ("embeddings", "factors")
METHODS = ("exact", "approximate", "auto")
EXCLUSIONS = ("same-artist", "duplicates")

INDEX_FILE = "_index.faiss"
SEARCH_FILE = "_search.json"
QUALITY_FILE = "_quality.json"
"""Files within the table's folder. Spark, pandas and pyarrow pass over names that begin with an underscore, but
Spark does not pass over ``_metadata…``."""

EXACT_UP_TO = 250_000
"""Songs up to which ``auto`` searches exactly: a minute and a half on one core. The work grows with the square."""


@dataclass(frozen=True)
class NeighbourSettings:
    """Which neighbours of which run are searched, and how.

    Attributes
    ----------
    warehouse, run : str
    k : int
        Neighbours of each song.
    metric : str
        One of `METRICS`.
    method : str
        One of `METHODS`.
    exclude : tuple of str
        Of `EXCLUSIONS`: songs of the same artist; the same song under another track id.
    queries_per_task : int
        Songs whose neighbours one Spark task finds.
    recall : float
        The least share of the exact neighbours that the index is tuned to find.
    recall_queries : int
        Songs of the seeded sample on which recall is measured.
    label_set : str, optional
        The genres that the space is judged by; that of the run's dataset where it is left out.
    quality : bool
        Whether to judge the space as well.
    seed : int
    space : str
        One of `SPACES`: ``embeddings/RUN``, or the tracks of ``factors/``, whose neighbours go to ``neighbours/RUN``.
    """

    warehouse: str
    run: str
    k: int = 10
    metric: str = "cosine"
    method: str = "auto"
    exclude: tuple[str, ...] = ()
    queries_per_task: int = 4096
    recall: float = 0.97
    recall_queries: int = 1000
    label_set: str | None = None
    quality: bool = True
    seed: int = 0
    space: str = "embeddings"

    def __post_init__(self) -> None:
        """Refuse what cannot be searched.

        Raises
        ------
        UserError
        """
        for what, value, known in (
            ("space", self.space, SPACES),
            ("metric", self.metric, METRICS),
            ("method", self.method, METHODS),
        ):
            if value not in known:
                raise UserError(f"the {what} is one of {', '.join(known)}, not {value!r}")
        for value in self.exclude:
            if value not in EXCLUSIONS:
                raise UserError(f"--exclude takes {' and '.join(EXCLUSIONS)}, not {value!r}")
        for what, count in (("k", self.k), ("songs a task", self.queries_per_task), ("sample", self.recall_queries)):
            if count < 1:
                raise UserError(f"{what} is at least 1, not {count}")
        if not 0 < self.recall <= 1:
            raise UserError(f"a recall is above 0 and at most 1, not {self.recall}")
