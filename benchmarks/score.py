"""The scoring job on all cores as the catalogue grows, beside Keras's own ``predict`` on features in memory.

The peer neither reads files nor computes features nor writes rows: its songs per second are the most that a job with
this model could reach on these cores. A second peer also computes the features from songs in memory; its rate is
estimated from that of ``predict`` and that of the features on one core times the number of cores. All take the same
model (``--model``), by default the CNN; its weights are random, which costs the same. They take turns, and the best of
each counts.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from benchmarks import publish
from benchmarks.dataset import GENRES, draw_segments, write_catalogue
from benchmarks.ingest import PeakMemory
from msd_spark.catalogue.known_tracks import known_tracks
from msd_spark.core.features import segment_columns, song_columns
from msd_spark.core.filesystems import write_atomically
from msd_spark.core.model_inputs import model_inputs
from msd_spark.core.runs import METADATA, MODEL, RUNS
from msd_spark.core.schemas import EMBEDDING_LAYER, GEOMETRY
from msd_spark.core.song_summary import SUMMARY_SIZE
from msd_spark.core.warehouse import Warehouse
from msd_spark.scoring.job import score
from msd_spark.scoring.settings import ScoreSettings
from msd_spark.scoring.song_features import lyric_features
from msd_spark.scoring.trained_run import TrainedRun
from msd_spark.spark.session import start_spark
from training.data.targets import make_target
from training.models.build import MODELS
from training.models.settings import DEFAULTS

RUN = "random"
SIZES = (2_000, 50_000)
ROUNDS = 2
CORES = len(os.sched_getaffinity(0))
IN_MEMORY = 2_000
"""Songs that the peer has in memory: 58 MB of features."""


def write_run(warehouse: Warehouse, name: str) -> keras.Model:
    """Write a model with random weights as a run, and return it with embedding and probabilities as outputs."""
    moments = {
        "chroma": {"mean": [0.4] * 12, "deviation": [0.3] * 12},
        "timbre": {"mean": [0.0] * 12, "deviation": [50.0] * 12},
        "lyric_vector": {"mean": [0.0] * 50, "deviation": [1.0] * 50},
        "dynamics": {"mean": [-15.0, -1.4, 0.5], "deviation": [7.0, 0.5, 0.3]},
        "summary": {"mean": [0.0] * SUMMARY_SIZE, "deviation": [10.0] * SUMMARY_SIZE},
        "words": {"weight": [0.0, *[1.0] * 5000]},
    }
    target = make_target("genre", GENRES)
    keras.utils.set_random_seed(7)
    model = MODELS[name](GEOMETRY, target, moments, DEFAULTS[name])
    metadata = {
        "target": {"name": target.name, "class_names": list(target.class_names)},
        "geometry": asdict(GEOMETRY),
        "lyric_vectors": "random",
        "normalisation": moments,
        "dataset": {},
    }
    with warehouse.replacing_folder(RUNS, RUN) as folder:
        with tempfile.TemporaryDirectory() as scratch:
            model.save(f"{scratch}/{MODEL}")
            write_atomically(warehouse.filesystem, f"{folder.path}/{MODEL}", Path(scratch, MODEL).read_bytes())
        folder.point_by_json(METADATA, metadata)
    return keras.Model(model.input, [model.get_layer(EMBEDDING_LAYER).output, model.output])


def in_memory(warehouse: Warehouse, n_songs: int, size: int) -> Callable[[], dict[str, np.ndarray]]:
    """Read songs in batches; return a function that computes the model's inputs for them.

    There are at least `n_songs` songs if the catalogue has them, in batches of `size`.
    """
    run = TrainedRun.read(warehouse, RUN)
    columns = ["track_id", *song_columns(GEOMETRY, run.inputs)]
    parts = (
        part for path in warehouse.paths("songs") for part in pq.ParquetFile(path).iter_batches(size, None, columns)
    )
    batches = list(islice(parts, -(-n_songs // size)))
    track_ids = pa.concat_arrays([batch.column("track_id") for batch in batches])
    known = known_tracks(warehouse, track_ids, GEOMETRY.lyric_size, words=run.uses_words)

    def inputs() -> dict[str, np.ndarray]:
        parts = [segment_columns(batch, GEOMETRY, run.inputs) for batch in batches]
        lists = (part.take(slice(None)) for part in (known.lyrics, known.bags.indices, known.bags.counts))
        of_songs = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return model_inputs(of_songs | lyric_features(run, *lists), GEOMETRY, run.inputs)

    return inputs


def measure(session: SparkSession, warehouse: Warehouse, size: int, model: keras.Model) -> dict[str, float]:
    """Return songs per second of job and peers, and the facts of a run.

    These are the seconds of a run with nothing new, and the memory of a worker in MiB.
    """
    settings = ScoreSettings(warehouse.root, RUN, rescore=True)
    compute_inputs = in_memory(warehouse, min(size, IN_MEMORY), settings.batch_size)
    inputs = compute_inputs()
    n_inputs = len(next(iter(inputs.values())))
    model.predict(
        {name: rows[: settings.batch_size] for name, rows in inputs.items()}, batch_size=settings.batch_size, verbose=0
    )
    best = {"job": 0.0, "predict": 0.0, "features": 0.0}
    with PeakMemory() as peak:
        for _ in range(ROUNDS):
            started = time.perf_counter()
            written = score(session, settings).facts["scored now"]
            assert written == size
            best["job"] = max(best["job"], size / (time.perf_counter() - started))
            started = time.perf_counter()
            model.predict(inputs, batch_size=settings.batch_size, verbose=0)
            best["predict"] = max(best["predict"], n_inputs / (time.perf_counter() - started))
            started = time.perf_counter()
            compute_inputs()
            best["features"] = max(best["features"], CORES * n_inputs / (time.perf_counter() - started))
    started = time.perf_counter()
    again = score(session, ScoreSettings(warehouse.root, RUN)).facts
    assert again["scored now"] == 0
    return best | {"nothing_new": time.perf_counter() - started, "mebibytes": peak.mebibytes}


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description="Measure the scoring job.")
    parser.add_argument("--sizes", type=int, nargs=2, default=SIZES, metavar="SONGS", help="the smaller one first")
    parser.add_argument("--model", default="cnn", choices=sorted(DEFAULTS), help="model to score with")
    arguments = parser.parse_args()
    sizes = arguments.sizes
    segments = draw_segments(np.random.default_rng(7))
    rows, figures = [], {}
    with tempfile.TemporaryDirectory() as name:
        session = start_spark("msd-spark benchmark")
        for number, size in enumerate((sizes[0], *sizes)):  # first once for what Spark and TensorFlow load once
            warehouse = Warehouse(f"{name}/{number}")
            write_catalogue(warehouse, size, segments)
            found = measure(session, warehouse, size, write_run(warehouse, arguments.model))
            shutil.rmtree(warehouse.root)
            label = f"{size / 1000:g}k"
            figures |= {f"job_songs_per_second_{label}": found["job"]}
            figures |= {f"predict_songs_per_second_{label}": found["predict"]}
            figures |= {f"features_songs_per_second_{label}": found["features"]}
            figures |= {f"nothing_new_seconds_{label}": found["nothing_new"]}
            figures |= {f"worker_mebibytes_{label}": found["mebibytes"]}
            rows.append((f"{size:,} songs", *found.values()))
        session.stop()
    small, large = (f"{size / 1000:g}k" for size in sizes)
    job, predict, features = (figures[f"{who}_songs_per_second_{large}"] for who in ("job", "predict", "features"))
    figures["score_over_predict"] = job / predict
    figures["score_over_features_and_predict"] = job * (1 / features + 1 / predict)
    figures[f"rate_{large}_over_{small}"] = job / figures[f"job_songs_per_second_{small}"]
    figures[f"memory_{large}_over_{small}"] = (
        figures[f"worker_mebibytes_{large}"] / figures[f"worker_mebibytes_{small}"]
    )
    headers = [
        f"{CORES} cores",
        "job, songs/s",
        "predict, songs/s",
        "features, songs/s",
        "nothing new, s",
        "MiB per worker",
    ]
    publish("score", headers, rows[1:], figures)


if __name__ == "__main__":
    main()
