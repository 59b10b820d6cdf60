"""List the songs most similar to a song, or make a playlist from it.

The song is a track of the catalogue, or a song file that the run's model embeds. The search is exact: for one song it
takes less time than reading the index of ``neighbours/RUN``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from msd_spark.core.errors import UserError
from msd_spark.core.filesystems import local_path
from msd_spark.core.runs import newest_run
from msd_spark.core.track_ids import SONG_FILE_SUFFIX
from msd_spark.core.warehouse import Warehouse
from msd_spark.neighbours.exact import NONE, nearest
from msd_spark.neighbours.settings import METRICS, SEARCH_FILE, TABLE
from msd_spark.similar.catalogue import Catalogue, Query, facts_of
from msd_spark.similar.naming import named_song
from msd_spark.similar.playlist import choose_songs, m3u, one_line
from msd_spark.similar.settings import SimilarSettings

CANDIDATES_PER_SONG = 10
"""Candidates of a playlist, per song of the playlist."""


def run(settings: SimilarSettings) -> None:
    """Run ``msd-spark similar``."""
    warehouse = Warehouse(settings.warehouse)
    if settings.m3u and not Path(local_path(settings.m3u)).absolute().parent.is_dir():
        raise UserError(f"--m3u is {settings.m3u}, whose folder does not exist; create it")
    name = settings.run or newest_run(warehouse)
    catalogue = Catalogue.open(warehouse, name)
    query = find_query(catalogue, settings.song, settings.lyrics)
    k, exclude = settings.k, settings.exclude
    if settings.playlist:
        k, exclude = CANDIDATES_PER_SONG * settings.playlist, tuple({*exclude, "duplicates"})
    distances = search(catalogue, query, k, settings.metric, exclude)
    if not distances:
        remedy = "drop --exclude, or " if exclude else ""
        raise UserError(
            f"embeddings/{name} has no other song to list; {remedy}ingest more songs and run msd-spark score again"
        )
    if settings.playlist:
        chosen = playlist(catalogue, query, list(distances), settings.playlist, settings.balance)
        songs = [(query.facts, 0.0), *((facts_of(catalogue.song(row)), distances[row]) for row in chosen)]
    else:
        songs = [(facts_of(catalogue.song(row)), distance) for row, distance in distances.items()]
    listed = [{"rank": rank, **facts, "distance": distance} for rank, (facts, distance) in enumerate(songs, 1)]
    if settings.m3u:
        Path(local_path(settings.m3u)).write_text(m3u(listed, settings.location), encoding="utf-8")
    if settings.json:
        key = "playlist" if settings.playlist else "neighbours"
        print(json.dumps({"song": query.facts, key: listed}, ensure_ascii=False, indent=2))
    else:
        print(f"{query.name}  ({query.song['track_id']})\n\n{table(listed)}")


def find_query(catalogue: Catalogue, song: str, lyrics: str | None = None) -> Query:
    """Return the requested song; a song file is embedded first, with its lyrics."""
    if song.endswith(SONG_FILE_SUFFIX):
        # The parsers and Keras take seconds to load, which a name does not need.
        from msd_spark.similar.song_files import embed_song_file

        return catalogue.of_embedded(embed_song_file(catalogue.warehouse, catalogue.run, song, lyrics))
    return named_song(catalogue, song)


def search(
    catalogue: Catalogue, query: Query, k: int, metric: str | None = None, exclude: tuple[str, ...] = ()
) -> dict[int, float]:
    """Return the rows of the k nearest songs, nearest first, and their distances."""
    try:
        space = catalogue.space(metric or default_metric(catalogue.warehouse, catalogue.run))
        exclusions = catalogue.exclusions(query, exclude)
        neighbours = nearest(space, query.vector[None], np.array([query.row]), k, exclusions)
    except ValueError as error:
        raise UserError(f"{error}; run msd-spark score and msd-spark neighbours again") from None
    pairs = zip(neighbours.places[0], neighbours.distances[0], strict=True)
    return {int(place): float(distance) for place, distance in pairs if place != NONE}


def default_metric(warehouse: Warehouse, run: str) -> str:
    """Return the metric of ``neighbours/RUN``, otherwise the first one."""
    record = warehouse.read_json(TABLE, run, SEARCH_FILE) if warehouse.exists(TABLE, run, SEARCH_FILE) else {}
    return str(record.get("metric", METRICS[0]))


def playlist(catalogue: Catalogue, query: Query, candidates: list[int], length: int, balance: float) -> list[int]:
    """Return the rows of the songs that follow a song in a playlist, from candidates."""
    songs = catalogue.take(candidates)
    chosen = choose_songs(
        query.vector,
        catalogue.vectors[candidates],
        [song["artist"] for song in songs],
        length - 1,
        balance=balance,
        previous_artist=query.song["artist"],
        songs=[[song[key] for key in ("song_id", "name") if song[key] is not None] for song in songs],
    )
    return [candidates[place] for place in chosen]


def table(listed: list[dict[str, Any]]) -> str:
    """Return ranked songs with their distances as text."""
    columns = ("rank", "distance", "genre", "predicted_genre", "artist", "title", "track_id")
    rows = [
        [one_line(value) if isinstance(value, str) else value for value in (song[name] for name in columns)]
        for song in listed
    ]
    headers = ["", *(name.replace("_", " ") for name in columns[1:])]
    return tabulate(rows, headers, tablefmt="simple", floatfmt=".4f", missingval="", disable_numparse=[3, 4, 5])
