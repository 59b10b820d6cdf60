"""Measure reading, epochs from memory, two ranks and the LSTM, each against a reference.

The examples are random: neither what is read nor how long a step takes depends on the values. Compared measurements
take turns in one run, and the best turn of each counts: other work of the machine only adds time.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pyarrow as pa
import pyarrow.dataset as arrow_dataset
import pyarrow.parquet as pq

from benchmarks import publish
from msd_spark.core.arrow import one_row_group, rows_to_lists
from msd_spark.core.cells import from_cells
from msd_spark.core.examples import DatasetWriter, ExampleForm, examples_table
from msd_spark.core.model_inputs import to_float32
from msd_spark.core.runs import DATASETS
from msd_spark.core.schemas import EXAMPLES, GEOMETRY, N_DYNAMICS
from msd_spark.core.song_summary import SUMMARY_SIZE
from msd_spark.core.warehouse import Warehouse
from msd_spark.core.words import WORDS

LABELS = ("Blues", "Jazz", "Rap")
ROWS_A_FILE, FILES = 256, 16
"""The dataset's own file size; 4,096 examples, 118 MB."""

PEER_ROWS = 512
"""Rows in Petastorm's own format, of which it reads few per second."""

BATCH, TURNS, EPOCH_TURNS = 32, 3, 6
SCALING_BATCHES = (32, 128)
"""Examples per rank per step in the comparison of ranks; the exchange of gradients does not depend on it."""

EPOCH_FILES, SCALING_FILES = 12, 24
"""Files of the dataset for one rank and for the comparison of ranks: 3,072 and 6,144 examples."""

EPOCH = "epoch"
"""First argument of a process that trains; see `epoch`."""

MODELS_ALONE = "models"

Rates = dict[str, float]


def random_examples(n_rows: int, generator: np.random.Generator, first: int) -> pa.Table:
    """Return examples of the dataset's schema, of songs of 100 to 300 segments and more."""
    lengths = np.minimum(generator.integers(100, 900, n_rows), GEOMETRY.n_segments)
    mask = GEOMETRY.mask(lengths)[..., None]
    genres = generator.integers(0, len(LABELS), n_rows)
    shape = (n_rows, *GEOMETRY.segments_shape)
    columns = {
        "track_id": [f"TR{first + number:016d}" for number in range(n_rows)],
        "song_id": [f"SO{first + number:016d}" for number in range(n_rows)],
        "artist_group": [f"AR{(first + number) // 7:016d}" for number in range(n_rows)],
        # A song file has chroma in thousandths, the loudest pitch of a segment being 1.
        "chroma": (np.round(generator.random(shape), 3) * mask).astype(np.float32),
        "timbre": (generator.normal(0, 40, shape) + genres[:, None, None]) * mask,
        "n_segments": lengths,
        "lyric_vector": generator.normal(size=(n_rows, GEOMETRY.lyric_size)),
        "summary": generator.normal(size=(n_rows, SUMMARY_SIZE)),
        "word_indices": generator.integers(1, 5001, (n_rows, WORDS)),
        "word_counts": generator.integers(1, 5, (n_rows, WORDS)),
        "dynamics": generator.normal(size=(*shape[:2], N_DYNAMICS)) * mask,
        "genre_index": genres,
        "popularity_decile": np.zeros(n_rows),
        **{name: np.ones(n_rows) for name in ("has_lyrics", "has_genre", "has_listens", "weight")},
    }
    return examples_table(columns, ExampleForm(GEOMETRY, chroma="uint16"))


