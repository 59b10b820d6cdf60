"""The embedded songs of a run, mapped into memory from files in the cache, so that one song is found at once.

Of a million songs only the vectors are read from start to end, by the search. The files are written by
`msd_spark.similar.catalogue_files` on the first call after a table has changed.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from msd_spark.catalogue.name_index import FILE, NameIndex
from msd_spark.catalogue.name_search import Found, search_names
from msd_spark.catalogue.names import display_name, normalise_name
from msd_spark.core.cache import opened
from msd_spark.core.runs import label_set_of_run
from msd_spark.core.warehouse import Warehouse
from msd_spark.neighbours.exclusions import UNKNOWN, Exclusions
from msd_spark.neighbours.space import Space
from msd_spark.similar.playlist import one_line
from msd_spark.similar.settings import CENTRE_FILE, SCALED_FILE, SONGS_FILE, TRACKS, VECTORS_FILE

FACTS = {
    "track_id": "track_id",
    "artist": "artist_name",
    "title": "title",
    "genre": "genre",
    "predicted_genre": "predicted_genre",
    "seconds": "duration",
}
"""Displayed fields of a song, and their columns."""

DAMAGE = (OSError, ValueError, KeyError, pa.ArrowException, sqlite3.Error)
"""Errors of a damaged file in the cache."""


@dataclass(frozen=True)
class Query:
    """A song to search for.

    `song` has the columns of `Catalogue.songs`, None if unknown; `row` is its row in the catalogue, or the number of
    songs for a song from outside.
    """

    song: Mapping[str, Any]
    vector: np.ndarray
    row: int

    @property
    def facts(self) -> dict[str, Any]:
        """The displayed fields, None if unknown."""
        return facts_of(self.song)

    @property
    def name(self) -> str:
        """The song as "artist - title", on one line."""
        return one_line(display_name(self.song["artist_name"], self.song["title"]))


@dataclass(frozen=True)
class Catalogue:
    """The embedded songs of a run, sorted by track id.

    Attributes
    ----------
    songs : pyarrow.Table
        ``track_id``, ``song_id``, ``artist_id``, ``artist_name``, ``title``, ``duration`` in seconds, ``genre``,
        ``predicted_genre``, null if unknown; and ``artist``, ``name``: normalised artist, and artist and title.
    vectors : numpy.ndarray
        Shape ``(n, size)``, float32.
    """

    songs: pa.Table
    vectors: np.ndarray
    warehouse: Warehouse = field(repr=False)
    run: str
    version: str

    @classmethod
    def open(cls, warehouse: Warehouse, run: str) -> Catalogue:
        """Open the files of a run, after writing them if a table has changed."""
        version = _version(warehouse, ("songs",), ("embeddings", run)) + _labels_version(warehouse, run)

        def write(folder: Path) -> None:
            # pandas takes longer to load than a search takes
            from msd_spark.similar.catalogue_files import write_catalogue

            write_catalogue(folder, warehouse, run)

        def read(folder: Path) -> Catalogue:
            with pa.memory_map(str(folder / SONGS_FILE)) as source:
                songs = pa.ipc.open_file(source).read_all()
            if TRACKS not in (songs.schema.metadata or {}):
                raise ValueError("no hash of the tracks")
            vectors = np.load(folder / VECTORS_FILE, mmap_mode="r")
            if len(vectors) != songs.num_rows:
                raise ValueError(f"{len(vectors)} vectors of {songs.num_rows} songs")
            return cls(songs, vectors, warehouse, run, version)

        return opened("embedded", f"{warehouse.address()}\n{run}", version, write, read, DAMAGE)

    def __len__(self) -> int:
        return len(self.vectors)

    def song(self, row: int) -> dict[str, Any]:
        """Return a song."""
        return dict(self.songs.slice(row, 1).to_pylist()[0])

    def take(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        """Return several songs."""
        return [self.song(row) for row in rows]

    def of_track(self, track_id: str) -> Query | None:
        """Return a track as a query; None if it is not in the catalogue."""
        row = _row_of(self.songs["track_id"], track_id)
        return None if row < 0 else Query(self.song(row), self.vectors[row], row)

    def of_embedded(self, song: Mapping[str, Any]) -> Query:
        """Return an embedded song file as a query, in place of its track if the catalogue has it."""
        row = _row_of(self.songs["track_id"], song["track_id"])
        known = {name: song.get(name) for name in self.songs.column_names}
        known |= {"artist": artist_key(song), "name": name_key(song)}
        return Query(known, np.asarray(song["embedding"], np.float32), len(self) if row < 0 else row)

    def search_names(self, text: str) -> Found:
        """Return the songs that a text names, by an index that is built once per version of ``songs/``."""
        tracks = self.songs.schema.metadata[TRACKS].decode()  # runs with the same tracks share an index
        version = _version(self.warehouse, ("songs",)) + _optional_version(self.warehouse, "popularity")

        def write(folder: Path) -> None:
            from msd_spark.similar.catalogue_files import write_names

            write_names(folder, self.warehouse, self.songs["track_id"])

        def search(folder: Path) -> Found:
            with NameIndex(folder / FILE) as index:
                return search_names(index, text)

        return opened("names", f"{self.warehouse.address()}\n{tracks}", version, write, search, DAMAGE)

    def space(self, metric: str) -> Space:
        """Return the vectors scaled for a metric; raise ValueError if one is not finite."""

        def write(folder: Path) -> None:
            space = Space.of(self.vectors, metric)
            np.save(folder / SCALED_FILE, space.scaled)
            centre = {"centre": space.centre.tolist(), "reach": space.reach}
            (folder / CENTRE_FILE).write_text(json.dumps(centre))

        def read(folder: Path) -> Space:
            centre = json.loads((folder / CENTRE_FILE).read_bytes())
            scaled = np.load(folder / SCALED_FILE, mmap_mode="r")
            return Space(metric, self.vectors, scaled, np.array(centre["centre"]), centre["reach"])

        place = f"{self.warehouse.address()}\n{self.run}\n{metric}"
        return opened(f"space-{metric}", place, self.version, write, read, DAMAGE)

    def exclusions(self, query: Query, names: Sequence[str]) -> Exclusions:
        """Return the keys that the neighbours of one query must not share, see `Exclusions.of`."""
        columns = {"same-artist": ("artist_id", "artist"), "duplicates": ("song_id", "name")}
        keys = [column for name in names for column in columns[name]]
        codes = np.full((len(keys), len(self) + 1), UNKNOWN, np.int32)
        for code, column in zip(codes, keys, strict=True):
            if query.song[column] is not None:
                equal = pc.equal(self.songs[column], _scalar(query.song[column]))
                code[pc.indices_nonzero(equal).to_numpy()] = 0
                code[query.row] = 0
        return Exclusions(codes)


def facts_of(song: Mapping[str, Any]) -> dict[str, Any]:
    """Return the displayed fields of a song, None if unknown."""
    return {name: song[column] for name, column in FACTS.items()}


def _row_of(column: pa.ChunkedArray, text: str) -> int:
    return int(pc.index(column, _scalar(text)).as_py())


def _scalar(text: str) -> pa.Scalar:
    """Return a text for Arrow's functions; `pa.scalar` would load pandas, which takes longer than the search."""
    content = text.encode("utf-8", "replace")
    ends = np.array([0, len(content)], np.int32)
    return pa.StringArray.from_buffers(1, pa.py_buffer(ends), pa.py_buffer(content))[0]


def artist_key(song: Mapping[str, Any]) -> str | None:
    """Return the normalised artist of a song, None if unknown."""
    return None if song["artist_name"] is None else normalise_name(song["artist_name"])


def name_key(song: Mapping[str, Any]) -> str | None:
    """Return the normalised artist and title of a song, None if one is unknown."""
    artist, title = artist_key(song), song["title"]
    return None if artist is None or title is None else f"{artist}\n{normalise_name(title)}"


def _version(warehouse: Warehouse, *tables: Sequence[str]) -> str:
    """Return text that identifies the files of tables; their names differ between writers."""
    files = [(table, file.name, file.size) for table in tables for file in warehouse.snapshot(*table).files]
    return "\n".join(map(str, files))


def _optional_version(warehouse: Warehouse, table: str) -> str:
    return _version(warehouse, (table,)) if warehouse.is_complete(table) else ""


def _labels_version(warehouse: Warehouse, run: str) -> str:
    return f"\n{label_set_of_run(warehouse, run)}\n{_optional_version(warehouse, 'labels')}"
