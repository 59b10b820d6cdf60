"""The listens as a sparse matrix on the driver, and what is left of them where users and songs need a minimum.

12 bytes a pair of user and track: 576 MB for the Taste Profile's 48 million.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
from scipy import sparse

from msd_spark.core.errors import UserError
from msd_spark.core.warehouse import Warehouse
from msd_spark.factors.settings import STAGE


class TooFewListensError(UserError):
    """There are not listens enough to do what was asked.

    Parameters
    ----------
    message : str
    """

    def __init__(self, message: str) -> None:
        super().__init__(STAGE, message)


@dataclass(frozen=True)
class Listens:
    """Who played what, how often.

    Attributes
    ----------
    users, tracks : numpy.ndarray
        Ids, sorted, shape ``(n_users,)`` and ``(n_tracks,)``, str.
    plays : scipy.sparse.csr_matrix
        Shape ``(n_users, n_tracks)``, float32; columns sorted within a row.
    """

    users: np.ndarray
    tracks: np.ndarray
    plays: sparse.csr_matrix

    def of_users(self, chosen: np.ndarray) -> Listens:
        """Return the listens of some users, given by number or by flags."""
        return Listens(self.users[chosen], self.tracks, self.plays[chosen])

    def of_tracks(self, chosen: np.ndarray) -> Listens:
        """Return the listens of some tracks, given by number or by flags; all users stay."""
        return Listens(self.users, self.tracks[chosen], self.plays[:, chosen])

    def counts(self) -> dict[str, int]:
        """Return how many users, tracks and pairs of them there are."""
        return {"users": len(self.users), "tracks": len(self.tracks), "pairs": int(self.plays.nnz)}


def read_listens(warehouse: Warehouse) -> Listens:
    """Return ``plays/``.

    Raises
    ------
    UserError
        When the table is missing, or has a pair of user and track twice.
    TooFewListensError
        When the table is empty.
    """
    warehouse.require("plays")
    files = list(warehouse.table_files("plays").paths)
    options = pads.ParquetReadOptions(dictionary_columns=["user_id", "track_id"])
    dataset = pads.dataset(files, filesystem=warehouse.filesystem, format=pads.ParquetFileFormat(options))
    table = dataset.to_table(["user_id", "track_id", "plays"]).unify_dictionaries().combine_chunks()
    if not table.num_rows:
        raise TooFewListensError("plays/ has no listens; are the triplets of songs in songs/?")
    return make_listens(*_codes(table["user_id"]), *_codes(table["track_id"]), table["plays"].to_numpy())


def _codes(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Return each row's place among the sorted ids, and these."""
    encoded = column.chunk(0)
    order = pc.array_sort_indices(encoded.dictionary).to_numpy()
    places = np.empty(len(order), np.int32)
    places[order] = np.arange(len(order), dtype=np.int32)
    return places[encoded.indices.to_numpy()], encoded.dictionary.take(pa.array(order)).to_numpy(False).astype(str)


def make_listens(
    user: np.ndarray,
    users: Sequence[str] | np.ndarray,
    track: np.ndarray,
    tracks: Sequence[str] | np.ndarray,
    plays: np.ndarray,
) -> Listens:
    """Return listens from triplets.

    Parameters
    ----------
    user, track : numpy.ndarray
        Shape ``(n,)``: places among the ids.
    users, tracks : sequence of str
        Ids, sorted.
    plays : numpy.ndarray
        Shape ``(n,)``.

    Raises
    ------
    UserError
        When a pair of user and track is there twice.
    """
    matrix = sparse.coo_matrix((plays.astype(np.float32), (user, track)), shape=(len(users), len(tracks))).tocsr()
    if matrix.nnz != len(plays):
        raise UserError(f"plays/ has {len(plays) - matrix.nnz:,} pairs twice; run jobs/plays.py again")
    matrix.sort_indices()
    return Listens(np.asarray(users), np.asarray(tracks), matrix)


@dataclass(frozen=True)
class Filtered:
    """Listens that are left, and what each round took.

    Attributes
    ----------
    listens : Listens
    rounds : tuple of dict
        Users, tracks and pairs left after each round; the last one changed nothing.
    """

    listens: Listens
    rounds: tuple[dict[str, int], ...]


def keep_frequent(listens: Listens, min_tracks: int, min_listeners: int) -> Filtered:
    """Keep users of at least so many tracks and tracks of at least so many listeners, until all are both.

    Leaving out a track takes a listen from its users, so that rounds go on until one changes nothing. What is left
    is the largest part in which both hold; the order of the rounds makes no difference to it.

    Raises
    ------
    TooFewListensError
        When nothing is left.
    """
    rounds = []
    while True:
        before = listens.counts()
        listens = listens.of_tracks(np.bincount(listens.plays.indices, minlength=len(listens.tracks)) >= min_listeners)
        listens = listens.of_users(np.diff(listens.plays.indptr) >= min_tracks)
        rounds.append(listens.counts())
        if not listens.plays.nnz:
            message = f"no user has {min_tracks} tracks that have {min_listeners} listeners"
            raise TooFewListensError(f"{message}; ask for less (--min-tracks, --min-listeners)")
        if listens.counts() == before:
            return Filtered(listens, tuple(rounds))