def write_dataset(folder: Path, files: int = FILES) -> Warehouse:
    """Write ``dataset/bench`` as ``jobs/dataset.py`` does: a row group a file, its compression and encodings."""
    warehouse, generator = Warehouse(str(folder)), np.random.default_rng(7)
    with warehouse.overwriting(EXAMPLES, DATASETS, "bench", partition_by="split") as table_writer:
        writer = DatasetWriter(table_writer)
        for number in range(files):
            writer.write(random_examples(ROWS_A_FILE, generator, number * ROWS_A_FILE), "train")
        widths = {"chroma": GEOMETRY.n_pitches, "timbre": GEOMETRY.n_pitches, "lyric_vector": GEOMETRY.lyric_size}
        widths |= {"summary": SUMMARY_SIZE, "dynamics": N_DYNAMICS}
        metadata = {
            "name": "bench",
            "labels": list(LABELS),
            "geometry": {"n_segments": GEOMETRY.n_segments, "n_pitches": GEOMETRY.n_pitches, "lyric_size": 50},
            "normalisation": {
                **{name: {"mean": [0.0] * n, "deviation": [1.0] * n} for name, n in widths.items()},
                "words": {"weight": [0.0, *[1.0] * 5000]},
            },
            "words": {"fingerprint": "bench", "tracks": [1] * 5000},
            "fingerprint": "bench",
        }
        writer.finish(metadata)
    return warehouse


def write_lists(warehouse: Warehouse, folder: Path) -> list[str]:
    """Write the dataset in the former format: lists of floats, dictionary-encoded chroma."""
    paths = []
    for path in warehouse.paths(DATASETS, "bench"):
        table = arrow_dataset.dataset(path).to_table()
        for place, field in enumerate(EXAMPLES):
            if pa.types.is_binary(field.type):
                rows = from_cells(table[field.name])
                rows = to_float32(rows) if field.name == "chroma" else rows
                kind = pa.list_(pa.field("element", pa.from_numpy_dtype(rows.dtype), nullable=False))
                table = table.set_column(place, field.name, rows_to_lists(rows, kind))
        paths.append(str(folder / Path(path).name))
        dictionary = ["track_id", "song_id", "artist_group", "chroma.list.element"]
        pq.write_table(table, paths[-1], **one_row_group(table, compression="snappy", dictionary=dictionary))
    return paths


def best_seconds(works: Mapping[str, Callable[[], None]], turns: int = TURNS) -> Rates:
    """Return the seconds of each work's best turn; they take turns, so that a busy machine slows all of them."""
    best = dict.fromkeys(works, float("inf"))
    for _ in range(turns):
        for name, work in works.items():
            started = time.perf_counter()
            work()
            best[name] = min(best[name], time.perf_counter() - started)
    return best


def write_peer_format(folder: Path) -> str:
    """Write rows the way Petastorm's own examples do: a Spark job, arrays by NdarrayCodec. Returns the address."""
    from petastorm.codecs import NdarrayCodec, ScalarCodec
    from petastorm.etl.dataset_metadata import materialize_dataset
    from petastorm.unischema import Unischema, UnischemaField, dict_to_spark_row
    from pyspark.sql.types import FloatType, IntegerType, StringType

    from msd_spark.spark.session import start_spark

    fields = [
        UnischemaField("track_id", np.str_, (), ScalarCodec(StringType()), False),
        UnischemaField("chroma", np.float32, GEOMETRY.segments_shape, NdarrayCodec(), False),
        UnischemaField("timbre", np.float32, GEOMETRY.segments_shape, NdarrayCodec(), False),
        UnischemaField("n_segments", np.int32, (), ScalarCodec(IntegerType()), False),
        UnischemaField("lyric_vector", np.float32, (GEOMETRY.lyric_size,), NdarrayCodec(), False),
        UnischemaField("has_lyrics", np.float32, (), ScalarCodec(FloatType()), False),
        UnischemaField("genre_index", np.int32, (), ScalarCodec(IntegerType()), False),
    ]
    schema = Unischema("Examples", fields)
    table = random_examples(PEER_ROWS, np.random.default_rng(7), 0)
    rows = []
    for row in table.select([field.name for field in fields]).to_pylist():
        arrays = {field.name: to_float32(np.load(io.BytesIO(row[field.name]))) for field in fields if field.shape}
        scalars = {
            field.name: field.numpy_dtype(row[field.name]) if field.name != "track_id" else row["track_id"]
            for field in fields
            if not field.shape
        }
        rows.append(dict_to_spark_row(schema, {**scalars, **arrays}))
    session = start_spark("msd-spark benchmark")
    address = f"file://{folder / 'peer'}"
    with materialize_dataset(session, address, schema, 8):
        frame = session.createDataFrame(rows, schema.as_spark_schema())
        frame.coalesce(2).write.mode("overwrite").parquet(address)
    session.stop()
    return address


