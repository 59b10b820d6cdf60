"""Songs that no fit may see: those of a dataset's validation and test splits, whose artists are in no other split.

Users' factors then come from train tracks alone, and so do the factors that a model is trained towards. What the cold
tracks' true factors are is asked afterwards, of users' factors that stay as they are.
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
class Parted:
    """Listens to tracks that are fitted, and to those that are not.

    Attributes
    ----------
    warm, cold : Listens
        Of the same users.
    elsewhere : int
        Tracks that the dataset does not have; nobody's listens to them count.
    """

    warm: Listens
    cold: Listens
    elsewhere: int


def part(warehouse: Warehouse, listens: Listens, dataset: str) -> Parted:
    """Part listens by the splits of a dataset: train tracks are warm, validation and test tracks are cold.

    Raises
    ------
    UserError
        When there is no such dataset, or nobody listens to its train tracks.
    """
    train, *others = SPLITS
    warehouse.require("dataset", dataset)
    flags = {}
    for name in SPLITS:
        ids = warehouse.read_table(["track_id"], "dataset", dataset, name)["track_id"]
        flags[name] = np.isin(listens.tracks, ids.to_numpy().astype(str))
    cold = np.logical_or.reduce([flags[name] for name in others])
    if not flags[train].any():
        raise UserError(f"plays/ has no track of dataset/{dataset}/{train}; is it of this catalogue?")
    return Parted(listens.of_tracks(flags[train]), listens.of_tracks(cold), int((~(flags[train] | cold)).sum()))


def cold_factors(
    cold: Listens, users: np.ndarray, user_factors: np.ndarray, parameters: AlsParameters, min_listeners: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the ids and factors of cold tracks of at least so many listeners among users that have factors.

    Parameters
    ----------
    cold : Listens
    users : numpy.ndarray
        Ids of the users that have factors, sorted, some of `cold`'s.
    user_factors : numpy.ndarray
        Shape ``(len(users), rank)``.
    parameters : AlsParameters
    min_listeners : int

    Returns
    -------
    tracks, factors : numpy.ndarray
    """
    ours = cold.of_users(np.searchsorted(cold.users, users))
    ours = ours.of_tracks(np.bincount(ours.plays.indices, minlength=len(ours.tracks)) >= min_listeners)
    return ours.tracks, fit_rows(ours.plays.T.tocsr(), user_factors, parameters)
