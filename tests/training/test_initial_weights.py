"""``train --init-from`` and ``--also``: which weights and training examples of another run are taken over."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pyarrow as pa
import pytest

from msd_spark.core.errors import UserError
from msd_spark.core.warehouse import Warehouse
from tests.support.fork_server import forked
from tests.support.launched import launched
from tests.support.tiny_dataset import copy_tiny_dataset, write_tiny_dataset
from training.data.dataset import Dataset
from training.data.targets import target_of
from training.data.targets.target import Target
from training.evaluation.judgement import read_training_truths
from training.loop.checkpoints import differences
from training.loop.options import TrainOptions
from training.loop.session import _fixed_settings, checked
from training.models.build import MODELS
from training.models.settings import DEFAULTS
from training.runs.initial_weights import start_from
from training.runs.run_folder import FinishedRun, read_model, read_training, write_run


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """Dataset ``apart`` has other artists in each split, ``later`` also other train songs; run ``tags`` is of it."""
    warehouse = write_tiny_dataset(
        tmp_path_factory.mktemp("initial"), {"train": [24], "validation": [12], "test": [12]}, targets=True, missing=0.2
    )
    copy_tiny_dataset(warehouse, "apart", renamed("first"), {"name": "apart", "fingerprint": "apart"})
    copy_tiny_dataset(warehouse, "later", renamed("later"), {"name": "later", "fingerprint": "later"})
    write_untrained(warehouse, "tags", "apart", "tags")
    return warehouse


def renamed(prefix: str) -> Callable[[pa.Table, str], pa.Table]:
    """Return a function that names the artists of other splits by the split, and train songs by a prefix."""

    def rename(examples: pa.Table, split: str) -> pa.Table:
        for name in ("artist_group", "track_id"):
            place, own = examples.schema.get_field_index(name), prefix if split == "train" else split
            values = pa.array([f"{own} {value}" for value in examples[name].to_pylist()])
            examples = examples.set_column(place, examples.schema.field(place), values)
        return examples

    return rename


def model_of(dataset: Dataset, name: str) -> tuple[keras.Model, Target]:
    target = target_of(name, dataset)
    normalisation, settings = dataset.metadata["normalisation"], DEFAULTS["wide_deep"]
    return MODELS["wide_deep"](dataset.geometry, target, normalisation, settings, 24), target


def write_untrained(warehouse: Warehouse, run: str, dataset_name: str, target_name: str) -> None:
    """Write a run with the training examples of a dataset and random weights, which all layers have."""
    dataset = Dataset.open(warehouse, dataset_name)
    model, target = model_of(dataset, target_name)
    generator = np.random.default_rng(5)
    model.set_weights([generator.normal(size=values.shape) for values in model.get_weights()])
    write_run(
        warehouse,
        FinishedRun(run, model, dataset, target, {}, [], {}, {}, read_training_truths(dataset, target)),
    )


def test_layers_of_the_same_name_and_size_get_the_weights_but_not_the_head(warehouse: Warehouse) -> None:
    dataset = Dataset.open(warehouse, "later")
    model, target = model_of(dataset, "genre")
    before = {layer.name: layer.get_weights() for layer in model.layers if layer.get_weights()}
    said = start_from(warehouse, "tags", model, dataset, target)
    source = read_model(warehouse, "tags")
    heads = ["wide_scores", "deep_scores"]
    assert said.startswith(f"weights of models/tags in {len(before) - 2} of {len(before)} layers: ")
    for name, weights in before.items():
        expected = weights if name in heads else source.get_layer(name).get_weights()
        for now, wanted in zip(model.get_layer(name).get_weights(), expected, strict=True):
            np.testing.assert_array_equal(now, wanted)


def test_a_training_from_another_run_with_a_second_target(warehouse: Warehouse, tmp_path: Path) -> None:
    words = "--run next --dataset later --init-from tags --also tags --epochs 1 --baselines none --filters 2 2".split()
    command = ["training/train.py", "--warehouse", warehouse.root, *words]
    with launched(*command, log=tmp_path / "log", others=forked()) as running:
        running.succeed()
        assert "weights of models/tags in" in running.said()
    metadata = warehouse.read_json("models", "next", "metadata.json")
    assert metadata["arguments"]["init_from"] == "tags"
    songs = [f"{prefix} TRT0{number:014d}" for prefix in ("first", "later") for number in range(24)]
    assert sorted(read_training(warehouse, metadata).track_ids) == songs
    model = read_model(warehouse, "next")
    assert model.output_shape == (None, 3)
    assert "tags" not in {layer.name for layer in model.layers}


def test_a_run_trained_on_artists_of_the_test_split_is_refused(warehouse: Warehouse) -> None:
    write_untrained(warehouse, "all", "tiny", "genre")  # whose artists are in all splits
    dataset = Dataset.open(warehouse, "tiny")
    model, target = model_of(dataset, "genre")
    start_from(warehouse, "tags", model, dataset, target)
    with pytest.raises(UserError, match="models/all was trained on artists of 12 of 12 songs in validation"):
        start_from(warehouse, "all", model, dataset, target)


def test_an_unknown_run_is_refused(warehouse: Warehouse) -> None:
    with pytest.raises(UserError, match="no finished run models/none-such; finished: "):
        checked(TrainOptions(warehouse.root, dataset="apart", run="c", init_from="none-such"))


def test_an_unfinished_run_is_not_resumed_after_the_other_run_was_replaced(warehouse: Warehouse) -> None:
    metadata = warehouse.read_json("models", "tags", "metadata.json")
    options = TrainOptions(warehouse=warehouse.root, init_from="source")
    settings = []
    for place in ("first", "second"):
        warehouse.write_json(metadata | {"folder": place}, "models", "source", "metadata.json")
        settings.append(_fixed_settings(options, Dataset.open(warehouse, "apart")))
    assert differences(*settings) == {"init_from": ("models/source/first", "models/source/second")}
