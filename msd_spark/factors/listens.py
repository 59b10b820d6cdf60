"""Play counts as a sparse matrix on the driver, filtered to frequent users and tracks.

The matrix takes 12 bytes per pair of user and track: 576 MB for the Taste Profile's 48 million pairs.
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
from msd_spark.core.warehouse import Warehouse, reading


class TooFewListensError(UserError):
    """Too few listens are left for the requested fit."""


@dataclass(frozen=True)
class Listens:
    """Play counts of users.

    Ids are sorted and of shape ``(n_users,)`` and ``(n_tracks,)``, str. Plays are ``(n_users, n_tracks)``, float32,
    with columns sorted within a row.
    """

    users: np.ndarray
    tracks: np.ndarray
    plays: sparse.csr_matrix

    def of_users(self, chosen: np.ndarray) -> Listens:
        """Select users by row number or mask."""
        return Listens(self.users[chosen], self.tracks, self.plays[chosen])

    def of_tracks(self, chosen: np.ndarray) -> Listens:
        """Select tracks by column number or mask; keep all users."""
        return Listens(self.users, self.tracks[chosen], self.plays[:, chosen])

    def counts(self) -> dict[str, int]:
        """Return the numbers of users, tracks and pairs."""
        return {"users": len(self.users), "tracks": len(self.tracks), "pairs": int(self.plays.nnz)}


def read_listens(warehouse: Warehouse) -> Listens:
    """Read ``plays/``; raise TooFewListensError if it is empty."""
    options = pads.ParquetReadOptions(dictionary_columns=["user_id", "track_id"])
    paths, columns = warehouse.paths("plays"), ["user_id", "track_id", "plays"]
    with reading(warehouse.path("plays"), "plays"):
        dataset = pads.dataset(paths, filesystem=warehouse.filesystem, format=pads.ParquetFileFormat(options))
        table = dataset.to_table(columns).unify_dictionaries().combine_chunks()
    if not table.num_rows:
        raise TooFewListensError("plays/ has no rows; ingest the songs of the triplets, then run msd-spark plays again")
    return make_listens(*_codes(table["user_id"]), *_codes(table["track_id"]), table["plays"].to_numpy())


def _codes(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Return each row's index into the sorted ids, and the ids."""
    encoded = column.chunk(0)
    order = pc.array_sort_indices(encoded.dictionary).to_numpy()
    codes = np.empty(len(order), np.int32)
    codes[order] = np.arange(len(order), dtype=np.int32)
    return codes[encoded.indices.to_numpy()], encoded.dictionary.take(pa.array(order)).to_numpy(False).astype(str)


def make_listens(
    user: np.ndarray,
    users: Sequence[str] | np.ndarray,
    track: np.ndarray,
    tracks: Sequence[str] | np.ndarray,
    plays: np.ndarray,
) -> Listens:
    """Return listens from triplets: `user` and `track` are indices into the sorted ids."""
    matrix = sparse.coo_matrix((plays.astype(np.float32), (user, track)), shape=(len(users), len(tracks))).tocsr()
    if matrix.nnz != len(plays):
        raise UserError(f"plays/ has {len(plays) - matrix.nnz:,} repeated pairs; run msd-spark plays again")
    matrix.sort_indices()
    return Listens(np.asarray(users), np.asarray(tracks), matrix)


def keep_frequent(listens: Listens, min_tracks: int, min_listeners: int) -> tuple[Listens, list[dict[str, int]]]:
    """Drop rare users and tracks; return the remaining listens and the counts after each round.

    Dropping a track takes a listen from its users, so rounds repeat until one changes nothing. The result is the
    largest subset that meets both minimums; TooFewListensError if it is empty.
    """
    rounds = []
    while True:
        before = listens.counts()
        listens = listens.of_tracks(np.bincount(listens.plays.indices, minlength=len(listens.tracks)) >= min_listeners)
        listens = listens.of_users(np.diff(listens.plays.indptr) >= min_tracks)
        rounds.append(listens.counts())
        if not listens.plays.nnz:
            raise TooFewListensError(
                f"no user has {min_tracks} tracks with {min_listeners} listeners each; "
                "lower --min-tracks or --min-listeners"
            )
        if listens.counts() == before:
            return listens, rounds
