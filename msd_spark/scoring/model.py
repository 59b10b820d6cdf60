"""A run's model in one process: loaded once, called in batches of one size."""

from __future__ import annotations

import gc
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from msd_spark.core.model_inputs import input_shapes, model_inputs
from msd_spark.core.runs import MODEL
from msd_spark.core.schemas import EMBEDDING_LAYER, Geometry
from msd_spark.scoring.trained_run import TrainedRun

if TYPE_CHECKING:
    import keras


class Scores(NamedTuple):
    """What a model says of songs.

    Attributes
    ----------
    embeddings : numpy.ndarray
        Shape ``(n, 50)``, float32.
    outputs : numpy.ndarray
        Of the head: shape ``(n, n_classes)``, float32.
    """

    embeddings: np.ndarray
    outputs: np.ndarray


Infer = Callable[[Mapping[str, np.ndarray]], Scores]


class ScoringModel:
    """Scores songs in batches of one size, so that the graph is traced once.

    Parameters
    ----------
    infer : callable
        From the inputs of exactly `batch` songs, as `msd_spark.core.model_inputs.model_inputs` makes them, to scores.
    geometry : Geometry
    batch : int
    """

    def __init__(self, infer: Infer, geometry: Geometry, batch: int) -> None:
        self._infer = infer
        self.geometry = geometry
        self.batch = batch

    @classmethod
    def load(cls, run: TrainedRun, batch: int, threads: int) -> ScoringModel:
        """Load a run's model with so many threads, of which only a process that TensorFlow is new to hears."""
        return cls(compiled(load_keras(run.model, threads), run.geometry, batch), run.geometry, batch)

    def __call__(self, columns: Mapping[str, np.ndarray]) -> Scores:
        """Return the scores of songs, however many there are.

        Parameters
        ----------
        columns : mapping
            As `msd_spark.core.model_inputs.model_inputs` takes them. The last batch is filled up with songs of zeros,
            which no song in it can see.
        """
        n = len(columns["n_segments"])
        parts = []
        for start in range(0, n, self.batch):
            inputs = model_inputs(
                {name: rows[start : start + self.batch] for name, rows in columns.items()}, self.geometry
            )
            here = min(self.batch, n - start)
            scores = self._infer({name: _filled(rows, self.batch) for name, rows in inputs.items()})
            parts.append(Scores(scores.embeddings[:here], scores.outputs[:here]))
        if not parts:
            raise ValueError("no songs to score")
        return Scores(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _filled(rows: np.ndarray, size: int) -> np.ndarray:
    """Return rows with zeros behind them, `size` in all."""
    if len(rows) == size:
        return rows
    filled = np.zeros((size, *rows.shape[1:]), rows.dtype)
    filled[: len(rows)] = rows
    return filled


def load_keras(content: bytes, threads: int) -> keras.Model:
    """Return the model in a file's bytes, with the embedding and the head's scores as outputs, in safe mode."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    import tensorflow as tf

    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        for device in tf.config.list_physical_devices("GPU"):
            # The workers of a machine share its GPUs: none takes all of the memory.
            tf.config.experimental.set_memory_growth(device, True)
    except RuntimeError:
        pass  # TensorFlow runs already in this process, with the threads that it was given then.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, MODEL)
        path.write_bytes(content)
        trained = keras.models.load_model(path, compile=False, safe_mode=True)
    inputs = {tensor.name: tensor for tensor in trained.inputs}
    return keras.Model(inputs, [trained.get_layer(EMBEDDING_LAYER).output, trained.output])


def compiled(model: keras.Model, geometry: Geometry, batch: int) -> Infer:
    """Return a model as a graph for batches of one size."""
    import tensorflow as tf

    signature = {name: tf.TensorSpec((batch, *shape), tf.float32) for name, shape in input_shapes(geometry).items()}
    graph = tf.function(lambda inputs: model(inputs, training=False), input_signature=[signature], jit_compile=False)

    def infer(inputs: Mapping[str, np.ndarray]) -> Scores:
        embeddings, outputs = graph({name: tf.convert_to_tensor(rows) for name, rows in inputs.items()})
        return Scores(np.asarray(embeddings, np.float32), np.asarray(outputs, np.float32))

    return infer


_held: dict[tuple[str, int], ScoringModel] = {}


def model_of_process(run: TrainedRun, batch: int, threads: int) -> ScoringModel:
    """Return a run's model, loaded once a process; the model of another run gives way to it."""
    key = run.digest, batch
    if key not in _held:
        _held.clear()
        gc.unfreeze()
        _held[key] = ScoringModel.load(run, batch, threads)
        # Spark's worker collects garbage after every task: 0.2 s to find that all of TensorFlow is still needed.
        gc.freeze()
    return _held[key]
