"""Factors, and the fitter that stages listens for Spark's workers and hands them to its ALS."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pyspark.sql import SparkSession

from msd_spark.core.warehouse import Warehouse
from msd_spark.factors.listens import Listens
from msd_spark.factors.settings import AlsParameters, FactorSettings
from msd_spark.factors.spark_als import fit, write_listens


@dataclass(frozen=True)
class Factors:
    """Factors of users and tracks.

    Attributes
    ----------
    users, tracks : numpy.ndarray
        Ids, sorted.
    user_factors, track_factors : numpy.ndarray
        Shape ``(n, rank)``, float32.
    """

    users: np.ndarray
    tracks: np.ndarray
    user_factors: np.ndarray
    track_factors: np.ndarray


class Fitter:
    """Fits factors through Spark; what it stages lies in one folder.

    Parameters
    ----------
    session : SparkSession
    warehouse : Warehouse
    folder : str
    settings : FactorSettings
    """

    def __init__(self, session: SparkSession, warehouse: Warehouse, folder: str, settings: FactorSettings) -> None:
        self.session, self.warehouse, self.folder, self.settings = session, warehouse, folder, settings
        self.staged: dict[str, int] = {}

    def stage(self, name: str, listens: Listens) -> str:
        """Write listens where workers find them, once; return the folder."""
        folder = f"{self.folder}/{name}"
        if name not in self.staged:
            size = self.settings.users_per_task
            self.staged[name] = write_listens(self.warehouse, folder, listens.plays, size)
        return folder

    def fit(self, name: str, listens: Listens, parameters: AlsParameters) -> Factors:
        """Fit users and tracks of some listens."""
        folder = self.stage(name, listens)
        shape = (len(listens.users), len(listens.tracks))
        blocks, seed = self.settings.blocks, self.settings.seed
        found = fit(self.session, self.warehouse, folder, shape, self.staged[name], parameters, blocks, seed)
        return Factors(listens.users, listens.tracks, *found)
