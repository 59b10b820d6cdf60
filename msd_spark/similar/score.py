"""Run ``msd-spark score``, for the songs of the warehouse or for song files from outside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tabulate import tabulate

from msd_spark.catalogue.names import display_name
from msd_spark.core.errors import UserError
from msd_spark.core.filesystems import is_local, local_path
from msd_spark.core.warehouse import Warehouse
from msd_spark.scoring.settings import TABLE, ScoreSettings
from msd_spark.scoring.trained_run import TrainedRun, usable_run
from msd_spark.scoring.work import file_options
from msd_spark.similar.catalogue import Catalogue, facts_of
from msd_spark.similar.command import search, table
from msd_spark.similar.playlist import one_line
from msd_spark.similar.song_files import embed_song_files

NEAREST = 5
"""Nearest songs printed per song file."""


def run(settings: ScoreSettings) -> None:
    """Run ``msd-spark score``."""
    if settings.songs:
        warehouse = Warehouse(settings.warehouse)
        score_song_files(usable_run(warehouse, settings), warehouse, settings)
        return
    from msd_spark.scoring import job

    job.run(settings)


def score_song_files(trained: TrainedRun, warehouse: Warehouse, settings: ScoreSettings) -> None:
    """Score song files; print the predictions and, if there are embeddings, the nearest songs."""
    embedded, rows, rejected = embed_song_files(trained, warehouse, settings.songs, lyrics=not settings.without_lyrics)
    if rejected:
        rows_of_rejected = [(one_line(item.source), item.reason, one_line(item.detail)) for item in rejected]
        headers = ["rejected", "reason", "detail"]
        print(tabulate(rows_of_rejected, headers, tablefmt="simple", disable_numparse=True), end="\n\n")
    if not embedded:
        raise UserError(f"--songs: none of {len(settings.songs)} files is a valid song file")
    print(songs_table(embedded))
    if settings.output:
        write_output(rows, settings.output)
        print(f"\nwritten: {settings.output}")
    k = NEAREST if settings.nearest is None else settings.nearest
    if not k or not warehouse.is_complete("songs"):
        return
    if not warehouse.is_complete(TABLE, trained.name):
        print(f"\nnearest songs need embeddings/{trained.name}; run msd-spark score without --songs first")
        return
    catalogue = Catalogue.open(warehouse, trained.name)
    for song in embedded:
        query = catalogue.of_embedded(song)
        nearest = search(catalogue, query, k).items()
        listed = [
            {"rank": rank, **facts_of(catalogue.song(row)), "distance": distance}
            for rank, (row, distance) in enumerate(nearest, 1)
        ]
        print(f"\nnearest to {query.name}  ({song['track_id']})\n\n{table(listed)}")


def songs_table(songs: Sequence[dict[str, Any]]) -> str:
    """Return the predictions for song files as text."""
    rows = [
        (
            one_line(display_name(song["artist_name"], song["title"])),
            song["track_id"],
            song["predicted_genre"],
            song["genre_probabilities"] and max(song["genre_probabilities"]),
            song["entropy"],
            "yes" if song["has_lyrics"] else "no",
        )
        for song in songs
    ]
    headers = ["song", "track id", "genre", "probability", "entropy", "lyrics"]
    return tabulate(rows, headers, tablefmt="simple", floatfmt=".3f", missingval="", disable_numparse=[0, 1, 2])


def write_output(rows: pa.Table, location: str) -> None:
    """Write rows of embeddings to a Parquet file, local or remote."""
    folder, slash, name = (local_path(location) if is_local(location) else location).rpartition("/")
    target = Warehouse((folder or "/") if slash else ".")
    try:
        target.filesystem.create_dir(target.root, recursive=True)
        pq.write_table(rows, target.path(name), filesystem=target.filesystem, **file_options(rows))
    except OSError as error:
        raise UserError(f"--output {location} cannot be written: {' '.join(str(error).split())}") from None
