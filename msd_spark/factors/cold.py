"""Cold songs: tracks of a dataset's validation and test splits, kept out of the fit.

Splits share no artist. User factors come from train tracks alone; the factors of cold tracks are then fitted to these
users, whose factors stay unchanged, and are the truth that a model's predictions are compared with.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from msd_spark.core.errors import UserError
from msd_spark.core.schemas import SPLITS
from msd_spark.core.warehouse import Warehouse
from msd_spark.factors.confidence import fit_rows
from msd_spark.factors.listens import Listens
from msd_spark.factors.settings import AlsParameters


@dataclass(frozen=True)
class WarmAndCold:
    """Listens of the same users to train tracks and to cold tracks."""

    warm: Listens
    cold: Listens
    elsewhere: int
    """Tracks that the dataset lacks; listens to them are dropped."""


def split_tracks(warehouse: Warehouse, listens: Listens, dataset: str) -> WarmAndCold:
    """Split listens by a dataset: train tracks are warm, validation and test tracks cold."""
    train, *others = SPLITS
    warehouse.require("dataset", dataset)
    examples = warehouse.read_examples(["track_id"], dataset).to_pandas().set_index("split")["track_id"]
    flags = {name: np.isin(listens.tracks, examples[examples.index == name].to_numpy(str)) for name in SPLITS}
    cold = np.logical_or.reduce([flags[name] for name in others])
    if not flags[train].any():
        raise UserError(
            f"no track of plays/ is in dataset/{dataset}/{train}; name a dataset of the same songs by --cold"
        )
    return WarmAndCold(listens.of_tracks(flags[train]), listens.of_tracks(cold), int((~(flags[train] | cold)).sum()))


def cold_factors(
    cold: Listens, users: np.ndarray, user_factors: np.ndarray, parameters: AlsParameters, min_listeners: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return ids and factors of cold tracks with enough listeners among `users`.

    `users` are the sorted ids of users with factors, a subset of those of `cold`.
    """
    listens = cold.of_users(np.searchsorted(cold.users, users))
    listens = listens.of_tracks(np.bincount(listens.plays.indices, minlength=len(listens.tracks)) >= min_listeners)
    return listens.tracks, fit_rows(listens.plays.T.tocsr(), user_factors, parameters)
