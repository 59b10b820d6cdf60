"""Start a training from the weights of another run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from msd_spark.core.errors import UserError
from msd_spark.core.runs import read_run
from msd_spark.core.warehouse import Warehouse
from training.data.dataset import Dataset
from training.data.reading import to_numpy
from training.data.targets.target import Target
from training.evaluation.baselines import TrainingTruths
from training.models.settings import SCORE_LAYERS
from training.runs.run_folder import read_model, read_training


def start_from(warehouse: Warehouse, run: str, model: keras.Model, dataset: Dataset, target: Target) -> str:
    """Copy the weights of a finished run to the layers of a model; return their names.

    Layers of the same name and shape are copied. The head is copied only if the run has the same classes, and layers
    that have a weight per word only if it has the same words. Raises `UserError` if the run was trained on artists of
    the validation or test split of `dataset`, whose metrics would be too high.
    """
    metadata = read_run(warehouse, run)
    _check_no_leak(dataset, read_training(warehouse, metadata), run)
    source = {layer.name: layer.get_weights() for layer in read_model(warehouse, run).layers}
    left_out = set(_layers_with_other_meaning(metadata, dataset, target))
    layers = [layer for layer in model.layers if layer.get_weights()]
    copied = []
    for layer in layers:
        weights = source.get(layer.name, [])
        same = [values.shape for values in weights] == [values.shape for values in layer.get_weights()]
        if same and layer.name not in left_out:
            layer.set_weights(weights)
            copied.append(layer.name)
    if not copied:
        raise UserError(
            f"--init-from: model {metadata['model']} of models/{run} has no layer of the same name and size as "
            f"{model.name}; choose a run of --model {model.name} with the same sizes"
        )
    return f"weights of models/{run} in {len(copied)} of {len(layers)} layers: {', '.join(copied)}"


def with_ancestors(warehouse: Warehouse, run: str | None, training: TrainingTruths) -> TrainingTruths:
    """Return the training examples of a run and of the run that it started from, if any.

    Those of the latter have no class, and do not change the prior.
    """
    if run is None:
        return training
    earlier = read_training(warehouse, read_run(warehouse, run))
    further = ~np.isin(earlier.track_ids, training.track_ids)
    return TrainingTruths(
        np.concatenate([training.track_ids, earlier.track_ids[further]]),
        np.concatenate([training.artist_groups, earlier.artist_groups[further]]),
        training.prior,
        np.concatenate([training.classes, np.full(int(further.sum()), -1, np.int32)]),
    )


def _layers_with_other_meaning(metadata: dict[str, Any], dataset: Dataset, target: Target) -> Iterator[str]:
    if metadata.get("words", {}).get("fingerprint") != dataset.metadata["words"]["fingerprint"]:
        yield from (SCORE_LAYERS[0], "words_dense_1")
    if metadata["target"]["class_names"] != list(target.class_names):
        yield from (*SCORE_LAYERS, target.name, f"{target.name}_standardised")


def _check_no_leak(dataset: Dataset, training: TrainingTruths, run: str) -> None:
    for split in dataset.metadata["files"]:
        if split == "train":
            continue
        table = dataset.targets(split, ["track_id", "artist_group"])
        tracks, groups = (to_numpy(table[name]) for name in ("track_id", "artist_group"))
        leaking = np.isin(groups, training.artist_groups) | np.isin(tracks, training.track_ids)
        if leaking.any():
            raise UserError(
                f"--init-from: models/{run} was trained on artists of {leaking.sum()} of {len(leaking)} songs in "
                f"{split} of dataset {dataset.name}, so its metrics would be too high; choose a run of a dataset with "
                "the same splits by artist"
            )
