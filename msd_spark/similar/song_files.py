"""Song files from outside the warehouse through a run's model, in this process, without Spark."""

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
from msd_spark.scoring.embedding_rows import embedding_rows
from msd_spark.scoring.model import model_of_process
from msd_spark.scoring.song_features import song_features
from msd_spark.scoring.trained_run import TrainedRun
from msd_spark.songfile.batches import songs_to_batch
from msd_spark.songfile.parse import LARGEST_SONG_FILE, Song, SongFileError, parse_song

SONGS_PER_CALL = 32
"""Songs a call of the model: loose songs are few."""

REPEATED = "repeated_track"
"""Reason for which a song file is left out that holds the same track as one before it."""


@dataclass(frozen=True)
class LooseSong:
    """A song file, as a run's model places it.

    Attributes
    ----------
    location : str
    track_id : str
    song_id, artist_id, artist, title : str or None
    duration : float or None
        Seconds.
    embedding : numpy.ndarray
        Shape ``(size,)``, float32.
    predicted_genre : str or None
        None where the run does not tell genres, as are the next two.
    probability, entropy : float or None
        Of that genre, and of the probabilities in nats.
    has_lyrics : bool
        Whether ``lyrics/`` has the track.
    """

    location: str
    track_id: str
    song_id: str | None
    artist_id: str | None
    artist: str | None
    title: str | None
    duration: float | None
    embedding: np.ndarray
    predicted_genre: str | None
    probability: float | None
    entropy: float | None
    has_lyrics: bool


@dataclass(frozen=True)
class LooseSongs:
    """What became of some song files.

    Attributes
    ----------
    songs : list of LooseSong
        In the order of the files.
    rows : pyarrow.Table or None
        The same in the schema `msd_spark.core.schemas.EMBEDDINGS`; None where there is no song.
    rejected : list of Rejection
        The other files.
    """

    songs: list[LooseSong]
    rows: pa.Table | None
    rejected: list[Rejection]


def embed_song_files(
    warehouse: Warehouse, run: str, locations: Sequence[str], *, without_lyrics: bool = False
) -> LooseSongs:
    """Parse song files and embed them; a song's lyrics are those of ``lyrics/``, if that has its track.

    Parameters
    ----------
    warehouse : Warehouse
        Of the run; its tables of songs are not needed.
    run : str
    locations : sequence of str
        Song files, local or remote.
    stage : str
        Who asks, for the error.
    without_lyrics : bool
        Take all of them as songs without lyrics.

    Raises
    ------
    UserError
        When the run's model cannot be used.
    """
    trained = TrainedRun.read(warehouse, run)
    if not without_lyrics:
        trained.check_lyrics(warehouse)
    songs, columns, rejected = _songs_and_features(locations, trained.geometry)
    if not songs:
        return LooseSongs([], None, rejected)
    track_ids = pa.array([song["track_id"] for _, song in songs], pa.string())
    with_lyrics = not without_lyrics and trained.lyric_vectors != NO_LYRICS
    known = known_tracks(warehouse, track_ids, trained.geometry.lyric_size, lyrics=with_lyrics)
    columns |= lyric_columns(known.lyrics.take(slice(None)), trained.geometry)
    scores = model_of_process(trained, SONGS_PER_CALL, len(os.sched_getaffinity(0)))(columns)
    finite = np.isfinite(scores.embeddings).all(axis=1) & np.isfinite(scores.outputs).all(axis=1)
    if not finite.all():
        raise UserError(f"run {run} gives no finite embedding of {songs[int(np.argmin(finite))][0]}")
    rows = embedding_rows(trained, track_ids, scores, known.flags)
    return LooseSongs(
        [_loose(name, song, row) for (name, song), row in zip(songs, rows.to_pylist(), strict=True)], rows, rejected
    )


def embed_song_file(warehouse: Warehouse, run: str, location: str) -> LooseSong:
    """Parse one song file and embed it: `embed_song_files` of one.

    Raises
    ------
    UserError
        When the file is no song or has no features, or the run's model cannot be used.
    """
    found = embed_song_files(warehouse, run, [location])
    if found.rejected:
        refused = found.rejected[0]
        raise UserError(f"{location}: {refused.reason}: {refused.detail}")
    return found.songs[0]


def _songs_and_features(
    locations: Sequence[str], geometry: Geometry
) -> tuple[list[tuple[str, Song]], dict[str, np.ndarray], list[Rejection]]:
    """Return songs by location, without their arrays, and their features; and the files that give none.

    One file is held at a time: a song's arrays take ten times the room of its features.
    """
    songs: list[tuple[str, Song]] = []
    made: list[dict[str, np.ndarray]] = []
    rejected = []
    seen: dict[str, str] = {}
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
        track = song["track_id"]
        if track in seen:
            rejected.append(Rejection(location, REPEATED, f"{track} is in {seen[track]} too"))
            continue
        found = song_features(songs_to_batch([song | {"source": location, "member": None}]), geometry)
        rejected += [Rejection(location, reason, detail) for _, reason, detail in found.refused]
        if len(found.rows):
            seen[track] = location
            songs.append((location, {name: value for name, value in song.items() if name not in ARRAY_COLUMNS}))
            made.append(found.columns)
    columns = {name: np.concatenate([part[name] for part in made]) for name in made[0]} if made else {}
    return songs, columns, rejected


def _loose(location: str, song: Song, row: dict[str, Any]) -> LooseSong:
    probabilities = row["genre_probabilities"]
    return LooseSong(
        location,
        song["track_id"],
        song["song_id"],
        song["artist_id"],
        song["artist_name"],
        song["title"],
        song["duration"],
        np.array(row["embedding"], np.float32),
        row["predicted_genre"],
        None if probabilities is None else max(probabilities),
        row["entropy"],
        bool(row["has_lyrics"]),
    )
