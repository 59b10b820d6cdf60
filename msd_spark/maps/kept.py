"""What is kept with a map, so that every song stays where it is: the fitted songs, and what each song was placed by.

Beside the table lie ``_map.json`` (how the map is made), ``_fitted.parquet`` (the songs that it was made of, with
their embeddings and places) and ``_vectors.parquet`` (each song's direction, by which it is known whether it is
still the same). There is no pickle.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from msd_spark.catalogue.embeddings import Embedded
from msd_spark.core.errors import UserError
from msd_spark.core.schemas import MAPS, VECTOR
from msd_spark.core.warehouse import Warehouse
from msd_spark.maps.settings import FITTED_FILE, MAP_FILE, TABLE, VECTORS_FILE, Layout
from msd_spark.neighbours.space import unit

HALF = np.dtype("<f2")

SAME_DIRECTION = 1e-3
"""Largest difference between the coordinates of one direction: twice what float16 rounds, for numbers up to 1."""


@dataclass(frozen=True)
class Songs:
    """Songs on a map, in the order of their track ids.

    Attributes
    ----------
    track_ids : numpy.ndarray
        Shape ``(n,)``, str.
    places : numpy.ndarray
        Shape ``(n, 2)``, float32.
    fitted : numpy.ndarray
        Shape ``(n,)``, bool.
    directions : numpy.ndarray
        Shape ``(n, size)``, float16: the embeddings at length 1.
    """

    track_ids: np.ndarray
    places: np.ndarray
    fitted: np.ndarray
    directions: np.ndarray


@dataclass(frozen=True)
class KeptMap:
    """A map, with all that placing more songs needs.

    Attributes
    ----------
    layout : Layout
    perplexity : float
        That it was fitted with.
    fitted : Embedded
        The songs that it was made of, as they were then.
    places : numpy.ndarray
        Shape ``(n_fitted, 2)``, float32: where these lie.
    songs : Songs
        All songs on it.
    """

    layout: Layout
    perplexity: float
    fitted: Embedded
    places: np.ndarray
    songs: Songs

    @classmethod
    def read(cls, warehouse: Warehouse, run: str) -> KeptMap | None:
        """Read ``maps/RUN``; None where there is none.

        Raises
        ------
        UserError
            When it is there and cannot be gone on with.
        """
        if not warehouse.is_complete(TABLE, run):
            return None
        try:
            said = warehouse.read_json(TABLE, run, MAP_FILE)
            layout = Layout(**said["layout"])
            fitted, vectors = (
                pq.read_table(warehouse.path(TABLE, run, name), filesystem=warehouse.filesystem)
                for name in (FITTED_FILE, VECTORS_FILE)
            )
            table = warehouse.read_table(MAPS.names, TABLE, run)
            size = int(said["size"])
            reference = Embedded(
                _ids(fitted),
                fitted["embedding"].combine_chunks().flatten().to_numpy().reshape(-1, size),
                fitted["stratum"].to_numpy().astype(str),
                np.zeros(len(fitted), bool),
            )
            directions = np.frombuffer(b"".join(vectors["direction"].to_pylist()), HALF).reshape(-1, size)
            songs = Songs(_ids(table), _places(table), table["fitted"].to_numpy(), directions)
            found = cls(layout, float(said["perplexity"]), reference, _places(fitted), songs)
            whole = reference.fingerprint() == said["fingerprint"] and (_ids(vectors) == songs.track_ids).all()
        except (OSError, KeyError, TypeError, ValueError, pa.ArrowException) as error:
            whole, why = False, f" ({type(error).__name__}: {error})"
        else:
            why = ""
        if not whole:
            raise UserError(f"what is kept beside maps/{run} does not belong to it{why}; make a new map (--refit)")
        return found

    def write(self, warehouse: Warehouse, run: str) -> None:
        """Write ``maps/RUN``, replacing what is there."""
        said: dict[str, Any] = {
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
        tables = {
            "part-0.parquet": pa.table([*rows, pa.array(songs.fitted)], schema=MAPS),
            FITTED_FILE: pa.table(fitted),
            VECTORS_FILE: pa.table({"track_id": rows[0], "direction": _bytes(songs.directions)}),
        }
        with warehouse.replacing(TABLE, run) as staging:
            for name, table in tables.items():
                pq.write_table(table, f"{staging}/{name}", filesystem=warehouse.filesystem, compression="zstd")
            warehouse.write_json(said, staging.removeprefix(f"{warehouse.root}/"), MAP_FILE)


def directions(vectors: np.ndarray) -> np.ndarray:
    """Return embeddings ``(n, size)`` at length 1, float16: what a place on the map depends on, nearly."""
    return unit(vectors).astype(HALF)


def same_directions(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return which of two lists' rows ``(n, size)`` are one direction, rounding aside: shape ``(n,)``, bool."""
    return np.asarray((np.abs(one.astype(np.float32) - other.astype(np.float32)) <= SAME_DIRECTION).all(axis=1))


def _ids(table: pa.Table) -> np.ndarray:
    return table["track_id"].to_numpy().astype(str)


def _places(table: pa.Table) -> np.ndarray:
    return np.column_stack([table["x"].to_numpy(), table["y"].to_numpy()]).astype(np.float32)


def _bytes(values: np.ndarray) -> pa.Array:
    """Return rows as bytes: Parquet has no float16 that pyarrow 14 writes."""
    rows = np.ascontiguousarray(values, HALF)
    buffer = pa.py_buffer(rows.tobytes())
    return pa.Array.from_buffers(pa.binary(rows.shape[1] * HALF.itemsize), len(rows), [None, buffer])
