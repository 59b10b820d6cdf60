"""What a protocol states: truths, divisions of the songs, baselines, and published values.

A protocol is one module with one subclass of `Protocol`. Reading, sharing between ranks, intervals and tables are
those of `training.comparing.protocols.run` and `report`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from msd_spark.core.split_lists import listed_splits
from msd_spark.core.warehouse import Warehouse
from training.evaluation.bootstrap import Artists, Candidate
from training.evaluation.mapping import Mapper
from training.evaluation.song_features import Features

TRAIN, VALIDATION, TEST = "train", "validation", "test"

TIMBRE, SUMMARY = "90 timbre features", "song summary"
"""Features of a protocol's baselines."""


@dataclass(frozen=True)
class Anchor:
    """A published value of a protocol, as quoted; none of them has been checked against its paper.

    Attributes
    ----------
    metrics : mapping
        Value as printed in the source, by name of the metric.
    division : str
        What the value was measured on, in words.
    """

    method: str
    metrics: Mapping[str, str]
    source: str
    division: str


@dataclass(frozen=True)
class OfficialList:
    """An official list: the file name that the protocol asks for, and the SHA-256 of its sorted ids, one per line."""

    file: str
    sha256: str


@dataclass(frozen=True)
class Lists:
    """Ids of the lists of a protocol.

    Attributes
    ----------
    ids : mapping
        Ids in the order of the list, by key of `Protocol.files`.
    names : mapping
        Name of the file that was read, by the same keys.
    are_official : bool
        Whether every list has the checksum of the official one.
    """

    ids: Mapping[str, Sequence[str]] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    are_official: bool = False


@dataclass(frozen=True)
class Truths:
    """The truth of each track of ``songs/``, in the order of the tracks.

    Attributes
    ----------
    true : numpy.ndarray
        Shape ``(n,)`` or ``(n, n_classes)``; arbitrary where the track has none.
    present : numpy.ndarray
        Shape ``(n,)``, bool.
    class_names : tuple of str
        Classes or tags; empty for a regression.
    """

    true: np.ndarray
    present: np.ndarray
    class_names: tuple[str, ...] = ()


OFFICIAL, UNCHECKED, DRAWN = "official lists", "lists of unknown origin", "drawn by the documented rule"
"""Origins of a division. Only the first has the songs of publications for certain."""


def origin_of(lists: Lists) -> str:
    """Return the origin of a division by lists."""
    return OFFICIAL if lists.are_official else UNCHECKED


@dataclass(frozen=True)
class Division:
    """One official way to divide the songs.

    Attributes
    ----------
    splits : pandas.Series
        `TRAIN`, `VALIDATION`, `TEST` or null for each track of ``songs/``.
    official : mapping
        Number of songs that the division has in the complete catalogue, by split.
    origin : str
        One of `OFFICIAL`, `UNCHECKED` and `DRAWN`.
    """

    name: str
    splits: pd.Series
    official: Mapping[str, int]
    origin: str


def listed_division(tracks: pd.DataFrame, lists: Lists) -> Division:
    """Return the division of tracks by lists, with the names of the files of train and test.

    Raises `ValueError` for a track in two lists.
    """
    name = " and ".join(lists.names[split] for split in (TRAIN, TEST))
    official = {split: len(ids) for split, ids in lists.ids.items()}
    return Division(name, listed_splits(tracks, lists.ids), official, origin_of(lists))


class Protocol(ABC):
    """An official protocol.

    Attributes
    ----------
    name, title : str
        Value of ``--protocol``, and what is predicted.
    features : str
        `TIMBRE` or `SUMMARY`.
    fewest_segments : int
        Songs with fewer segments are left out.
    metrics : tuple of str
        Metrics in the order of the table.
    files : mapping
        Official lists, by key; empty if their names are not known.
    needs_lists : bool
        Whether the songs are divided by lists alone.
    tables : tuple of str
        Tables of the warehouse besides ``songs/``.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    features: ClassVar[str]
    fewest_segments: ClassVar[int] = 1
    metrics: ClassVar[tuple[str, ...]]
    files: ClassVar[Mapping[str, OfficialList]] = MappingProxyType({})
    needs_lists: ClassVar[bool] = True
    tables: ClassVar[tuple[str, ...]] = ()
    anchors: ClassVar[tuple[Anchor, ...]] = ()
    remarks: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def truths(self, warehouse: Warehouse, tracks: pd.DataFrame) -> Truths:
        """Return the truths of tracks with the columns of `training.comparing.protocols.songs.LIGHT`."""

    @abstractmethod
    def divisions(self, tracks: pd.DataFrame, lists: Lists) -> list[Division]:
        """Divide the tracks; raises `ValueError` for a track in two lists."""

    @abstractmethod
    def candidates(
        self, train: Features, test: Features, class_names: tuple[str, ...], artists: Artists, mapper: Mapper
    ) -> dict[str, Candidate]:
        """Fit the baselines to `train`; return their metrics on `test` by name, the main one first."""


def facts(division: Division, usable: pd.Series) -> dict[str, Any]:
    """Return the numbers of a division by split: ``official``, ``present``, ``used`` songs, and ``share`` present.

    `usable` states which tracks have enough segments.

    Examples
    --------
    >>> splits = pd.Series(["train", "train", None, "test"])
    >>> of_splits = facts(Division("all", splits, {"train": 4, "test": 1}, OFFICIAL), pd.Series([True, False] * 2))
    >>> of_splits["share"], of_splits["used"]
    ({'train': 0.5, 'test': 1.0}, {'train': 1, 'test': 0})
    """
    members = {split: division.splits == split for split in division.official}
    present = {split: int(own.sum()) for split, own in members.items()}
    return {
        "official": dict(division.official),
        "present": present,
        "used": {split: int((own & usable[own.index]).sum()) for split, own in members.items()},
        "share": {split: present[split] / max(n, 1) for split, n in division.official.items()},
    }
