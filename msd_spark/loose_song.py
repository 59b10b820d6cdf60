"""The embedding of a song file from outside the warehouse, by a run's model."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from msd_spark.errors import StageError
from msd_spark.features import lyric_columns, segment_columns, song_columns
from msd_spark.ingest.reading import LARGEST_SONG_FILE
from msd_spark.locations import open_location
from msd_spark.model_inputs import model_inputs
from msd_spark.neighbours.tables import read_table
from msd_spark.run_metadata import MODEL, RUNS
from msd_spark.schema import Geometry
from msd_spark.songfile.batches import songs_to_batch
from msd_spark.songfile.parse import SongFileError, parse_song
from msd_spark.track_ids import track_id_of
from msd_spark.warehouse import Warehouse


@dataclass(frozen=True)
class LooseSong:
    """A song file, as a run's model places it.

    Attributes
    ----------
    track_id : str
    song_id, artist_id, artist, title : str or None
    duration : float or None
        Seconds.
    embedding : numpy.ndarray
        Shape ``(size,)``, float32.
    predicted_genre : str
    """

    track_id: str
    song_id: str | None
    artist_id: str | None
    artist: str | None
    title: str | None
    duration: float | None
    embedding: np.ndarray
    predicted_genre: str


def embed_song_file(warehouse: Warehouse, run: str, location: str, stage: str) -> LooseSong:
    """Parse a song file and embed it; its lyrics are those of ``lyrics/``, if that has its track.

    Raises
    ------
    StageError
        When the file is no song or has no segments, or the run's model cannot be used.
    """
    from msd_spark.scoring import load_scoring_model, read_run

    metadata = read_run(warehouse, run)
    geometry = Geometry(**metadata["geometry"])
    try:
        filesystem, path, _ = open_location(stage, location)
        with filesystem.open_input_stream(path, compression=None) as source:
            song = parse_song(source.read(LARGEST_SONG_FILE), track_id_of(location))
    except (OSError, SongFileError) as error:
        raise StageError(stage, f"{location}: {' '.join(str(error).split())}") from None
    if not len(song["segments_start"]):
        raise StageError(stage, f"{location} has no segments, so nothing to place it by")
    batch = songs_to_batch([song | {"source": location, "member": None}]).select(song_columns(geometry))
    columns = segment_columns(batch, geometry) | lyric_columns(_lyric_vector(warehouse, song["track_id"]), geometry)
    with tempfile.TemporaryDirectory() as folder:
        model_file = Path(folder) / MODEL
        with warehouse.filesystem.open_input_stream(warehouse.path(RUNS, run, MODEL)) as source:
            model_file.write_bytes(source.read())
        model = load_scoring_model(str(model_file), len(os.sched_getaffinity(0)))
        embeddings, probabilities = model.predict_on_batch(model_inputs(columns, geometry))
    return LooseSong(
        song["track_id"],
        song["song_id"],
        song["artist_id"],
        song["artist_name"],
        song["title"],
        song["duration"],
        np.asarray(embeddings[0], np.float32),
        str(metadata["labels"][int(np.argmax(probabilities[0]))]),
    )


def _lyric_vector(warehouse: Warehouse, track_id: str) -> pa.Array:
    """Return a track's lyric vector as an array of one row, null where it has none."""
    empty = pa.array([None], pa.list_(pa.float32()))
    if not warehouse.is_complete("lyrics"):
        return empty
    table = read_table(warehouse, ["track_id", "lyric_vector"], "lyrics")
    places = np.flatnonzero(table["track_id"].to_numpy() == track_id)
    return table["lyric_vector"].take(pa.array(places[:1])).combine_chunks() if len(places) else empty
