"""Embeddings of a run's songs, as every later stage reads them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from msd_spark.core.errors import UserError
from msd_spark.core.warehouse import Warehouse

EMBEDDINGS_TABLE = "embeddings"
EMBEDDED_COLUMNS = ("track_id", "embedding", "predicted_genre", "has_lyrics")
"""Columns of ``embeddings/RUN`` that `Embedded` is made of."""


@dataclass(frozen=True)
class Embedded:
    """The songs of ``embeddings/RUN``, sorted by track id.

    Attributes
    ----------
    vectors : numpy.ndarray
        Shape ``(n, size)``, float32.
    track_ids, predicted_genre : numpy.ndarray
        Shape ``(n,)``, str; the genre is empty if the run has none.
    has_lyrics : numpy.ndarray
        Shape ``(n,)``, bool.
    """

    track_ids: np.ndarray
    vectors: np.ndarray
    predicted_genre: np.ndarray
    has_lyrics: np.ndarray

    def __len__(self) -> int:
        return len(self.track_ids)

    def fingerprint(self) -> str:
        """Return a hash of ids and vectors, which identifies the songs of an index."""
        digest = hashlib.blake2b(digest_size=16)
        digest.update("\n".join(self.track_ids).encode())
        digest.update(np.ascontiguousarray(self.vectors).data)
        return digest.hexdigest()


def read_embeddings(warehouse: Warehouse, run: str) -> Embedded:
    """Return ``embeddings/RUN``, checked by `embedded_songs`."""
    return embedded_songs(warehouse.read_table(list(EMBEDDED_COLUMNS), EMBEDDINGS_TABLE, run), run)


def embedded_songs(table: pa.Table, run: str) -> Embedded:
    """Return the songs in rows of ``embeddings/RUN`` with `EMBEDDED_COLUMNS` and no null.

    Raises a `UserError` if there are no rows, a track is repeated, or embeddings have several sizes.
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
