"""What is asked of a fit of factors, and the names of what lies in ``factors/`` and ``recommendations/``."""

from __future__ import annotations

from dataclasses import dataclass, field

from msd_spark.core.errors import UserError

STAGE = "factors"
TABLE = "factors"
RECOMMENDATIONS = "recommendations"

METADATA_FILE = "_factors.json"
SEARCH_FILE = "_search.json"
"""Files within ``factors/``; tools pass over names that begin with an underscore."""

TRACK, USER = "track", "user"
"""Kinds of rows of ``factors/``."""

EASE_UP_TO = 20_000
"""Tracks up to which EASE is computed: a square matrix of float32 of 1.6 GB, and its work grows with the cube."""

MOST_ITERATIONS = 50
"""Each makes the lineage of Spark's factors longer; many more of them end in a stack overflow of the driver."""


@dataclass(frozen=True)
class AlsParameters:
    """What implicit ALS is told.

    Attributes
    ----------
    rank : int
        Factors of a user and of a track.
    alpha, epsilon : float
        The confidence of r plays is ``1 + alpha log(1 + r / epsilon)`` (Hu, Koren and Volinsky 2008, equation 6).
    regularisation : float
        Lambda; a user's or track's penalty is this times the number of its listens.
    iterations : int
        Each fits the tracks' factors and then the users'.
    """

    rank: int = 64
    alpha: float = 10.0
    epsilon: float = 1.0
    regularisation: float = 0.05
    iterations: int = 12

    def __post_init__(self) -> None:
        """Refuse what cannot be fitted.

        Raises
        ------
        UserError
        """
        if self.rank < 1:
            raise UserError(f"the rank is at least 1, not {self.rank}")
        for name in ("alpha", "epsilon", "regularisation"):
            if not 0 < getattr(self, name) < float("inf"):
                raise UserError(f"{name} is a number above 0, not {getattr(self, name)}")
        if not 1 <= self.iterations <= MOST_ITERATIONS:
            raise UserError(f"iterations are 1 to {MOST_ITERATIONS}, not {self.iterations}")


@dataclass(frozen=True)
class BaselineSettings:
    """Recommenders that stand beside ALS.

    Attributes
    ----------
    item_knn, ease : bool
        Whether to judge them.
    neighbours : int
        Most similar tracks that item-kNN keeps of each.
    shrinkage : float
        Added to the cosine's denominator, so that few common listeners count for less.
    ease_regularisation : float
        EASE's lambda.
    """

    item_knn: bool = True
    ease: bool = True
    neighbours: int = 200
    shrinkage: float = 10.0
    ease_regularisation: float = 200.0

    def __post_init__(self) -> None:
        """Refuse what cannot be computed.

        Raises
        ------
        UserError
        """
        if self.neighbours < 1:
            raise UserError(f"item-kNN keeps at least 1 neighbour, not {self.neighbours}")
        if self.shrinkage < 0 or self.ease_regularisation <= 0:
            message = f"shrinkage is at least 0 and EASE's regularisation above 0, not {self.shrinkage} and"
            raise UserError(f"{message} {self.ease_regularisation}")


@dataclass(frozen=True)
class FactorSettings:
    """Which listens are taken, how factors are fitted, and what is made of them.

    Attributes
    ----------
    warehouse : str
    parameters : AlsParameters
    min_tracks, min_listeners : int
        Users with fewer tracks and tracks with fewer listeners are left out.
    held_out : float
        Share of the users held out for validation, and as large a one for the test; 0 does not judge.
    baselines : BaselineSettings
    search : int
        Settings to try on the validation users; 0 takes `parameters` as they are.
    refit : bool
        Whether to fit once more, to all users, after judging. Otherwise the factors are those that were judged, and
        held-out users are fitted to them with all their listens.
    cold_dataset : str, optional
        A dataset whose train tracks alone take part; factors of its other tracks are fitted to the users' afterwards.
    recommendations : int
        Tracks recommended to each user; 0 for none.
    users_per_task : int
        Users whose recommendations a Spark task writes.
    blocks : int
        Blocks that Spark's ALS cuts users and tracks into.
    allow_too_few : bool
        Where too few listens are left: write no factors, and remove those that are there, instead of failing.
    seed : int
    """

    warehouse: str
    parameters: AlsParameters = field(default_factory=AlsParameters)
    min_tracks: int = 5
    min_listeners: int = 5
    held_out: float = 0.1
    baselines: BaselineSettings = field(default_factory=BaselineSettings)
    search: int = 0
    refit: bool = False
    cold_dataset: str | None = None
    recommendations: int = 0
    users_per_task: int = 4096
    blocks: int = 10
    allow_too_few: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be done.

        Raises
        ------
        UserError
        """
        for what, count, least in (
            ("--min-tracks", self.min_tracks, 1),
            ("--min-listeners", self.min_listeners, 1),
            ("--search", self.search, 0),
            ("--recommend", self.recommendations, 0),
            ("--users-per-task", self.users_per_task, 1),
            ("--blocks", self.blocks, 1),
        ):
            if count < least:
                raise UserError(f"{what} is at least {least}, not {count}")
        if not 0 <= self.held_out <= 0.4:
            raise UserError(f"--held-out is a share from 0 to 0.4, not {self.held_out}")
        if self.search and not self.held_out:
            raise UserError("--search judges by held-out users; give --held-out a share above 0")
