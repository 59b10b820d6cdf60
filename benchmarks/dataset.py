"""The dataset job on all cores as the catalogue grows, beside a plain Parquet read and write of the same columns.

The peer is Spark itself: it reads the columns of ``songs/`` that the job reads and writes them again, on the
same cores, in the same run. It writes whole songs, the job the part that an example holds, so a stricter peer
stands beside it: Spark reading and writing the very rows and columns of the finished dataset.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession

from benchmarks import publish
from benchmarks.ingest import PeakMemory
from msd_spark.catalogue.songs import LIGHT
from msd_spark.core.delta import DataFile
from msd_spark.core.features import PITCHES, TIMBRE
from msd_spark.core.schemas import ARRAY_COLUMNS, LABELS, LYRICS, SONGS
from msd_spark.core.summary import SUMMARIES
from msd_spark.core.warehouse import Warehouse
from msd_spark.dataset.job import make_dataset
from msd_spark.dataset.settings import DatasetSettings
from msd_spark.songfile.batches import songs_writer
from msd_spark.spark.session import start_spark

SIZES = (2_000, 10_000, 40_000)
SONGS_PER_ROW_GROUP, ROW_GROUPS_PER_FILE = 128, 8
DISTINCT = 1_024
"""Songs whose segments are drawn; the others repeat them under other ids, too far apart for a codec to notice."""

GENRES = ("Blues", "Electronic", "Jazz", "Metal", "Pop_Rock", "Rap", "RnB", "World")
ROUNDS = 2
"""Each is measured this often, one after the other in turn; the best counts."""


def draw_segments(generator: np.random.Generator) -> dict[str, list[np.ndarray]]:
    """Return chroma and timbre of songs of realistic length: median 745.5, 1st and 99th percentile 158 and 1,958."""
    lengths = np.clip(np.exp(generator.normal(np.log(745.5), 0.5, DISTINCT)), 4, 3303).astype(int)
    n = int(lengths.sum())
    chroma = generator.random((n, 12))
    chroma /= chroma.max(axis=1, keepdims=True)
    timbre = generator.normal(0, 50, (n, 12))
    borders = np.cumsum(lengths)[:-1]
    return {
        name: np.split(np.round(values, 3).astype(np.float32), borders)
        for name, values in ((PITCHES, chroma), (TIMBRE, timbre))
    }


def write_catalogue(warehouse: Warehouse, n_songs: int, segments: dict[str, list[np.ndarray]]) -> None:
    """Write ``songs/``, ``labels/`` and ``lyrics/`` of random songs, a quarter of which have lyrics."""
    generator = np.random.default_rng(n_songs)
    track_ids = [f"TR{number:016d}" for number in range(n_songs)]
    per_file = SONGS_PER_ROW_GROUP * ROW_GROUPS_PER_FILE
    with warehouse.overwriting(SONGS, "songs") as table:
        for first in range(0, n_songs, per_file):
            end = min(first + per_file, n_songs)
            with table.destination.create(first // per_file) as file, songs_writer(file.sink) as writer:
                for start in range(first, end, SONGS_PER_ROW_GROUP):
                    stop = min(start + SONGS_PER_ROW_GROUP, end)
                    writer.write_batch(_batch(range(start, stop), segments, generator))
            table.add([DataFile(file.name, file.size, end - first)])
    genres = generator.choice(GENRES, n_songs)
    labels = [track_ids, genres, pa.nulls(n_songs, pa.string()), ["cd1"] * n_songs]
    warehouse.write_arrow(pa.Table.from_arrays(list(map(pa.array, labels)), schema=LABELS), "labels")
    lyrics = [
        {
            "track_id": track,
            "musixmatch_id": 1,
            "official_split": "train",
            "word_indices": [1],
            "word_counts": [1],
            "coverage": 1.0,
            "lyric_vector": generator.normal(size=50).astype(np.float32),
        }
        for track in track_ids[::4]
    ]
    warehouse.write_arrow(pa.Table.from_pylist(lyrics, LYRICS), "lyrics")
    warehouse.write_json({"vectors": {"fingerprint": "random"}}, SUMMARIES, "lyrics.json")


def _batch(numbers: range, segments: dict[str, list[np.ndarray]], generator: np.random.Generator) -> pa.RecordBatch:
    n = len(numbers)
    columns: dict[str, pa.Array] = {}
    for field in SONGS:
        if field.name in segments:
            drawn = [segments[field.name][number % DISTINCT] for number in numbers]
            offsets = np.r_[0, np.cumsum([part.size for part in drawn])].astype(np.int32)
            values = np.concatenate(drawn).ravel()
            columns[field.name] = pa.ListArray.from_arrays(pa.array(offsets), pa.array(values), type=field.type)
        elif field.name in ARRAY_COLUMNS:
            columns[field.name] = pa.array([[]] * n, field.type)
        elif field.nullable:
            columns[field.name] = pa.nulls(n, field.type)
    artists = generator.integers(0, 1 + numbers.stop // 5, n)
    columns |= {
        "track_id": pa.array([f"TR{number:016d}" for number in numbers]),
        "song_id": pa.array([f"SO{number:016d}" for number in numbers]),
        "artist_id": pa.array([f"AR{artist:016d}" for artist in artists]),
        "artist_name": pa.array([f"The Artist No. {artist}" for artist in artists]),
        "title": pa.array([f"A Song (No. {number})" for number in numbers]),
        "source": pa.array(["generated"] * n),
        "n_segments": pa.array([len(segments[PITCHES][number % DISTINCT]) for number in numbers], pa.int32()),
    }
    return pa.RecordBatch.from_arrays([columns[name] for name in SONGS.names], schema=SONGS)


def seconds(work: Callable[[], object]) -> float:
    """Return how long something takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def copy(session: SparkSession, source: str, target: Path, columns: list[str] | None = None) -> None:
    """Read a table and write it again, by Spark."""
    frame = session.read.parquet(source)
    (frame.select(*columns) if columns else frame).write.parquet(str(target), compression="snappy")
    shutil.rmtree(target)


