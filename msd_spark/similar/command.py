"""Print the songs that are most like a song, or make a playlist from it.

The song is one of the catalogue, by track id or by name, or a song file from anywhere, which the run's
model then places among all others. The index of ``neighbours/RUN`` is used where it was made of these
embeddings; without it, the search is exact.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tabulate import tabulate

from msd_spark.catalogue.artist_groups import normalise_name
from msd_spark.catalogue.embeddings import Embedded, read_embeddings
from msd_spark.catalogue.genres import displayed_genres
from msd_spark.catalogue.names import Unknown, display_name, find_song
from msd_spark.catalogue.songs import NAMES
from msd_spark.core.errors import UserError
from msd_spark.core.legacy import exit_with, job_parser
from msd_spark.core.track_ids import SONG_FILE_SUFFIX
from msd_spark.core.warehouse import Warehouse
from msd_spark.neighbours.exact import NONE, Neighbours, nearest
from msd_spark.neighbours.exclusions import Exclusions
from msd_spark.neighbours.index import nearest_by_index, read_index
from msd_spark.neighbours.settings import EXCLUSIONS, INDEX_FILE, METRICS, SEARCH_FILE, TABLE
from msd_spark.neighbours.space import Space
from msd_spark.similar.playlist import BALANCE, Entry, choose_songs, m3u, one_line
from msd_spark.similar.song_files import LooseSong, embed_song_file

STAGE = "similar"
CANDIDATES_PER_SONG = 10
"""Neighbours that a playlist is chosen from, for each of its songs."""


@dataclass(frozen=True)
class Catalogue:
    """The songs of a run, with what is known of them, and perhaps one from outside as the last.

    Attributes
    ----------
    songs : pandas.DataFrame
        ``track_id``, ``song_id``, ``artist_id``, ``artist_name``, ``title``, ``duration`` in seconds, ``genre`` and
        ``predicted_genre``; null where they are not known.
    vectors : numpy.ndarray
        Shape ``(n, size)``, float32.
    fingerprint : str
        Of the run's embeddings, those from outside left aside.
    """

    songs: pd.DataFrame
    vectors: np.ndarray
    fingerprint: str

    @classmethod
    def read(cls, warehouse: Warehouse, run: str) -> Catalogue:
        """Read the embeddings of a run, and names and labels."""
        embedded = read_embeddings(warehouse, run)
        warehouse.require("songs")
        songs = _described(warehouse, run, embedded)
        return cls(songs, embedded.vectors, embedded.fingerprint())

    def with_song(self, song: LooseSong) -> tuple[Catalogue, int]:
        """Return the catalogue with a song from outside, and that song's row; a track that is there is replaced."""
        row = np.flatnonzero(self.songs["track_id"].to_numpy() == song.track_id)
        if len(row):
            vectors = self.vectors.copy()
            vectors[row[0]] = song.embedding
            return Catalogue(self.songs, vectors, self.fingerprint), int(row[0])
        added = {
            "track_id": song.track_id,
            "song_id": song.song_id,
            "artist_id": song.artist_id,
            "artist_name": song.artist,
            "title": song.title,
            "duration": song.duration,
            "predicted_genre": song.predicted_genre,
        }
        songs = pd.concat([self.songs, pd.DataFrame([added]).astype(object)], ignore_index=True)
        return Catalogue(songs, np.vstack([self.vectors, song.embedding]), self.fingerprint), len(self.songs)

    def facts(self, row: int) -> dict[str, Any]:
        """Return what is shown of a song; None for what is not known."""
        names = {"track_id": "track_id", "artist": "artist_name", "title": "title"}
        names |= {"genre": "genre", "predicted_genre": "predicted_genre", "seconds": "duration"}
        values = {name: self.songs[column].iloc[row] for name, column in names.items()}
        return {name: None if pd.isna(value) else value for name, value in values.items()}


