"""List the songs most similar to a song, or make a playlist from it.

The song is a track of the catalogue, or a song file that the run's model embeds. The index of ``neighbours/RUN`` is
used if it was built from these embeddings; otherwise the search is exact.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tabulate import tabulate

from msd_spark.catalogue.artist_groups import normalise_name
from msd_spark.catalogue.embeddings import read_embeddings
from msd_spark.catalogue.genres import displayed_genres
from msd_spark.catalogue.names import Unknown, display_name, find_song
from msd_spark.catalogue.songs import NAMES
from msd_spark.core.errors import UserError
from msd_spark.core.filesystems import local_path
from msd_spark.core.runs import newest_run
from msd_spark.core.track_ids import SONG_FILE_SUFFIX
from msd_spark.core.warehouse import Warehouse
from msd_spark.neighbours.exact import NONE, nearest
from msd_spark.neighbours.exclusions import Exclusions
from msd_spark.neighbours.index import nearest_by_index, read_index
from msd_spark.neighbours.settings import INDEX_FILE, METRICS, SEARCH_FILE, TABLE
from msd_spark.neighbours.space import Space
from msd_spark.similar.playlist import choose_songs, m3u, one_line
from msd_spark.similar.settings import SimilarSettings
from msd_spark.similar.song_files import embed_song_file

CANDIDATES_PER_SONG = 10
"""Candidates of a playlist, per song of the playlist."""

FACTS = {
    "track_id": "track_id",
    "artist": "artist_name",
    "title": "title",
    "genre": "genre",
    "predicted_genre": "predicted_genre",
    "seconds": "duration",
}
"""Displayed fields of a song, and their columns."""


@dataclass(frozen=True)
class Catalogue:
    """The embedded songs of a run, and possibly a song from outside as the last.

    `songs` has ``track_id``, ``song_id``, ``artist_id``, ``artist_name``, ``title``, ``duration`` in seconds, ``genre``
    and ``predicted_genre``, null if unknown; `vectors` has the shape ``(n, size)``, float32. `fingerprint` is the hash
    of the run's embeddings, without songs from outside.
    """

    songs: pd.DataFrame
    vectors: np.ndarray
    fingerprint: str

    @classmethod
    def read(cls, warehouse: Warehouse, run: str) -> Catalogue:
        """Read the embeddings of a run, and the names and genres of their tracks."""
        warehouse.require("songs")
        embedded = read_embeddings(warehouse, run)
        names = warehouse.read_table(["track_id", *NAMES, "duration"], "songs").to_pandas()
        songs = names.drop_duplicates("track_id").set_index("track_id").reindex(embedded.track_ids)
        genre = displayed_genres(warehouse, run).reindex(songs.index)
        songs = songs.assign(genre=genre, predicted_genre=embedded.predicted_genre)
        return cls(songs.rename_axis("track_id").reset_index(), embedded.vectors, embedded.fingerprint())

    def with_song(self, song: dict[str, Any]) -> tuple[Catalogue, int]:
        """Return the catalogue with an embedded song file, and its row; it replaces its track."""
        rows = np.flatnonzero(self.songs["track_id"].to_numpy() == song["track_id"])
        if len(rows):
            vectors = self.vectors.copy()
            vectors[rows[0]] = song["embedding"]
            return replace(self, vectors=vectors), int(rows[0])
        added = pd.DataFrame([{name: song.get(name) for name in self.songs.columns}]).astype(object)
        songs = pd.concat([self.songs, added], ignore_index=True)
        vectors = np.vstack([self.vectors, np.asarray(song["embedding"], np.float32)])
        return Catalogue(songs, vectors, self.fingerprint), len(self.songs)

    def facts(self, row: int) -> dict[str, Any]:
        """Return the displayed fields of a song, None if unknown."""
        values = {name: self.songs[column].iloc[row] for name, column in FACTS.items()}
        return {name: None if pd.isna(value) else value for name, value in values.items()}

    def name(self, row: int) -> str:
        """Return "artist - title" of a song, on one line."""
        return one_line(display_name(*self.songs[["artist_name", "title"]].iloc[row]))


def run(settings: SimilarSettings) -> None:
    """Run ``msd-spark similar``."""
    warehouse = Warehouse(settings.warehouse)
    name = settings.run or newest_run(warehouse)
    catalogue, row = find_query(warehouse, Catalogue.read(warehouse, name), name, settings.song, settings.lyrics)
    k, exclude = settings.k, settings.exclude
    if settings.playlist:
        k, exclude = CANDIDATES_PER_SONG * settings.playlist, tuple({*exclude, "duplicates"})
    distances = search(warehouse, catalogue, row, name, k, settings.metric, exclude)
    if not distances:
        remedy = "drop --exclude, or " if exclude else ""
        raise UserError(
            f"embeddings/{name} has no other song to list; {remedy}ingest more songs and run msd-spark score again"
        )
    rows = list(distances)
    if settings.playlist:
        rows = playlist(catalogue, row, rows, settings.playlist, settings.balance)
        distances[row] = 0.0
    listed = [{"rank": rank, **catalogue.facts(at), "distance": distances[at]} for rank, at in enumerate(rows, 1)]
    if settings.m3u:
        Path(local_path(settings.m3u)).write_text(m3u(listed, settings.location), encoding="utf-8")
    if settings.json:
        key = "playlist" if settings.playlist else "neighbours"
        print(json.dumps({"song": catalogue.facts(row), key: listed}, ensure_ascii=False, indent=2))
    else:
        print(f"{catalogue.name(row)}  ({catalogue.facts(row)['track_id']})\n\n{table(listed)}")


def find_query(
    warehouse: Warehouse, catalogue: Catalogue, run: str, song: str, lyrics: str | None = None
) -> tuple[Catalogue, int]:
    """Return the catalogue and the row of the requested song.

    A song file is embedded first, with its lyrics.
    """
    if song.endswith(SONG_FILE_SUFFIX):
        return catalogue.with_song(embed_song_file(warehouse, run, song, lyrics))
    match = find_song(catalogue.songs, song)
    if isinstance(match, Unknown):
        raise UserError(_no_match(catalogue, song, match))
    return catalogue, match


def _no_match(catalogue: Catalogue, song: str, match: Unknown) -> str:
    problem = f"{'several songs are' if match.ambiguous else 'no song is'} called {one_line(song)!r}"
    if not match.closest:
        return f"{problem}, or anything similar; give 'artist - title', a track id, or a song file (.h5)"
    lines = [f"  {catalogue.songs['track_id'].iloc[row]}  {catalogue.name(row)}" for row in match.closest]
    return "\n".join([f"{problem}; give one of these track ids" if match.ambiguous else f"{problem}; closest", *lines])


def search(
    warehouse: Warehouse,
    catalogue: Catalogue,
    row: int,
    run: str,
    k: int,
    metric: str | None = None,
    exclude: tuple[str, ...] = (),
) -> dict[int, float]:
    """Return the rows of the k nearest songs, nearest first, and their distances."""
    record = warehouse.read_json(TABLE, run, SEARCH_FILE) if warehouse.is_complete(TABLE, run) else {}
    metric = metric or record.get("metric", METRICS[0])
    try:
        space = Space.of(catalogue.vectors, metric)
        arguments = (space.vectors[row][None], np.array([row]), k, Exclusions.of(catalogue.songs, exclude))
        if record.get("metric") == metric and record["embeddings"] == catalogue.fingerprint:
            index = read_index(warehouse.filesystem, warehouse.file(TABLE, run, INDEX_FILE))
            neighbours = nearest_by_index(space, index, *arguments)
        else:
            if record.get("metric") == metric:
                print(
                    f"similar: the index of neighbours/{run} was built from other embeddings and is not used; "
                    "run msd-spark neighbours again",
                    file=sys.stderr,
                )
            neighbours = nearest(space, *arguments)
    except ValueError as error:
        raise UserError(f"{error}; run msd-spark score and msd-spark neighbours again") from None
    pairs = zip(neighbours.places[0], neighbours.distances[0], strict=True)
    return {int(place): float(distance) for place, distance in pairs if place != NONE}


def playlist(catalogue: Catalogue, row: int, candidates: list[int], length: int, balance: float) -> list[int]:
    """Return the rows of a playlist that starts with a song and continues with candidates."""
    songs = catalogue.songs
    places = np.array([row, *candidates])
    first, *artists = (None if pd.isna(name) else normalise_name(name) for name in songs["artist_name"].iloc[places])
    chosen = choose_songs(
        catalogue.vectors[row],
        catalogue.vectors[candidates],
        artists,
        length - 1,
        balance=balance,
        previous_artist=first,
        songs=[_song_keys(song) for song in songs.iloc[candidates].to_dict("records")],
    )
    return [row, *(candidates[place] for place in chosen)]


def _song_keys(song: Mapping[Any, Any]) -> list[Any]:
    """Return the keys that two entries of a playlist must not share."""
    keys: list[Any] = [] if pd.isna(song["song_id"]) else [song["song_id"]]
    if not pd.isna(song["artist_name"]) and not pd.isna(song["title"]):
        keys.append((normalise_name(song["artist_name"]), normalise_name(song["title"])))
    return keys


def table(listed: list[dict[str, Any]]) -> str:
    """Return ranked songs with their distances as text."""
    columns = ("rank", "distance", "genre", "predicted_genre", "artist", "title", "track_id")
    rows = [
        [one_line(value) if isinstance(value, str) else value for value in (song[name] for name in columns)]
        for song in listed
    ]
    headers = ["", *(name.replace("_", " ") for name in columns[1:])]
    return tabulate(rows, headers, tablefmt="simple", floatfmt=".4f", missingval="", disable_numparse=[3, 4, 5])