def measure(session: SparkSession, scratch: Path, size: int, segments: dict[str, list[np.ndarray]]) -> dict[str, float]:
    """Return what the job and its peers do with a catalogue of `size` songs, in songs a second, and the memory."""
    warehouse = Warehouse(str(scratch / "warehouse"))
    write_catalogue(warehouse, size, segments)
    settings = DatasetSettings(warehouse.root, require=("genre",))
    dataset = [warehouse.address("dataset", settings.name, split) for split in ("train", "validation", "test")]
    best: dict[str, float] = {}
    with PeakMemory() as peak:
        for _ in range(ROUNDS):
            taken = {
                "job": seconds(lambda: make_dataset(session, settings)),
                "copy": seconds(
                    lambda: copy(session, warehouse.address("songs"), scratch / "copy", [*LIGHT, PITCHES, TIMBRE])
                ),
                "dataset_copy": sum(
                    seconds(lambda split=split: copy(session, split, scratch / "copy")) for split in dataset
                ),
            }
            best = {name: max(best.get(name, 0.0), size / spent) for name, spent in taken.items()}
    shutil.rmtree(warehouse.root)
    return best | {"mebibytes": peak.mebibytes}


def main() -> None:
    """Measure and publish."""
    cores = len(os.sched_getaffinity(0))
    segments = draw_segments(np.random.default_rng(7))
    rows, figures = [], {}
    with tempfile.TemporaryDirectory() as name:
        session = start_spark("msd-spark benchmark")
        for size in (SIZES[0], *SIZES):  # the first job of a session pays for what Spark loads once
            found = measure(session, Path(name), size, segments)
            figures |= {f"job_examples_per_second_{size // 1000}k": found["job"]}
            figures |= {f"parquet_copy_songs_per_second_{size // 1000}k": found["copy"]}
            figures |= {f"dataset_copy_examples_per_second_{size // 1000}k": found["dataset_copy"]}
            figures |= {f"worker_mebibytes_{size // 1000}k": found["mebibytes"]}
            rows.append((f"{size:,} songs", *found.values()))
            print(rows[-1], file=sys.stderr, flush=True)
        session.stop()
    largest, smallest = (f"{size // 1000}k" for size in (SIZES[-1], SIZES[0]))
    job = figures[f"job_examples_per_second_{largest}"]
    figures["dataset_over_parquet_copy"] = job / figures[f"parquet_copy_songs_per_second_{largest}"]
    figures["dataset_over_copy_of_the_dataset"] = job / figures[f"dataset_copy_examples_per_second_{largest}"]
    figures["rate_40k_over_2k"] = job / figures[f"job_examples_per_second_{smallest}"]
    headers = [f"{cores} cores", "job", "copy of the columns", "copy of the dataset", "MiB a worker"]
    publish("dataset", headers, rows[1:], figures)


if __name__ == "__main__":
    main()
