"""Store a map: the places of all songs, and the data for placing more without moving any.

The table's folder also has ``_map.json`` (the layout), ``_fitted.parquet`` (the songs that the map was fitted to, with
embeddings and places) and ``_vectors.parquet`` (the direction of each song's embedding when it was placed). There is no
pickle.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from msd_spark.catalogue.embeddings import Embedded
from msd_spark.core.errors import DamagedError, UserError
from msd_spark.core.schemas import MAPS, VECTOR
from msd_spark.core.warehouse import Warehouse
from msd_spark.maps.settings import FITTED_FILE, MAP_FILE, TABLE, VECTORS_FILE, Layout, MapSettings
from msd_spark.neighbours.space import unit

HALF = np.dtype("<f2")

SAME_DIRECTION = 1e-3
"""Largest difference between coordinates of equal directions: twice float16's rounding of numbers up to 1."""


@dataclass(frozen=True)
class PlacedSongs:
    """Songs on a map, sorted by track id.

    `places` are ``(n, 2)``, float32; `fitted` ``(n,)`` marks the songs that the map was fitted to; `directions` are
    embeddings scaled to length 1, ``(n, size)``, float16.
    """

    track_ids: np.ndarray
    places: np.ndarray
    fitted: np.ndarray
    directions: np.ndarray


@dataclass(frozen=True)
class SavedMap:
    """A map, with the data for placing more songs."""

    layout: Layout
    perplexity: float
    """Effective perplexity of the fit."""

    fitted: Embedded
    """The songs that the map was fitted to, with their embeddings at that time."""

    places: np.ndarray
    """Places of the fitted songs: shape ``(n_fitted, 2)``, float32."""

    songs: PlacedSongs

    @classmethod
    def read(cls, warehouse: Warehouse, run: str) -> SavedMap | None:
        """Read ``maps/RUN``; None if there is none."""
        if not warehouse.is_complete(TABLE, run):
            return None
        reason = ""
        try:
            metadata = warehouse.read_json(TABLE, run, MAP_FILE)
            layout = MapSettings(**metadata["layout"]).layout(run, None)
            fitted, vectors = (warehouse.read_parquet(TABLE, run, name) for name in (FITTED_FILE, VECTORS_FILE))
            table = warehouse.read_table(MAPS.names, TABLE, run)
            size = int(metadata["size"])
            reference = Embedded(
                _ids(fitted),
                fitted["embedding"].combine_chunks().flatten().to_numpy().reshape(-1, size),
                fitted["stratum"].to_numpy().astype(str),
                np.zeros(len(fitted), bool),
            )
            directions = np.frombuffer(b"".join(vectors["direction"].to_pylist()), HALF).reshape(-1, size)
            songs = PlacedSongs(_ids(table), _places(table), table["fitted"].to_numpy(), directions)
            saved = cls(layout, float(metadata["perplexity"]), reference, _places(fitted), songs)
            consistent = reference.fingerprint() == metadata["fingerprint"]
            if consistent and (_ids(vectors) == songs.track_ids).all():
                return saved
        except (OSError, KeyError, TypeError, ValueError, pa.ArrowException, DamagedError) as error:
            reason = f" ({type(error).__name__}: {error})"
        raise UserError(f"the files of maps/{run} do not match{reason}; make a new map by --refit")

    def write(self, warehouse: Warehouse, run: str) -> None:
        """Write ``maps/RUN``, replacing the existing map."""
        metadata: dict[str, Any] = {
            "run": run,
            "layout": asdict(self.layout),
            "perplexity": self.perplexity,
            "songs": len(self.songs.track_ids),
            "fitted": len(self.fitted),
            "size": int(self.fitted.vectors.shape[1]),
            "fingerprint": self.fitted.fingerprint(),
        }
        fitted = {
            "track_id": pa.array(self.fitted.track_ids),
            "x": pa.array(self.places[:, 0]),
            "y": pa.array(self.places[:, 1]),
            "stratum": pa.array(self.fitted.predicted_genre),
            "embedding": pa.array(list(self.fitted.vectors), VECTOR),
        }
        songs = self.songs
        rows = [pa.array(songs.track_ids), pa.array(songs.places[:, 0]), pa.array(songs.places[:, 1])]
        side_tables = {
            FITTED_FILE: pa.table(fitted),
            VECTORS_FILE: pa.table({"track_id": rows[0], "direction": _bytes(songs.directions)}),
        }
        with warehouse.overwriting(MAPS, TABLE, run) as writer:
            writer.write(pa.table([*rows, pa.array(songs.fitted)], schema=MAPS))
            for name, table in side_tables.items():
                path = writer.side_file(name)
                pq.write_table(table, path, filesystem=warehouse.filesystem, compression="zstd")
            writer.write_json(metadata, MAP_FILE)


def directions(vectors: np.ndarray) -> np.ndarray:
    """Scale embeddings to length 1, float16; a song's place depends on little else."""
    return unit(vectors).astype(HALF)


def same_directions(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return which rows of two arrays ``(n, size)`` are equal up to rounding."""
    return np.asarray((np.abs(one.astype(np.float32) - other.astype(np.float32)) <= SAME_DIRECTION).all(axis=1))


def _ids(table: pa.Table) -> np.ndarray:
    return table["track_id"].to_numpy().astype(str)


def _places(table: pa.Table) -> np.ndarray:
    return np.column_stack([table["x"].to_numpy(), table["y"].to_numpy()]).astype(np.float32)


def _bytes(values: np.ndarray) -> pa.Array:
    """Return rows as bytes, since pyarrow 14 cannot write float16 to Parquet."""
    rows = np.ascontiguousarray(values, HALF)
    buffer = pa.py_buffer(rows.tobytes())
    return pa.Array.from_buffers(pa.binary(rows.shape[1] * HALF.itemsize), len(rows), [None, buffer])
