"""Settings of neighbours, and the names of files in ``neighbours/RUN``."""

from __future__ import annotations

from dataclasses import dataclass

from msd_spark.core.options import NAME, SEED, Check, Settings, at_least, keep_versions_option, option, warehouse_option

TABLE = "neighbours"

METRICS = ("cosine", "euclidean")
EMBEDDINGS, FACTORS = SPACES = ("embeddings", "factors")
EXACT, APPROXIMATE, AUTO = METHODS = ("exact", "approximate", "auto")
EXCLUSIONS = ("same-artist", "duplicates")

INDEX_FILE = "_index.faiss"
SEARCH_FILE = "_search.json"
QUALITY_FILE = "_quality.json"
"""Files in the table's folder. Spark, pandas and pyarrow skip names that begin with an underscore, but Spark does not
skip ``_metadata…``."""

EXACT_UP_TO = 250_000
"""Most songs for which ``auto`` searches exactly: about two minutes of one core. The work grows with the square."""


@dataclass(frozen=True)
class NeighbourSettings(Settings):
    """Settings of neighbours; a field without help text is no option."""

    warehouse: str = warehouse_option()
    run: str | None = option(
        None,
        "run to search, the newest by default; with --space factors the table's name",
        metavar="RUN",
        check=NAME,
    )
    space: str = option(EMBEDDINGS, "a run's embeddings, or the tracks' factors", choices=SPACES)
    k: int = option(10, "neighbours per song", check=at_least(1))
    metric: str = option("cosine", "distance between songs", choices=METRICS)
    method: str = option(
        AUTO, f"exact search, or by the index; auto is exact up to {EXACT_UP_TO:,} songs", choices=METHODS
    )
    exclude: tuple[str, ...] = option(
        (), "songs to leave out: of the same artist; the same song under another track id", choices=EXCLUSIONS
    )
    queries_per_task: int = option(4096, "songs per Spark task", check=at_least(1))
    recall: float = option(
        0.97, "tune the index to this recall", check=Check(lambda value: 0 < value <= 1, "greater than 0, at most 1")
    )
    label_set: str | None = option(
        None, "genres for the quality metrics; those of the run's dataset by default", metavar="NAME", check=NAME
    )
    quality: bool = option(True, "compute quality metrics of the space")
    seed: int = option(0, "random seed for samples and the index", check=SEED)
    recall_queries: int = 1000
    """Songs of the seeded sample on which the index's recall is measured."""
    keep_versions: int = keep_versions_option()