def _described(warehouse: Warehouse, run: str, embedded: Embedded) -> pd.DataFrame:
    names = warehouse.read_table(["track_id", *NAMES, "duration"], "songs").to_pandas()
    songs = names.drop_duplicates("track_id").set_index("track_id").reindex(embedded.track_ids)
    genre = displayed_genres(warehouse, run).reindex(songs.index)
    songs = songs.assign(genre=genre, predicted_genre=embedded.predicted_genre)
    return songs.rename_axis("track_id").reset_index()


def find_query(warehouse: Warehouse, catalogue: Catalogue, run: str, wanted: str) -> tuple[Catalogue, int]:
    """Return the catalogue and the row of the song that is meant; a song file is embedded first.

    Raises
    ------
    UserError
        When no song or several are meant, with the closest.
    """
    if wanted.endswith(SONG_FILE_SUFFIX):
        return catalogue.with_song(embed_song_file(warehouse, run, wanted))
    found = find_song(catalogue.songs, wanted)
    if isinstance(found, int):
        return catalogue, found
    raise UserError(_not_found(catalogue, wanted, found))


def _not_found(catalogue: Catalogue, wanted: str, found: Unknown) -> str:
    said = f"{'several songs are called' if found.ambiguous else 'no song is called'} {one_line(wanted)!r}"
    if not found.closest:
        return f"{said}, nor anything like it; name one as 'artist - title', by track id, or as a song file (.h5)"
    songs = (catalogue.facts(row) for row in found.closest)
    lines = [f"  {song['track_id']}  {one_line(display_name(song['artist'], song['title']))}" for song in songs]
    return "\n".join([f"{said}; take a track id of these" if found.ambiguous else f"{said}; the closest are", *lines])


def search(
    warehouse: Warehouse,
    catalogue: Catalogue,
    row: int,
    run: str,
    k: int,
    metric: str | None,
    exclude: tuple[str, ...],
) -> Neighbours:
    """Return the k nearest songs of a row, by the index of ``neighbours/RUN`` where it fits."""
    said = warehouse.read_json(TABLE, run, SEARCH_FILE) if warehouse.is_complete(TABLE, run) else {}
    metric = metric or said.get("metric", METRICS[0])
    exclusions = Exclusions.of(catalogue.songs, exclude)
    space = Space.of(catalogue.vectors, metric)
    arguments = (space.vectors[row][None], np.array([row]), k, exclusions)
    if said.get("metric") == metric:
        if said["embeddings"] == catalogue.fingerprint:
            index = read_index(warehouse.filesystem, warehouse.path(TABLE, run, INDEX_FILE))
            return nearest_by_index(space, index, *arguments)
        print(
            f"{STAGE}: neighbours/{run} was made of other embeddings, so its index is left alone; "
            "run jobs/neighbours.py again",
            file=sys.stderr,
        )
    return nearest(space, *arguments)


def playlist(catalogue: Catalogue, row: int, found: Neighbours, length: int, balance: float = BALANCE) -> list[int]:
    """Return the rows of a playlist that begins with a song and goes on among its neighbours."""
    candidates = found.places[0][found.places[0] != NONE]
    songs = catalogue.songs
    artists = [None if pd.isna(name) else normalise_name(name) for name in songs["artist_name"].iloc[candidates]]
    first = songs["artist_name"].iloc[row]
    chosen = choose_songs(
        catalogue.vectors[row],
        catalogue.vectors[candidates],
        artists,
        length - 1,
        previous_artist=None if pd.isna(first) else normalise_name(first),
        songs=[_same_song(song) for song in songs.iloc[candidates].to_dict("records")],
        balance=balance,
    )
    return [row, *(int(candidates[place]) for place in chosen)]


def _same_song(song: dict[str, Any]) -> list[Any]:
    """Return what two rows must not share in a playlist."""
    keys: list[Any] = [] if pd.isna(song["song_id"]) else [song["song_id"]]
    if not pd.isna(song["artist_name"]) and not pd.isna(song["title"]):
        keys.append((normalise_name(song["artist_name"]), normalise_name(song["title"])))
    return keys


