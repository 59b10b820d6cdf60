"""Embed song files from outside the warehouse with a run's model, without Spark."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import fs
from tqdm import tqdm

from msd_spark.catalogue.known_tracks import NO_LYRICS, known_tracks
from msd_spark.core.errors import UserError
from msd_spark.core.filesystems import open_location
from msd_spark.core.rejections import Rejection
from msd_spark.core.schemas import ARRAY_COLUMNS, EMBEDDINGS
from msd_spark.core.track_ids import track_id_of
from msd_spark.core.warehouse import Warehouse
from msd_spark.io.folders import check_regular
from msd_spark.lyrics.text import NewLyrics, read_lyrics
from msd_spark.scoring.model import embedding_rows, model_of_process
from msd_spark.scoring.song_features import lyric_features, song_features
from msd_spark.scoring.trained_run import TrainedRun
from msd_spark.songfile.batches import songs_to_batch
from msd_spark.songfile.parse import LARGEST_SONG_FILE, Song, SongFileError, parse_song

SONGS_PER_CALL = 32
"""Songs per call of the model; song files are few."""

REPEATED = "repeated_track"
"""Reason for which a song file is rejected: an earlier file has the same track."""


def embed_song_files(
    trained: TrainedRun,
    warehouse: Warehouse,
    locations: Sequence[str],
    *,
    lyrics: bool = True,
    text: NewLyrics | None = None,
) -> tuple[list[dict[str, Any]], pa.Table, list[Rejection]]:
    """Embed local or remote song files.

    Their lyrics are those of ``lyrics/``, or `text` for a single file. Return the songs in the order of the files, with
    the scalar columns of ``songs/`` and those of ``embeddings/RUN``; their rows of ``embeddings/RUN``; and the other
    files. The table ``songs/`` is not needed.
    """
    # The arrays of only one file are in memory: they take ten times the space of its features.
    songs: dict[str, Song] = {}
    features: list[dict[str, np.ndarray]] = []
    rejected = []
    for location in tqdm(locations, "score: song files", unit="file", disable=len(locations) < SONGS_PER_CALL):
        try:
            filesystem, path, _ = open_location(location)
            if isinstance(filesystem, fs.LocalFileSystem):
                check_regular(path)
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
        song_columns = song_features(songs_to_batch([song]), trained.geometry, trained.inputs)
        rejected += [Rejection(location, reason, detail) for _, reason, detail in song_columns.refused]
        if len(song_columns.rows):
            songs[track] = {name: value for name, value in song.items() if name not in ARRAY_COLUMNS}
            features.append(song_columns.columns)
    if not songs:
        return [], EMBEDDINGS.empty_table(), rejected
    columns = {name: np.concatenate([part[name] for part in features]) for name in features[0]}
    track_ids = pa.array(list(songs), pa.string())
    with_lyrics = lyrics and trained.lyric_vectors != NO_LYRICS
    with_words = with_lyrics and trained.uses_words
    known = known_tracks(warehouse, track_ids, trained.geometry.lyric_size, lyrics=with_lyrics, words=with_words)
    lists = [vectors.take(slice(None)) for vectors in (known.lyrics, known.bags.indices, known.bags.counts)]
    flags = known.flags
    if text is not None:
        lists, flags = [text.vector, text.indices, text.counts], flags | {"has_lyrics": text.has_vector}
    columns |= lyric_features(trained, *lists)
    scores = model_of_process(trained, SONGS_PER_CALL, len(os.sched_getaffinity(0)))(columns)
    if not scores.finite.all():
        location = list(songs.values())[int(np.argmin(scores.finite))]["source"]
        raise UserError(f"the embedding of {location} by run {trained.name} is not finite")
    rows = embedding_rows(trained, track_ids, scores, flags)
    return [song | row for song, row in zip(songs.values(), rows.to_pylist(), strict=True)], rows, rejected


def embed_song_file(warehouse: Warehouse, run: str, location: str, lyrics: str | None = None) -> dict[str, Any]:
    """Embed one song file, which must be valid, with a text of its lyrics; return its entry."""
    trained = TrainedRun.read(warehouse, run)
    trained.check_lyrics(warehouse)
    text = None
    if lyrics is not None:
        if trained.lyric_vectors == NO_LYRICS:
            raise UserError(f"run {run} was trained without lyrics; leave out --lyrics, or choose another --run")
        text = read_lyrics(warehouse, lyrics)
        print(f"lyrics: {text.n_words} words, {text.n_unknown} of them not in lyric_words/", file=sys.stderr)
    songs, _, rejected = embed_song_files(trained, warehouse, [location], text=text)
    if rejected:
        raise UserError(f"{location}: {rejected[0].reason}: {rejected[0].detail}")
    return songs[0]