def reading(warehouse: Warehouse, peer: str, lists: Sequence[str]) -> Rates:
    """Return examples per second of the feed, a scan of its columns as lists, and make_reader."""
    import tensorflow as tf
    from petastorm import make_reader
    from petastorm.tf_utils import make_petastorm_dataset

    from training.data.dataset import Dataset
    from training.data.feed import Feed, FeedSettings
    from training.data.plan import plan_epoch
    from training.data.readers.choice import Reading
    from training.data.reading import batches, columns_for

    dataset = Dataset.open(warehouse, "bench")
    from training.data.targets import target_of

    target = target_of("genre", dataset)
    feed = Feed(dataset, target, FeedSettings(), np.ones(len(LABELS), np.float32), 0)
    rows = dataset.rows("train")
    (plan,) = plan_epoch(rows, ranks=1, global_batch=BATCH, seed=0, epoch=0)
    addresses = dataset.addresses("train")
    columns = list(columns_for(target))

    def read_by_feed(reader: str = "petastorm") -> None:
        def read():  # type: ignore[no-untyped-def]
            reading = Reading(reader)
            return batches(addresses, rows, plan, dataset.geometry, target, window=4, seed=(0, 0), reading=reading)

        n_rows = sum(int(batch.weights.shape[0]) for batch in feed.steps(read, 0))
        assert n_rows == plan.rows, n_rows

    def scan() -> None:
        n_rows = sum(batch.num_rows for batch in arrow_dataset.dataset(list(lists)).to_batches(columns=columns))
        assert n_rows == plan.rows, n_rows

    def read_by_make_reader() -> None:
        with make_reader(peer, reader_pool_type="thread", workers_count=2, num_epochs=1) as reader:
            n_rows = sum(int(batch.n_segments.shape[0]) for batch in make_petastorm_dataset(reader).batch(BATCH))
        assert n_rows == PEER_ROWS, n_rows

    tf.config.set_visible_devices([], "GPU")
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        best = best_seconds(
            {
                "feed": read_by_feed,
                "arrow": partial(read_by_feed, "arrow"),
                "scan": scan,
                "make_reader": read_by_make_reader,
            }
        )
    return {name: (PEER_ROWS if name == "make_reader" else plan.rows) / seconds for name, seconds in best.items()}


class FromMemory:
    """A feed of batches in memory, as tensors.

    Parameters
    ----------
    batches : sequence
    """

    def __init__(self, batches: Sequence[Any]) -> None:
        self.batches = batches

    def steps(self, *_: object) -> Iterator[Any]:
        """Yield the batches."""
        yield from self.batches


def epoch(what: str, folder: Path) -> None:
    """Train in this process, and write the examples per second to ``WHAT.json``.

    Parameters
    ----------
    what : str
        ``models``: the CNN from the dataset and from memory, and the LSTM. Else the CNN alone, with this many examples
        per rank per step; the part after a ``-`` only names the result.
    folder : Path
    """
    from training.data.dataset import Dataset
    from training.loop import session
    from training.loop.settings import TrainingSettings
    from training.loop.trainer import Trainer
    from training.models.build import MODELS
    from training.models.settings import DEFAULTS

    ranks = session.join_ranks()
    dataset = Dataset.open(Warehouse(str(folder)), "bench")
    from training.data.targets import target_of

    target = target_of("genre", dataset)
    batch = BATCH if what == MODELS_ALONE else int(what.split("-")[0])
    settings = TrainingSettings(epochs=1, batch_size=batch, patience=0)

    def trainer(name: str) -> Trainer:
        model = MODELS[name](dataset.geometry, target, dataset.metadata["normalisation"], DEFAULTS[name])
        return Trainer(model, dataset, target, settings, ranks)

    trainers = {"cnn": trainer("cnn")}
    if what == MODELS_ALONE:
        trainers |= {"memory": trainer("cnn"), "lstm": trainer("lstm")}
        from_memory = trainers["memory"]
        tensors: list[Any] = []
        read_steps = from_memory.feed.steps

        class Recording:
            def steps(self, *arguments: Any) -> Iterator[Any]:
                for item in read_steps(*arguments):
                    tensors.append(item)
                    yield item

        from_memory.feed = Recording()  # type: ignore[assignment]
    for each in trainers.values():
        each.fit()  # the first epoch traces the graph
    if what == MODELS_ALONE:
        from_memory.feed = FromMemory(tensors)  # type: ignore[assignment]
        from_memory._check_rows = lambda *_: None  # type: ignore[method-assign]
    best = best_seconds({name: lambda each=each: each.fit() and None for name, each in trainers.items()}, EPOCH_TURNS)  # type: ignore[misc]
    if ranks.is_first:
        n_examples = sum(dataset.rows("train"))
        (folder / f"{what}.json").write_text(json.dumps({name: n_examples / spent for name, spent in best.items()}))


