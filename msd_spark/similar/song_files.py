"""Embed song files from outside the warehouse with a run's model, without Spark."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from msd_spark.catalogue.known_tracks import NO_LYRICS, known_tracks
from msd_spark.core.errors import UserError
from msd_spark.core.features import lyric_columns
from msd_spark.core.filesystems import open_location
from msd_spark.core.rejections import Rejection
from msd_spark.core.schemas import ARRAY_COLUMNS, Geometry
from msd_spark.core.track_ids import track_id_of
from msd_spark.core.warehouse import Warehouse
from msd_spark.scoring.model import embedding_rows, model_of_process
from msd_spark.scoring.song_features import song_features
from msd_spark.scoring.trained_run import TrainedRun
from msd_spark.songfile.batches import songs_to_batch
from msd_spark.songfile.parse import LARGEST_SONG_FILE, Song, SongFileError, parse_song

SONGS_PER_CALL = 32
"""Songs per call of the model; song files are few."""

REPEATED = "repeated_track"
"""Reason for which a song file is rejected: an earlier file has the same track."""


@dataclass(frozen=True)
class EmbeddedFiles:
    """Result of embedding song files.

    Attributes
    ----------
    songs : list of dict
        In the order of the files: the scalar columns of ``songs/`` and those of ``embeddings/RUN``.
    rows : pyarrow.Table or None
        The same in the schema `msd_spark.core.schemas.EMBEDDINGS`; None without songs.
    rejected : list of Rejection
        The other files.
    """

    songs: list[dict[str, Any]]
    rows: pa.Table | None
    rejected: list[Rejection]


def embed_song_files(
    trained: TrainedRun, warehouse: Warehouse, locations: Sequence[str], *, lyrics: bool = True
) -> EmbeddedFiles:
    """Parse song files and embed them, with the lyrics that ``lyrics/`` has of their tracks.

    The table ``songs/`` is not needed. Locations are local or remote.

    Raises
    ------
    UserError
        If an embedding is not finite.
    """
    songs, columns, rejected = _songs_and_features(locations, trained.geometry)
    if not songs:
        return EmbeddedFiles([], None, rejected)
    track_ids = pa.array([song["track_id"] for song in songs], pa.string())
    with_lyrics = lyrics and trained.lyric_vectors != NO_LYRICS
    known = known_tracks(warehouse, track_ids, trained.geometry.lyric_size, lyrics=with_lyrics)
    columns |= lyric_columns(known.lyrics.take(slice(None)), trained.geometry)
    scores = model_of_process(trained, SONGS_PER_CALL, len(os.sched_getaffinity(0)))(columns)
    if not scores.finite.all():
        location = songs[int(np.argmin(scores.finite))]["source"]
        raise UserError(f"the embedding of {location} by run {trained.name} is not finite")
    rows = embedding_rows(trained, track_ids, scores, known.flags)
    return EmbeddedFiles([song | row for song, row in zip(songs, rows.to_pylist(), strict=True)], rows, rejected)


def embed_song_file(warehouse: Warehouse, run: str, location: str) -> dict[str, Any]:
    """Parse and embed one song file; return its entry of `EmbeddedFiles.songs`.

    Raises
    ------
    UserError
        If the file is not a valid song file, or the run does not fit.
    """
    trained = TrainedRun.read(warehouse, run)
    trained.check_lyrics(warehouse)
    embedded = embed_song_files(trained, warehouse, [location])
    for rejected in embedded.rejected:
        raise UserError(f"{location}: {rejected.reason}: {rejected.detail}")
    return embedded.songs[0]


def _songs_and_features(
    locations: Sequence[str], geometry: Geometry
) -> tuple[list[Song], dict[str, np.ndarray], list[Rejection]]:
    """Return songs without their arrays, their features, and the rejected files.

    The arrays of only one file are in memory: they take ten times the space of its features.
    """
    songs: dict[str, Song] = {}
    features: list[dict[str, np.ndarray]] = []
    rejected = []
    for location in tqdm(locations, "score: song files", unit="file", disable=len(locations) < SONGS_PER_CALL):
        try:
            filesystem, path, _ = open_location(location)
            with filesystem.open_input_stream(path, compression=None) as source:
                song = parse_song(source.read(LARGEST_SONG_FILE), track_id_of(location))
        except SongFileError as error:
            rejected.append(Rejection(location, error.reason, error.detail))
            continue
        except OSError as error:
            rejected.append(Rejection(location, "cannot_be_read", " ".join(str(error).split())))
            continue
        song |= {"source": location, "member": None}
        track = song["track_id"]
        if track in songs:
            rejected.append(Rejection(location, REPEATED, f"{track} is also in {songs[track]['source']}"))
            continue
        of_song = song_features(songs_to_batch([song]), geometry)
        rejected += [Rejection(location, reason, detail) for _, reason, detail in of_song.refused]
        if len(of_song.rows):
            songs[track] = {name: value for name, value in song.items() if name not in ARRAY_COLUMNS}
            features.append(of_song.columns)
    columns = {name: np.concatenate([part[name] for part in features]) for name in features[0]} if features else {}
    return list(songs.values()), columns, rejected
