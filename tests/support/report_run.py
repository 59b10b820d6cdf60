"""Write a run and everything that its report shows, without Spark, TensorFlow and training."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from msd_spark.catalogue.embeddings import read_embeddings
from msd_spark.core.runs import DATASET_FILE, METADATA, RUNS
from msd_spark.core.schemas import EXAMPLES, GEOMETRY, LEDGER, REJECTED, SONGS, SPLITS
from msd_spark.core.warehouse import Warehouse
from msd_spark.neighbours.exact import nearest_of_all
from msd_spark.neighbours.exclusions import Exclusions
from msd_spark.neighbours.space import Space
from tests.support.embedded_songs import GENRES, write_embedded_songs
from tests.support.report_listens import write_listens

HOSTILE = (
    "<script>window.hit=1</script>",
    "\"'><img src=x onerror=window.hit=2>",
    "</script><script>window.hit=3</script>",
    "javascript:window.hit=4 <a href='javascript:window.hit=4'>x</a> <b>bold</b>",
    "$\\alpha$ {{ run }} %{x} \u2028 &lt;i&gt;",
)
SPELT = ("Sigur Rós", "Hoppípolla – Ágætis Þýðing")
"""An artist and a title with letters that are not on most keyboards."""

RUN = "tiny"
AMONG = 10
"""Row of the first song with a hostile title; those before it are called "Title N"."""


def write_report_run(folder: Path, n: int = 120) -> Warehouse:
    """Write a warehouse with everything that a report shows except a map and studies."""
    warehouse = write_embedded_songs(folder, n, run=RUN)
    _rename(warehouse)
    embedded = read_embeddings(warehouse, RUN)
    space = Space.of(embedded.vectors, "cosine")
    nearest = nearest_of_all(space, 10, Exclusions(np.empty((0, n), np.int32)), np.arange(n), 1)
    warehouse.write_arrow(nearest.rows(embedded.track_ids, 0), "neighbours", RUN)
    genres = warehouse.read_table(None, "labels").to_pandas().set_index("track_id")["genre"]
    test = embedded.track_ids[: n // 3]
    with warehouse.replacing_folder(RUNS, RUN) as new:
        run = Path(new.path)
        (run / "predictions").mkdir()
        _write_predictions(run / "predictions" / "test.parquet", test, genres)
        trained = {"track_id": embedded.track_ids[n // 3 :]}
        pd.DataFrame(trained).to_parquet(run / "training_examples.parquet")
        (run / "model.keras").write_bytes(keras_file())
        for name, content in {"metrics": metrics(genres[test]), "history": history()}.items():
            (run / f"{name}.json").write_text(json.dumps(content))
        new.point_by_json(METADATA, metadata(n))
    with warehouse.overwriting(EXAMPLES, "dataset", "genre", partition_by="split") as writer:
        writer.write_json(dataset(n), DATASET_FILE)
    _write_ledger(warehouse, n)
    write_listens(warehouse, RUN, HOSTILE)
    return warehouse


def _rename(warehouse: Warehouse) -> None:
    """Set hostile titles of some songs, and segment times of all."""
    rows = warehouse.read_table(None, "songs").to_pylist()
    for row in rows:
        row["segments_start"] = np.cumsum(np.full(row["n_segments"], 0.25)).tolist()
    for row, title in zip(rows[AMONG:], HOSTILE, strict=False):
        row["title"], row["artist_name"] = title, title
    rows[AMONG + len(HOSTILE)] |= {"artist_name": SPELT[0], "title": SPELT[1]}
    rows[AMONG + len(HOSTILE) + 1] |= {"artist_name": None, "title": None}
    warehouse.write_arrow(pa.Table.from_pylist(rows, SONGS), "songs")


def _write_predictions(path: Path, tracks: np.ndarray, genres: pd.Series) -> None:
    generator = np.random.default_rng(3)
    true = genres[tracks].to_numpy()
    scores = generator.dirichlet(np.ones(len(GENRES)), len(tracks)) + 0.5 * (true[:, None] == np.array(GENRES))
    scores /= scores.sum(axis=1, keepdims=True)
    table = pa.table(
        {
            "track_id": tracks,
            "artist_group": tracks,
            "true": true,
            "predicted": np.array(GENRES)[scores.argmax(axis=1)],
            "probabilities": list(scores.astype(np.float32)),
        }
    )
    pq.write_table(table, path)


def metadata(n: int) -> dict[str, Any]:
    return {
        "run": RUN,
        "model": "cnn",
        "parameters": 1234,
        "labels": list(GENRES),
        "geometry": asdict(GEOMETRY),
        "normalisation": {},
        "lyric_vectors": "none",
        "target": {"name": "genre", "class_names": list(GENRES)},
        "dataset": {"name": "genre", "fingerprint": "f" * 32, "split_rule": {"by": "artist"}, "training_examples": n},
        "arguments": {"batch_size": 8, "inputs": "both", "protocol": None},
        "git_revision": None,
    }


def metrics(true: pd.Series) -> dict[str, Any]:
    counts = np.diag([int((true == genre).sum()) for genre in GENRES])
    counts[0, 1] = 2
    figures = {
        "examples": int(counts.sum()),
        "artists": 12,
        "accuracy": 0.75,
        "macro_f1": 0.5,
        "log_loss": 1.25,
        "intervals": {"accuracy": [0.5, 0.875], "macro_f1": [0.25, 0.625]},
        "by_class": {genre: {"support": 3, "f1": 0.5, "average_precision": 0.5} for genre in GENRES},
        "reliability": [{"above": 0.0, "up_to": 0.5, "examples": 4, "accuracy": 0.25, "confidence": 0.375}],
    }
    baseline = {"examples": figures["examples"], "accuracy": 0.25, "macro_f1": None}
    return {"test": {"model": figures | {"confusion_matrix": counts.tolist()}, "majority": baseline}}


def history() -> list[dict[str, Any]]:
    return [
        {"epoch": epoch, "loss": 2 / epoch, "validation_loss": 2.1 / epoch, "validation_accuracy": 1 - 0.5 / epoch}
        for epoch in (1, 2, 3)
    ]


def dataset(n: int) -> dict[str, Any]:
    tracks = {genre: dict(zip(SPLITS, (10 * place, 1, 2), strict=True)) for place, genre in enumerate(GENRES, 1)}
    rows = {genre: counts | {"train": 20} for genre, counts in tracks.items()}
    by_genre = dict.fromkeys(GENRES, n // 4)
    return {
        "name": "genre",
        "fingerprint": "f" * 32,
        "label_set": "cd1",
        "tracks_by_genre": tracks,
        "examples_by_genre": rows,
        "balance": {"kind": "original"},
        "funnel_steps": [
            {"name": "songs", "tracks": n, "left_out": 0, "by_genre": by_genre},
            {"name": "labelled", "tracks": n - 3, "left_out": 3, "by_genre": by_genre},
        ],
    }


def _write_ledger(warehouse: Warehouse, n: int) -> None:
    units = [("files", "/data/a", n + 3, n, 2, 1, 0), ("tar", "/data/<b>", 7, 0, 5, 0, 2)]
    names = ("kind", "location", "inputs", "songs", "rejected", "duplicates", "skipped")
    lists: dict[str, list[Any]] = {field.name: [] for field in LEDGER if pa.types.is_list(field.type)}
    common = {"unit": "u", "source": "s", "seconds": 1.5} | lists
    rows = [dict(zip(names, unit, strict=True)) | common for unit in units]
    warehouse.write_arrow(pa.Table.from_pylist(rows, LEDGER), "ledger")
    rejected = [
        {"source": f"/data/{HOSTILE[0]}.h5", "member": None, "reason": "not_hdf5", "detail": HOSTILE[1], "unit": "u"}
    ]
    warehouse.write_arrow(pa.Table.from_pylist(rejected, REJECTED), "rejected", "stage=ingest")


def keras_file() -> bytes:
    """Return a ``.keras`` file of a model with two input streams."""

    def tensor(name: str) -> dict[str, Any]:
        return {"class_name": "__keras_tensor__", "config": {"keras_history": [name, 0, 0]}}

    def layer(kind: str, name: str, inputs: list[str], **config: Any) -> dict[str, Any]:
        nodes = [{"args": [[tensor(one) for one in inputs]], "kwargs": {}}] if inputs else []
        return {"class_name": kind, "config": {"name": name, **config}, "inbound_nodes": nodes}

    layers = [
        layer("InputLayer", "chroma", [], batch_shape=[None, 300, 12]),
        layer("InputLayer", "mask", [], batch_shape=[None, 300]),
        layer("InputLayer", "lyric_vector", [], batch_shape=[None, 50]),
        layer("Normalization", "chroma_normalised", ["chroma"]),
        layer("Reshape", "chroma_mask", ["mask"]),
        layer("Multiply", "chroma_masked", ["chroma_normalised", "chroma_mask"]),
        layer("Conv1D", "chroma_convolution", ["chroma_masked"], filters=16, kernel_size=[4], activation="relu"),
        layer("Concatenate", "together", ["chroma_convolution", "lyric_vector"]),
        layer("Dense", "embedding", ["together"], units=50, activation="tanh"),
        layer("Dense", "genre", ["embedding"], units=4, activation="softmax"),
    ]
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("config.json", json.dumps({"config": {"layers": layers}}))
    return sink.getvalue()
