"""A model's scores of a split, over all ranks, the same whatever their number."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import keras
import numpy as np
import tensorflow as tf

from msd_spark.core.errors import UserError
from training.data.assembly import assemble
from training.data.dataset import Dataset
from training.data.plan import plan_epoch
from training.data.predictions import Predictions
from training.data.reading import columns_for, read_row_groups, to_batch
from training.data.targets import Target
from training.ranks.ranks import Ranks

Infer = Callable[[Mapping[str, tf.Tensor]], tf.Tensor]
"""From a batch of inputs to scores of shape ``(batch, n_outputs)``."""


def compile_inference(model: keras.Model) -> Infer:
    """Return a model's inference as a graph."""
    return tf.function(lambda inputs: model(inputs, training=False), jit_compile=False)


def predict_split(
    infer: Infer, n_outputs: int, dataset: Dataset, split: str, target: Target, batch: int, ranks: Ranks
) -> Predictions | None:
    """Return the scores of a split's examples, gathered from all ranks and sorted by track id, on every rank.

    A batch holds rows of one row group: an example is scored in the same place of the same batch however many
    ranks share the files, so its score does not change by the last digit either.

    Parameters
    ----------
    infer : callable
    n_outputs : int
        Of the model.
    dataset : Dataset
    split : str
    target : Target
        As the dataset has it.
    batch : int
        Examples a call of the model; row groups are padded to a multiple of it.
    ranks : Ranks

    Returns
    -------
    Predictions or None
        None where the split is empty.

    Raises
    ------
    UserError
        When the files hold other rows than the dataset's metadata say.
    """
    rows, addresses = dataset.rows(split), dataset.addresses(split)
    if not sum(rows):
        return None
    plan = plan_epoch(rows, ranks=ranks.size, batch=batch)[ranks.rank]
    parts: list[list[np.ndarray]] = [
        [np.empty(0, "U32")],
        [np.empty(0, "U32")],
        [np.empty((0, target.size), np.float32) if target.is_vector else np.empty(0, np.int32)],
        [np.empty((0, n_outputs), np.float32)],
        [np.empty(0, bool)],
    ]
    read = 0
    for group in read_row_groups([addresses[file] for file in plan.files], columns_for(target)):
        for columns in assemble(iter([group]), batch):
            n_rows = len(columns["track_id"])
            item = to_batch(columns, batch, dataset.geometry, target)
            scores = np.asarray(infer({name: tf.constant(values) for name, values in item.inputs.items()}))
            made = (item.track_ids, item.artist_groups, item.truth, scores, item.present)
            for part, values in zip(parts, made, strict=True):
                part.append(values[:n_rows])
            read += n_rows
    # A rank that stopped here alone would leave the others waiting for it.
    n_read, planned = ranks.total(read), sum(rows)
    if n_read != planned:
        raise UserError(
            f"{split} of dataset {dataset.name}: {planned} rows planned and {n_read:.0f} read; was it replaced?"
        )
    gathered = [ranks.gather(np.concatenate(part)) for part in parts]
    order = np.argsort(gathered[0], kind="stable")
    return Predictions(*(values[order] for values in gathered))
