"""Every song of ``songs/`` through a trained model: its embedding and its genre probabilities.

Arrow batches in, Arrow batches out. Each Python worker loads the model once; the model's
file travels once to each machine. Labels and lyrics are not needed: a song without lyrics
is marked so, as in training.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyspark import SparkFiles
from pyspark.sql import DataFrame, SparkSession

from msd_spark.errors import StageError
from msd_spark.features import example_columns, song_columns
from msd_spark.model_inputs import model_inputs
from msd_spark.run_metadata import METADATA, MODEL, RUNS
from msd_spark.schema import EMBEDDING_LAYER, EMBEDDINGS, GEOMETRY, Geometry, spark_schema
from msd_spark.spark import ArrowFunction, progress, write_table
from msd_spark.summary import SUMMARIES, Summary
from msd_spark.warehouse import Warehouse

if TYPE_CHECKING:
    import keras

STAGE = "score"


@dataclass(frozen=True)
class ScoreSettings:
    """Which model scores, and how.

    Attributes
    ----------
    warehouse, run : str
    batch : int
        Songs a call of the model.
    threads : int
        TensorFlow's threads in each Python worker; one a core that Spark gives a task.
    """

    warehouse: str
    run: str
    batch: int = 128
    threads: int = 1


def score(session: SparkSession, settings: ScoreSettings) -> Summary:
    """Write ``embeddings/RUN``; return the summary.

    Raises
    ------
    StageError
        When the run or a table is missing, the model does not fit this code's features or the
        lyrics at hand, or songs got lost on the way.
    """
    summary = Summary(STAGE)
    warehouse = Warehouse(settings.warehouse)
    metadata = read_run(warehouse, settings.run)
    songs = session.read.parquet(warehouse.require(STAGE, "songs", made_by="jobs/ingest.py"))
    lyrics = session.read.parquet(warehouse.require(STAGE, "lyrics", made_by="jobs/lyrics.py"))
    check_fit(metadata, warehouse)
    ship_model(session, warehouse, settings.run)
    with progress(session, "score: songs"):
        write_table(score_songs(session, songs, lyrics, metadata, settings), warehouse, "embeddings", settings.run)
    written = session.read.parquet(warehouse.address("embeddings", settings.run))
    without_segments = songs.where("n_segments = 0").count()
    n_songs, n_written = songs.count(), written.count()
    n_with_lyrics = written.where("has_lyrics > 0").count()
    if n_songs != n_written + without_segments:
        raise StageError(
            STAGE,
            f"{n_songs} songs, {n_written} embeddings and {without_segments} songs without segments do not add up; "
            "is a track twice in lyrics/?",
        )
    summary.facts |= {
        "run": settings.run,
        "songs": n_songs,
        "embeddings": n_written,
        "with lyrics": n_with_lyrics,
        "without segments, left out": without_segments,
    }
    return summary


def read_run(warehouse: Warehouse, run: str) -> dict[str, Any]:
    """Return a finished run's metadata.

    Raises
    ------
    StageError
        When there is no such run, with the ones there are.
    """
    if not warehouse.exists(RUNS, run, METADATA):
        there = sorted(
            {
                info.path.removeprefix(warehouse.path(RUNS) + "/").split("/")[0]
                for info in warehouse.list_files(warehouse.path(RUNS))
            }
        )
        raise StageError(
            STAGE,
            f"no finished run models/{run}; finished ones: {', '.join(there) or 'none yet (see training/train.py)'}",
        )
    return dict(warehouse.read_json(RUNS, run, METADATA))


def check_fit(metadata: Mapping[str, Any], warehouse: Warehouse) -> None:
    """Refuse a model that was trained on other features than this code makes.

    Raises
    ------
    StageError
        When the geometry or the word vectors behind the lyrics differ.
    """
    geometry = Geometry(**metadata["geometry"])
    if geometry != replace(GEOMETRY, segments=geometry.segments):
        raise StageError(STAGE, f"the run was trained on {geometry}, this version makes {GEOMETRY}; train again")
    vectors = warehouse.read_json(SUMMARIES, "lyrics.json")["vectors"]["fingerprint"]
    if vectors != metadata["lyric_vectors"]:
        raise StageError(
            STAGE,
            "lyrics/ has other word vectors than the run was trained on; run jobs/dataset.py and train again",
        )


def ship_model(session: SparkSession, warehouse: Warehouse, run: str) -> None:
    """Send the model's file to every worker, once."""
    folder = Path(tempfile.mkdtemp(prefix="msd-spark-model-"))
    with warehouse.filesystem.open_input_stream(warehouse.path(RUNS, run, MODEL)) as source:
        (folder / _shipped_name(run)).write_bytes(source.read())
    session.sparkContext.addFile(str(folder / _shipped_name(run)))


def _shipped_name(run: str) -> str:
    return f"{run}-{MODEL}"


def score_songs(
    session: SparkSession, songs: DataFrame, lyrics: DataFrame, metadata: Mapping[str, Any], settings: ScoreSettings
) -> DataFrame:
    """Return a row of `msd_spark.schema.EMBEDDINGS` for every song that has a segment."""
    session.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", str(settings.batch))
    features = songs.where("n_segments > 0").select("track_id", *song_columns(Geometry(**metadata["geometry"])))
    joined = features.join(lyrics.select("track_id", "lyric_vector"), "track_id", "left")
    return joined.mapInArrow(_scorer(metadata, settings), spark_schema(EMBEDDINGS))


def _scorer(metadata: Mapping[str, Any], settings: ScoreSettings) -> ArrowFunction:
    """Return the function that a worker runs on its batches."""
    labels = pa.array(metadata["labels"])
    geometry = Geometry(**metadata["geometry"])
    run, threads, name = settings.run, settings.threads, _shipped_name(settings.run)

    def work(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if not batch.num_rows:
                continue
            columns = example_columns(batch, geometry)
            model = load_scoring_model(SparkFiles.get(name), threads)
            embeddings, probabilities = model.predict_on_batch(model_inputs(columns, geometry))
            made = {
                "track_id": batch.column("track_id"),
                "embedding": pa.array(list(embeddings), pa.list_(pa.float32())),
                "genre_probabilities": pa.array(list(probabilities), pa.list_(pa.float32())),
                "predicted_genre": labels.take(pa.array(probabilities.argmax(axis=1))),
                "has_lyrics": pa.array(columns["has_lyrics"]),
                "run": pa.array([run] * batch.num_rows),
            }
            yield pa.RecordBatch.from_arrays(
                [made[item.name].cast(item.type) for item in EMBEDDINGS], schema=EMBEDDINGS
            )

    return work


@lru_cache(maxsize=1)
def load_scoring_model(path: str, threads: int) -> keras.Model:
    """Return a model that gives a song's embedding and its genre probabilities; loaded once a process."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    import tensorflow as tf

    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:
        pass  # TensorFlow runs already in this process, with the threads that it was given then.
    trained = keras.models.load_model(path, compile=False, safe_mode=True)
    return keras.Model(trained.inputs, [trained.get_layer(EMBEDDING_LAYER).output, trained.output])
