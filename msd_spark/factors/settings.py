"""Settings of factors, and the names of files in ``factors/`` and ``recommendations/``."""

from __future__ import annotations

import math
from dataclasses import dataclass

from msd_spark.core.options import (
    NAME,
    SEED,
    Check,
    OptionError,
    Settings,
    at_least,
    between,
    keep_versions_option,
    option,
    warehouse_option,
)

TABLE = "factors"
RECOMMENDATIONS = "recommendations"

METADATA_FILE = "_factors.json"
SEARCH_FILE = "_search.json"
"""Files in ``factors/``; tools skip names that begin with an underscore."""

TRACK, USER = "track", "user"
"""Kinds of rows of ``factors/``."""

EASE_UP_TO = 20_000
"""Most tracks for EASE: its matrix is square (1.6 GB of float32), and its work grows with the cube."""

MOST_ITERATIONS = 50
"""Each iteration lengthens the lineage of Spark's factors; too many overflow the driver's stack."""

POSITIVE = Check(lambda value: 0 < value < math.inf, "finite numbers greater than 0")


@dataclass(frozen=True)
class AlsParameters(Settings):
    """Hyperparameters of implicit ALS; see `msd_spark.factors.confidence` for the loss."""

    rank: int = option(64, "factors per user and per track", check=at_least(1))
    alpha: float = option(10.0, "weight of plays: confidence is 1 + alpha log(1 + plays / epsilon)", check=POSITIVE)
    epsilon: float = option(1.0, "scale of plays in the logarithm", check=POSITIVE)
    regularisation: float = option(0.05, "lambda: L2 penalty per listen of a user or track", check=POSITIVE)
    iterations: int = option(12, "ALS iterations", check=between(1, MOST_ITERATIONS))


@dataclass(frozen=True)
class BaselineSettings(Settings):
    """Recommenders that ALS is compared with."""

    item_knn: bool = option(True, "evaluate item-kNN")
    ease: bool = option(True, f"evaluate EASE, for at most {EASE_UP_TO:,} tracks; slow beyond 10,000")
    neighbours: int = option(200, "most similar tracks per track in item-kNN", check=at_least(1))
    shrinkage: float = option(10.0, "term added to the denominator of item-kNN's cosine", check=at_least(0))
    ease_regularisation: float = option(200.0, "lambda of EASE: its L2 penalty", check=POSITIVE)


@dataclass(frozen=True)
class ColdSettings(Settings):
    """Evaluation of a run as a recommender of songs without listens."""

    evaluate: bool = option(
        False, "evaluate a run's predicted factors on unheard songs instead of fitting", name="evaluate-cold"
    )
    run: str | None = option(
        None, "run trained with --target factors; the newest by default", metavar="RUN", check=NAME
    )
    genre_run: str | None = option(None, "run whose embeddings are a baseline", metavar="RUN", check=NAME)
    users: int = option(10_000, "evaluate on at most N users", metavar="N", check=at_least(1))


@dataclass(frozen=True)
class FactorSettings(Settings):
    """Settings of factors."""

    warehouse: str = warehouse_option()
    als: AlsParameters = AlsParameters()
    min_tracks: int = option(5, "drop users with fewer tracks", check=at_least(1))
    min_listeners: int = option(5, "drop tracks with fewer listeners", check=at_least(1))
    held_out: float = option(
        0.1,
        "share of users held out for validation, and again for the test; 0 skips the evaluation",
        metavar="SHARE",
        check=between(0, 0.4),
    )
    baselines: BaselineSettings = BaselineSettings()
    search: int = option(
        0, "try N settings of ALS on the validation users and use the best", metavar="N", check=at_least(0)
    )
    refit: bool = option(False, "after the evaluation fit ALS again, to all users")
    cold_dataset: str | None = option(
        None,
        "fit to the train tracks of dataset/DATASET only; others are cold songs",
        name="cold",
        metavar="DATASET",
        check=NAME,
    )
    cold: ColdSettings = ColdSettings()
    recommendations: int = option(
        0, "write N tracks per user into recommendations/", name="recommend", metavar="N", check=at_least(0)
    )
    users_per_task: int = option(4096, "users per Spark task", check=at_least(1))
    blocks: int | None = option(
        None,
        "blocks of users and of tracks in Spark's ALS (default: one per million play counts, 2 to 64)",
        metavar="N",
        check=at_least(1),
    )
    allow_too_few: bool = option(False, "if too few listens are left, remove factors/ instead of failing")
    seed: int = option(0, "random seed", check=SEED)
    keep_versions: int = keep_versions_option()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.search and not self.held_out:
            raise OptionError("--search needs held-out users; set --held-out above 0")
