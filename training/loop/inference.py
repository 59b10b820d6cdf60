"""Scores of a split from all ranks, the same for any number of ranks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace

import keras
import numpy as np
import tensorflow as tf

from msd_spark.core.model_inputs import BASIC_INPUTS
from training.data.dataset import Dataset
from training.data.feed import to_tensor
from training.data.plan import files_of_ranks
from training.data.predictions import Predictions
from training.data.prefetch import prefetched
from training.data.reading import Batch, columns_for, read_row_groups, to_batch
from training.data.targets.target import Target
from training.ranks.ranks import Ranks

Infer = Callable[[Mapping[str, tf.Tensor]], tf.Tensor]
"""Returns scores of shape ``(batch, n_outputs)`` for a batch of inputs."""

TAIL = 32
"""The last batch of a row group is padded to a multiple of this: each shape costs time on a GPU."""

ON_DEVICE = 8
"""Batches whose scores may stay on the device, so that it need not wait after each."""


def compile_inference(model: keras.Model) -> Infer:
    """Return a model's inference as a graph."""
    return tf.function(lambda inputs: model(inputs, training=False), jit_compile=False, reduce_retracing=True)


def predict_split(
    infer: Infer,
    n_outputs: int,
    dataset: Dataset,
    split: str,
    target: Target,
    batch: int,
    ranks: Ranks,
    inputs: Collection[str] = BASIC_INPUTS,
) -> Predictions | None:
    """Return a split's scores on every rank, sorted by track id; None if it is empty.

    A batch has at most `batch` rows, all of one row group. So an example is in the same place of the same batch for any
    number of ranks, and its score is the same to the last digit. A thread reads ahead. The model has `n_outputs` and
    the named `inputs`; `target` is that of the dataset.
    """
    rows, addresses = dataset.rows(split), dataset.addresses(split)
    if not sum(rows):
        return None
    files = files_of_ranks(rows, ranks.size)[ranks.rank]

    def read() -> Iterator[tuple[int, Batch, dict[str, tf.Tensor]]]:
        for group in read_row_groups([addresses[file] for file in files], columns_for(target, inputs), dataset.reading):
            for first in range(0, len(group["track_id"]), batch):
                columns = {name: values[first : first + batch] for name, values in group.items()}
                n_rows = len(columns["track_id"])
                item = to_batch(columns, min(batch, -(-n_rows // TAIL) * TAIL), dataset.geometry, target, inputs)
                yield n_rows, item, {name: to_tensor(values) for name, values in item.inputs.items()}

    strings = np.empty(0, "U32")
    empty = (strings, strings, target.empty_truth(0), np.empty((0, n_outputs), np.float32), np.empty(0, bool))
    parts: list[list[np.ndarray]] = [[array] for array in empty]
    pending: deque[tuple[int, Batch, tf.Tensor]] = deque()
    read_rows = 0

    def fetch() -> None:
        n_rows, item, scores = pending.popleft()
        values = (item.track_ids, item.artist_groups, item.truth, np.asarray(scores), item.present)
        for part, array in zip(parts, values, strict=True):
            part.append(array[:n_rows])

    for n_rows, item, tensors in prefetched(read):
        pending.append((n_rows, replace(item, inputs={}), infer(tensors)))
        read_rows += n_rows
        if len(pending) > ON_DEVICE:
            fetch()
    while pending:
        fetch()
    # Every rank checks: if only one stopped, the others would wait for it.
    n_read, planned = ranks.total(read_rows), sum(rows)
    if n_read != planned:
        ranks.fail(
            f"{split} of dataset {dataset.name}: {n_read:.0f} rows instead of {planned}; run msd-spark dataset again"
        )
    gathered = [ranks.gather(np.concatenate(part)) for part in parts]
    order = np.argsort(gathered[0], kind="stable")
    return Predictions(*(values[order] for values in gathered))
