"""``train --init-from`` and ``--also``: what the weights of another run change, and when they are refused."""

from __future__ import annotations

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
from training.models.build import MODELS
from training.models.settings import DEFAULTS
from training.runs.initial_weights import start_from
from training.runs.run_folder import read_model, read_training


def train(folder: Path, log: str, *words: str) -> str:
    command: list[str | Path] = [
        "training/train.py",
        "--warehouse",
        folder / "w",
        "--epochs",
        "1",
        "--baselines",
        "simple",
        *words,
    ]
    with launched(*command, log=folder / log, others=forked()) as running:
        running.status()
        return running.said()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dataset ``apart`` with other artists in each split, and a run that learned tags on it, and genres besides."""
    folder = tmp_path_factory.mktemp("initial")
    warehouse = write_tiny_dataset(
        folder / "w", {"train": [24], "validation": [12], "test": [12]}, targets=True, missing=0.2
    )

    def rename(examples: pa.Table, split: str) -> pa.Table:
        groups = pa.array([f"{split} {group}" for group in examples["artist_group"].to_pylist()])
        place = examples.schema.get_field_index("artist_group")
        return examples.set_column(place, examples.schema.field(place), groups)

    copy_tiny_dataset(warehouse, "apart", rename, {"name": "apart", "fingerprint": "apart"})
    own = ("--dataset", "apart", "--model", "wide_deep")
    assert "next: " in train(folder, "tags", *own, "--run", "tags", "--target", "tags", "--also", "genre")
    return folder


def model_of(dataset: Dataset, target: str) -> tuple[keras.Model, Target]:
    made = target_of(target, dataset)
    return MODELS["wide_deep"](
        dataset.geometry, made, dataset.metadata["normalisation"], DEFAULTS["wide_deep"], 24
    ), made


def test_layers_of_the_same_name_and_size_get_the_weights_but_not_the_head(folder: Path) -> None:
    warehouse = Warehouse(str(folder / "w"))
    dataset = Dataset.open(warehouse, "apart")
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


def test_the_saved_model_has_no_head_for_the_second_target(folder: Path) -> None:
    model = read_model(Warehouse(str(folder / "w")), "tags")
    assert model.output_shape == (None, 4)
    assert "genre" not in {layer.name for layer in model.layers}


def test_a_run_remembers_the_training_examples_of_its_ancestor(folder: Path) -> None:
    said = train(folder, "next", "--dataset", "apart", "--model", "wide_deep", "--run", "next", "--init-from", "tags")
    assert "weights of models/tags in" in said
    warehouse = Warehouse(str(folder / "w"))
    metadata = warehouse.read_json("models", "next", "metadata.json")
    assert metadata["arguments"]["init_from"] == "tags"
    examples = read_training(warehouse, metadata)
    assert len(np.unique(examples.track_ids)) == 24


def test_a_run_trained_on_artists_of_the_test_split_is_refused(folder: Path) -> None:
    warehouse = Warehouse(str(folder / "w"))
    copy_tiny_dataset(warehouse, "swapped", lambda examples, _: examples, {"name": "swapped"})
    dataset = Dataset.open(warehouse, "swapped")
    model, target = model_of(dataset, "genre")
    # The artists of `swapped` are those of no split of `apart`; its tracks are the same.
    start_from(warehouse, "tags", model, dataset, target)
    everything = train(folder, "all", "--dataset", "swapped", "--model", "dense", "--run", "all")
    assert "next: " in everything
    with pytest.raises(UserError, match="models/all was trained on artists of 12 of 12 songs in validation"):
        start_from(warehouse, "all", model, dataset, target)


def test_an_unknown_run_is_refused_in_one_line(folder: Path) -> None:
    said = train(folder, "cnn", "--dataset", "apart", "--model", "logistic", "--run", "c", "--init-from", "none-such")
    assert "no finished run models/none-such; finished: " in said
    assert "Traceback" not in said