def main() -> None:
    """Run the command."""
    parser = job_parser(__doc__)
    add = parser.add_argument
    add("song", help="'artist - title', a track id, or a song file (.h5)")
    add("--run", required=True, metavar="NAME", help="the run of embeddings/NAME")
    add("--k", type=int, default=10, help="neighbours")
    add("--metric", choices=METRICS, help="the distance; left out: that of neighbours/NAME, or the cosine")
    add("--exclude", nargs="+", choices=EXCLUSIONS, default=(), help="songs that are no neighbours")
    add("--playlist", type=int, metavar="N", help="make a playlist of N songs that begins with this one")
    add("--balance", type=float, default=BALANCE, help="of a playlist: 1 for the nearest songs, 0 for a varied one")
    add("--m3u", metavar="FILE", help="write the playlist as extended M3U")
    add("--location", default="{track_id}.mp3", metavar="PATTERN", help="where a song of the M3U file is")
    add("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    _check(arguments.k, arguments.playlist, arguments.m3u, arguments.balance)
    warehouse = Warehouse(arguments.warehouse)
    catalogue = Catalogue.read(warehouse, arguments.run)
    catalogue, row = find_query(warehouse, catalogue, arguments.run, arguments.song)
    wanted, exclude = arguments.k, tuple(arguments.exclude)
    if arguments.playlist:
        wanted, exclude = CANDIDATES_PER_SONG * arguments.playlist, tuple({*exclude, "duplicates"})
    try:
        found = search(warehouse, catalogue, row, arguments.run, wanted, arguments.metric, exclude)
    except ValueError as error:
        raise UserError(f"{error}; run jobs/score.py or jobs/neighbours.py again") from None
    rows = [int(place) for place in found.places[0] if place != NONE]
    distances: dict[int, float | None] = {
        place: float(distance) for place, distance in zip(rows, found.distances[0], strict=False)
    }
    if arguments.playlist:
        rows = playlist(catalogue, row, found, arguments.playlist, arguments.balance)
        distances[row] = 0.0
    listed = [{"rank": rank, **catalogue.facts(at), "distance": distances[at]} for rank, at in enumerate(rows, 1)]
    if arguments.m3u:
        Path(arguments.m3u).write_text(_m3u(listed, arguments.location), encoding="utf-8")
    if arguments.json:
        name = "playlist" if arguments.playlist else "neighbours"
        print(json.dumps({"song": catalogue.facts(row), name: listed}, ensure_ascii=False, indent=2))
    else:
        print(_table(catalogue.facts(row), listed))


def _check(k: int, length: int | None, m3u_file: str | None, balance: float) -> None:
    if k < 1 or (length is not None and length < 1):
        raise UserError("--k and --playlist are at least 1")
    if m3u_file and not length:
        raise UserError("--m3u writes a playlist; add --playlist N")
    if not 0 <= balance <= 1:
        raise UserError(f"--balance is between 0 and 1, not {balance}")


def _m3u(listed: list[dict[str, Any]], pattern: str) -> str:
    return m3u(
        Entry(
            song["artist"] or "?",
            song["title"] or "?",
            pattern.replace("{track_id}", song["track_id"]),
            song["seconds"],
        )
        for song in listed
    )


def _table(song: dict[str, Any], listed: list[dict[str, Any]]) -> str:
    columns = ("rank", "distance", "genre", "predicted_genre", "artist", "title", "track_id")
    rows = [
        [one_line(str(value)) if isinstance(value, str) else value for value in (row[name] for name in columns)]
        for row in listed
    ]
    headers = ["", *(name.replace("_", " ") for name in columns[1:])]
    plain = [3, 4, 5]
    title = f"{one_line(display_name(song['artist'], song['title']))}  ({song['track_id']})"
    table = tabulate(rows, headers, tablefmt="simple", floatfmt=".4f", missingval="", disable_numparse=plain)
    return f"{title}\n\n{table}"


if __name__ == "__main__":
    exit_with(main)
