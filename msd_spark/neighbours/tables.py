"""Embeddings as they are read, and rows of ``neighbours/RUN``."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from msd_spark.catalogue.songs import table_files
from msd_spark.core.errors import UserError
from msd_spark.core.schemas import NEIGHBOURS
from msd_spark.core.warehouse import Warehouse
from msd_spark.neighbours.exact import NONE, Neighbours

EMBEDDINGS_TABLE = "embeddings"
EMBEDDED_COLUMNS = ("track_id", "embedding", "predicted_genre", "has_lyrics")
"""Columns of ``embeddings/RUN`` that `Embedded` is made of."""

NAMES = ("song_id", "artist_id", "artist_name", "title")
"""Columns of ``songs/`` that say who is left out."""


@dataclass(frozen=True)
class Embedded:
    """The songs of ``embeddings/RUN``, in the order of their track ids.

    Attributes
    ----------
    track_ids : numpy.ndarray
        Shape ``(n,)``, str.
    vectors : numpy.ndarray
        Shape ``(n, size)``, float32.
    predicted_genre : numpy.ndarray
        Shape ``(n,)``, str; empty where the run does not tell genres.
    has_lyrics : numpy.ndarray
        Shape ``(n,)``, bool: whether the model saw lyrics.
    """

    track_ids: np.ndarray
    vectors: np.ndarray
    predicted_genre: np.ndarray
    has_lyrics: np.ndarray

    def __len__(self) -> int:
        return len(self.track_ids)

    def fingerprint(self) -> str:
        """Return a hash of ids and vectors, by which an index knows the songs that it was made of."""
        digest = hashlib.blake2b(digest_size=16)
        digest.update("\n".join(self.track_ids).encode())
        digest.update(np.ascontiguousarray(self.vectors).data)
        return digest.hexdigest()


def read_embeddings(warehouse: Warehouse, run: str) -> Embedded:
    """Return ``embeddings/RUN``.

    Raises
    ------
    UserError
        When the table is missing or empty, has a track twice, or embeddings of several sizes.
    """
    warehouse.require(EMBEDDINGS_TABLE, run)
    return embedded_songs(read_table(warehouse, list(EMBEDDED_COLUMNS), EMBEDDINGS_TABLE, run), run)


def embedded_songs(table: pa.Table, run: str) -> Embedded:
    """Return the songs of rows of ``embeddings/RUN`` with `EMBEDDED_COLUMNS`, none of whose embeddings is null.

    Raises
    ------
    UserError
        As `read_embeddings` does.
    """
    if not table.num_rows:
        raise UserError(f"embeddings/{run} has no songs; run msd-spark score again")
    table = table.sort_by("track_id")
    track_ids = table["track_id"].to_numpy().astype(str)
    twice = track_ids[1:][track_ids[1:] == track_ids[:-1]]
    if len(twice):
        raise UserError(f"embeddings/{run} has {twice[0]} twice; run msd-spark score again")
    sizes = pc.unique(pc.list_value_length(table["embedding"])).to_pylist()
    if len(sizes) != 1 or not sizes[0]:
        raise UserError(f"embeddings/{run} has vectors of {sizes} numbers; run msd-spark score again")
    vectors = table["embedding"].combine_chunks().flatten().to_numpy(zero_copy_only=False).astype(np.float32)
    return Embedded(
        track_ids,
        vectors.reshape(-1, sizes[0]),
        table["predicted_genre"].fill_null("").to_numpy().astype(str),
        table["has_lyrics"].to_numpy() > 0,
    )


def read_table(warehouse: Warehouse, columns: list[str], *names: str) -> pa.Table:
    """Return some columns of a table of the warehouse."""
    files = list(table_files(warehouse, *names).paths)
    dataset = pads.dataset(files, filesystem=warehouse.filesystem, format="parquet", partitioning=None)
    return dataset.to_table(columns)


def read_names(warehouse: Warehouse, track_ids: np.ndarray) -> pd.DataFrame:
    """Return the `NAMES` of some tracks, in their order; null for a track that ``songs/`` does not have.

    Raises
    ------
    UserError
        When there is no whole table ``songs/``.
    """
    warehouse.require("songs")
    songs = read_table(warehouse, ["track_id", *NAMES], "songs").to_pandas().drop_duplicates("track_id")
    return songs.set_index("track_id").reindex(track_ids)


def neighbour_rows(track_ids: np.ndarray, first: int, found: Neighbours) -> pa.Table:
    """Return rows of ``neighbours/RUN``.

    Parameters
    ----------
    track_ids : numpy.ndarray
        Shape ``(n,)``, str or UTF-8 bytes: of all songs.
    first : int
        Number of the song whose neighbours stand first in `found`.
    found : Neighbours
    """
    there = found.places != NONE
    query, rank = np.nonzero(there)
    columns = {
        "track_id": pa.array(track_ids[first + query]),
        "rank": pa.array(rank + 1),
        "neighbour_id": pa.array(track_ids[found.places[there]]),
        "distance": pa.array(found.distances[there]),
    }
    return pa.table([columns[field.name].cast(field.type) for field in NEIGHBOURS], schema=NEIGHBOURS)
