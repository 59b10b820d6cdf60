"""What the warehouse knows of tracks besides their sound: lyric vectors, and whether they have a genre or listens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from msd_spark.core.errors import UserError
from msd_spark.core.schemas import ABSENT, LYRICS
from msd_spark.core.warehouse import Warehouse

FEW = 10_000
"""Tracks up to which a table is searched for them instead of read."""


@dataclass(frozen=True)
class KnownTracks:
    """What is known of some tracks, in their order.

    Attributes
    ----------
    lyric_place : numpy.ndarray
        Shape ``(n,)``: which of `lyric_vectors` is a track's; `ABSENT` where it has none.
    lyric_vectors : pyarrow.Array
        Lists of float32.
    has_genre, has_listens : numpy.ndarray
        Shape ``(n,)``, bool: whether ``labels/``, in any label set, and ``popularity/`` have the track.
    """

    lyric_place: np.ndarray
    lyric_vectors: pa.Array
    has_genre: np.ndarray
    has_listens: np.ndarray

    @property
    def flags(self) -> dict[str, np.ndarray]:
        """By the names of `msd_spark.core.schemas.EMBEDDING_FLAGS`: shape ``(n,)``, bool."""
        return {
            "has_lyrics": self.lyric_place != ABSENT,
            "has_genre": self.has_genre,
            "has_listens": self.has_listens,
        }

    def vectors(self, tracks: np.ndarray | slice) -> pa.Array:
        """Return the lyric vectors of some tracks by their numbers, null where one has none."""
        place = self.lyric_place[tracks]
        return self.lyric_vectors.take(pa.array(place, pa.int64(), mask=place == ABSENT))


def known_tracks(warehouse: Warehouse, track_ids: pa.Array, size: int, *, lyrics: bool = True) -> KnownTracks:
    """Look tracks up in the tables that are there.

    Parameters
    ----------
    warehouse : Warehouse
    track_ids : pyarrow.Array
        Each once.
    size : int
        Of a lyric vector.
    lyrics : bool
        Whether to look for lyrics.
    stage : str
        Who asks, for the error.

    Raises
    ------
    UserError
        When ``lyrics/`` has a track twice, or vectors of another size.
    """
    genre, listens = (has_row_in(warehouse, track_ids, table) for table in ("labels", "popularity"))
    vectors = pa.array([], LYRICS.field("lyric_vector").type)
    place = np.full(len(track_ids), ABSENT, np.int64)
    table = _rows_of(warehouse, track_ids, "lyrics", ["track_id", "lyric_vector"]) if lyrics else None
    if table is not None:
        table = table.filter(pc.is_valid(table["lyric_vector"]))
        found = _places(table["track_id"], track_ids)
        table, found = table.filter(pa.array(found != ABSENT)), found[found != ABSENT]
        if len(np.unique(found)) < len(found):
            raise UserError("lyrics/ has a track twice; run msd-spark lyrics again")
        sizes = pc.unique(pc.list_value_length(table["lyric_vector"])).to_pylist()
        if sizes not in ([], [size]):
            raise UserError(f"lyrics/ has vectors of {sizes} numbers, the model takes {size}; train again")
        place[found] = np.arange(len(found))
        vectors = pa.concat_arrays([vectors, *table["lyric_vector"].cast(vectors.type).chunks])
    return KnownTracks(place, vectors, genre, listens)


def has_row_in(warehouse: Warehouse, track_ids: pa.Array, table: str) -> np.ndarray:
    """Return which tracks a table has: shape ``(n,)``, bool; none where the table is not there."""
    rows = _rows_of(warehouse, track_ids, table, ["track_id"])
    if rows is None:
        return np.zeros(len(track_ids), bool)
    return np.asarray(pc.is_in(track_ids, value_set=rows["track_id"]).to_numpy(zero_copy_only=False), bool)


def _rows_of(warehouse: Warehouse, track_ids: pa.Array, table: str, columns: list[str]) -> pa.Table | None:
    """Return columns of a table, of these tracks alone where they are few; None where the table is not there."""
    files = list(warehouse.table_files(table).paths) if warehouse.is_complete(table) else []
    if not files:
        return None
    opened = pads.dataset(files, filesystem=warehouse.filesystem, format="parquet", partitioning=None)
    wanted = pads.field("track_id").isin(track_ids) if len(track_ids) <= FEW else None
    return opened.to_table(columns, filter=wanted)


def _places(ids: pa.ChunkedArray, track_ids: pa.Array) -> np.ndarray:
    """Return where each id stands among the tracks, `ABSENT` where it is none of them."""
    return np.asarray(pc.fill_null(pc.index_in(ids, value_set=track_ids), ABSENT).to_numpy(), np.int64)
