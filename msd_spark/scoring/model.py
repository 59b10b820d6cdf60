"""Load a run's model once per process, and make rows of ``embeddings/RUN``."""

from __future__ import annotations

import gc
import os
import tempfile
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from msd_spark.core.arrow import rows_to_lists
from msd_spark.core.model_inputs import BASIC_INPUTS, input_shapes, model_inputs
from msd_spark.core.runs import MODEL
from msd_spark.core.schemas import EMBEDDING_FLAGS, EMBEDDING_LAYER, EMBEDDINGS, Geometry
from msd_spark.scoring.trained_run import GENRE, POPULARITY, TrainedRun


class Scores(NamedTuple):
    """Embeddings of shape ``(n, 50)`` and outputs of the head ``(n, n_classes)``, float32."""

    embeddings: np.ndarray
    outputs: np.ndarray

    @property
    def finite(self) -> np.ndarray:
        """Which songs have only finite numbers: shape ``(n,)``, bool."""
        return np.asarray(np.isfinite(self.embeddings).all(axis=1) & np.isfinite(self.outputs).all(axis=1))


Infer = Callable[[Mapping[str, np.ndarray]], Scores]


class ScoringModel:
    """Scores songs in batches of one size, so that the graph is traced once.

    `infer` scores the inputs of exactly `batch` songs, as `msd_spark.core.model_inputs.model_inputs` returns them.
    """

    def __init__(self, infer: Infer, geometry: Geometry, batch: int, inputs: Collection[str] = BASIC_INPUTS) -> None:
        self._infer = infer
        self.inputs = inputs
        self.geometry = geometry
        self.batch = batch

    def __call__(self, columns: Mapping[str, np.ndarray]) -> Scores:
        """Return the scores of at least one song from the columns that `model_inputs` takes.

        The last batch is padded with songs of zeros, which do not affect the others.
        """
        n = len(columns["n_segments"])
        parts = []
        for start in range(0, n, self.batch):
            inputs = model_inputs(
                {name: rows[start : start + self.batch] for name, rows in columns.items()}, self.geometry, self.inputs
            )
            size = min(self.batch, n - start)
            scores = self._infer({name: _padded(rows, self.batch) for name, rows in inputs.items()})
            parts.append(Scores(scores.embeddings[:size], scores.outputs[:size]))
        return Scores(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _padded(rows: np.ndarray, size: int) -> np.ndarray:
    """Return rows followed by zeros, `size` in all."""
    return np.pad(rows, [(0, size - len(rows)), *[(0, 0)] * (rows.ndim - 1)]) if len(rows) < size else rows


def load_model(run: TrainedRun, batch: int, threads: int) -> Infer:
    """Load a run's model in safe mode, as a graph for batches of one size."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_HOME", os.devnull)  # reads and writes no settings in the home directory
    import keras
    import tensorflow as tf

    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        for device in tf.config.list_physical_devices("GPU"):
            # The workers of a machine share its GPUs, so none may reserve all of the memory.
            tf.config.experimental.set_memory_growth(device, True)
    except RuntimeError:
        pass  # TensorFlow is already running in this process and keeps its number of threads.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, MODEL)
        path.write_bytes(run.model)
        trained = keras.models.load_model(path, compile=False, safe_mode=True)
    outputs = [trained.get_layer(EMBEDDING_LAYER).output, trained.output]
    model = keras.Model({tensor.name: tensor for tensor in trained.inputs}, outputs)
    shapes = input_shapes(run.geometry, run.inputs)
    signature = {name: tf.TensorSpec((batch, *shape), tf.float32) for name, shape in shapes.items()}
    graph = tf.function(lambda inputs: model(inputs, training=False), input_signature=[signature], jit_compile=False)

    def infer(inputs: Mapping[str, np.ndarray]) -> Scores:
        embeddings, outputs = graph({name: tf.convert_to_tensor(rows) for name, rows in inputs.items()})
        return Scores(np.asarray(embeddings, np.float32), np.asarray(outputs, np.float32))

    return infer


_loaded: dict[tuple[str, int], ScoringModel] = {}


def model_of_process(run: TrainedRun, batch: int, threads: int) -> ScoringModel:
    """Return a run's model, loaded once per process; it replaces the model of another run.

    `threads` only has an effect in a process that has not used TensorFlow yet.
    """
    key = run.digest, batch
    if key not in _loaded:
        _loaded.clear()
        gc.unfreeze()
        _loaded[key] = ScoringModel(load_model(run, batch, threads), run.geometry, batch, run.inputs)
        # Spark's worker collects garbage after every task, which takes 0.2 s with all of TensorFlow loaded.
        gc.freeze()
    return _loaded[key]


def entropy(probabilities: np.ndarray) -> np.ndarray:
    """Return the entropy of distributions ``(n, n_classes)`` in nats, float32.

    It is 0 for one certain class and ``ln(n_classes)`` for a uniform distribution.
    """
    values = probabilities.astype(np.float64)
    logarithms = np.log(values, out=np.zeros_like(values), where=values > 0)
    return np.maximum(-(values * logarithms).sum(axis=1), 0).astype(np.float32)


def embedding_rows(run: TrainedRun, track_ids: pa.Array, scores: Scores, flags: Mapping[str, np.ndarray]) -> pa.Table:
    """Return rows in the schema `msd_spark.core.schemas.EMBEDDINGS`.

    If the run's target is not the genre, the outputs become ``target_scores`` and the columns of genres are null.
    `flags` has an array of shape ``(n,)`` for each of `msd_spark.core.schemas.EMBEDDING_FLAGS`.
    """
    n = len(track_ids)
    columns: dict[str, pa.Array] = {item.name: pa.nulls(n, item.type) for item in EMBEDDINGS}
    columns |= {name: pa.array(np.asarray(flags[name], np.float32)) for name in EMBEDDING_FLAGS}
    columns["track_id"] = track_ids
    columns["embedding"] = rows_to_lists(scores.embeddings, EMBEDDINGS.field("embedding").type)
    columns["run"] = pa.array([run.name] * n, pa.string())
    outputs = "genre_probabilities" if run.target == GENRE else "target_scores"
    columns[outputs] = rows_to_lists(scores.outputs, EMBEDDINGS.field(outputs).type)
    if run.target == GENRE:
        names = pa.array(run.class_names, pa.string())
        columns["predicted_genre"] = names.take(pa.array(scores.outputs.argmax(axis=1)))
    if run.target in (GENRE, POPULARITY):
        columns["entropy"] = pa.array(entropy(scores.outputs))
    return pa.Table.from_arrays([columns[item.name].cast(item.type) for item in EMBEDDINGS], schema=EMBEDDINGS)