def in_process(what: str, folder: Path, ranks: int = 1, cores: str | None = None) -> Rates:
    """Run `epoch` in a separate process, on given cores or several ranks; return its rates."""
    result = folder / f"{what}.json"
    command = [sys.executable, "-m", "benchmarks.training", EPOCH, what, str(folder)]
    if ranks > 1:
        command = ["horovodrun", "-np", str(ranks), *command]
    if cores is not None:
        command = ["taskset", "-c", cores, *command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    rates: Rates = json.loads(result.read_text())
    return rates


def main() -> None:
    """Measure and publish."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        warehouse = write_dataset(folder)
        (folder / "lists").mkdir()
        rates = reading(warehouse, write_peer_format(folder), write_lists(warehouse, folder / "lists"))
        rows: list[tuple[str, float]] = [
            ("read: feed, into TensorFlow", rates["feed"]),
            ("read: feed by --reader arrow, into TensorFlow", rates["arrow"]),
            ("read: pyarrow scan of the same columns as lists of floats", rates["scan"]),
            ("read: petastorm.make_reader, NdarrayCodec, into tf.data", rates["make_reader"]),
        ]
        metrics = {
            "feed_examples_per_second": rates["feed"],
            "feed_over_pyarrow_scan": rates["feed"] / rates["scan"],
            "arrow_feed_over_pyarrow_scan": rates["arrow"] / rates["scan"],
            "feed_over_make_reader": rates["feed"] / rates["make_reader"],
        }
        folder /= "epochs"
        write_dataset(folder, EPOCH_FILES)
        epochs = in_process(MODELS_ALONE, folder)
        rows += [
            ("CNN: an epoch from the dataset", epochs["cnn"]),
            ("CNN: an epoch from memory", epochs["memory"]),
            ("LSTM: an epoch from the dataset", epochs["lstm"]),
        ]
        metrics["epoch_over_memory"] = epochs["cnn"] / epochs["memory"]
        metrics["lstm_over_cnn"] = epochs["cnn"] / epochs["lstm"]
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) >= 2:
            folder = folder.with_name("scaling")
            write_dataset(folder, SCALING_FILES)
            for batch in SCALING_BATCHES:
                alone = in_process(str(batch), folder, cores=str(cores[0]))["cnn"]
                both = in_process(str(batch), folder, ranks=2, cores=f"{cores[0]},{cores[1]}")["cnn"]
                with ThreadPoolExecutor(2) as pool:
                    apart = [pool.submit(in_process, f"{batch}-{core}", folder, cores=str(core)) for core in cores[:2]]
                    limit = sum(one.result()["cnn"] for one in apart)
                rows += [
                    (f"CNN, {batch} examples per rank: 1 rank on 1 core", alone),
                    (f"CNN, {batch} examples per rank: 2 ranks on 2 cores", both),
                    (f"CNN, {batch} examples per rank: 2 independent processes", limit),
                ]
                metrics[f"two_ranks_over_one_at_{batch}"] = both / alone
                metrics[f"two_processes_over_one_at_{batch}"] = limit / alone
            metrics["two_ranks_over_one"] = metrics[f"two_ranks_over_one_at_{SCALING_BATCHES[-1]}"]
        publish("training", ["what", "examples/s"], rows, metrics)


if __name__ == "__main__":
    if sys.argv[1:2] == [EPOCH]:
        epoch(sys.argv[2], Path(sys.argv[3]))
    else:
        main()
