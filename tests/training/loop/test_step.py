"""Variants of a training step on one and on two ranks: by XLA, with sparse gradients, with moving statistics."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tests.support.tiny_dataset import copy_tiny_dataset, write_tiny_dataset
from tests.training.loop.test_trainer import on_ranks

BATCH, RANKS = 16, (1, 2)
VARIANTS = ("plain", "compiled", "words-first", "words-last", "normalised")
DIVERGING, CONTRASTIVE = "diverging", "compiled-contrastive"
MANY = {"sampled-1000": 1_000, "sampled-100000": 100_000}
"""Classes of the datasets with many."""
SCRIPT = "tests/support/train_variants.py"

Weights = dict[str, np.ndarray]


def trained(folder: Path, variant: str, n_ranks: int, rank: int = 0) -> Weights:
    with np.load(folder / f"{variant}-{n_ranks}-{rank}.npz") as file:
        return dict(file)


def spread(n_classes: int, examples: pa.Table, split: str) -> pa.Table:
    """Return examples whose three genres are far from each other among many."""
    place = examples.schema.get_field_index("genre_index")
    column = pc.multiply(examples["genre_index"], pa.scalar(n_classes // 3, pa.int32()))
    return examples.set_column(place, examples.schema.field(place), column)


def assert_close(first: Weights, second: Weights) -> None:
    for name, values in first.items():
        if name != "growth":
            np.testing.assert_allclose(second[name], values, atol=2e-4, rtol=1e-3, err_msg=name)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same global batches on one rank and on two."""
    folder = tmp_path_factory.mktemp("step")
    warehouse = write_tiny_dataset(folder / "w", {"train": [BATCH // 2] * 4, "validation": [6], "test": []})
    for name, n_classes in MANY.items():
        entries = {"name": name, "labels": list(map(str, range(n_classes)))}
        copy_tiny_dataset(warehouse, name, partial(spread, n_classes), entries)
    for n_ranks in RANKS:
        variants = (*VARIANTS, *MANY, DIVERGING, CONTRASTIVE)
        done = on_ranks(n_ranks, "python", SCRIPT, folder / "w", folder, str(BATCH), *variants)
        assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.mark.parametrize("n_ranks", RANKS)
def test_xla_computes_the_same_step(folder: Path, n_ranks: int) -> None:
    assert_close(trained(folder, "plain", n_ranks), trained(folder, "compiled", n_ranks))


@pytest.mark.parametrize("variant", ["plain", "compiled", "words-first", "words-last", *MANY])
def test_two_ranks_train_as_one_does(folder: Path, variant: str) -> None:
    assert_close(trained(folder, variant, 1), trained(folder, variant, 2))


@pytest.mark.parametrize("variant", [*VARIANTS, *MANY])
def test_ranks_end_with_the_same_weights(folder: Path, variant: str) -> None:
    first, second = trained(folder, variant, 2, 0), trained(folder, variant, 2, 1)
    assert all(np.array_equal(values, second[name]) for name, values in first.items() if name != "growth")


@pytest.mark.parametrize("variant", MANY)
def test_a_head_with_many_classes_learns_within_bounds(folder: Path, variant: str) -> None:
    learned = trained(folder, variant, 2)
    assert learned["genre/kernel"].shape == (50, MANY[variant])
    assert learned["losses"][1] < learned["losses"][0] - 1
    assert np.isfinite(learned["validation"]).all()
    # Weights, moments and gradients of 100,000 classes take 20 MB each, and truths for all pairs of classes 40 GB.
    assert learned["growth"] < 600


def test_xla_excludes_exchanging_embeddings(folder: Path) -> None:
    one = trained(folder, CONTRASTIVE, 1)
    assert one["losses"][1] < one["losses"][0]
    refused = (folder / f"{CONTRASTIVE}-0.txt").read_text()
    assert refused.startswith("--compile on excludes --contrastive on several ranks")


def test_different_weights_are_an_error(folder: Path) -> None:
    first, second = ((folder / f"{DIVERGING}-{rank}.txt").read_text() for rank in range(2))
    assert first.startswith("the weights of rank 1 differ from those of rank 0 after epoch 1; run msd-spark doctor")
    assert second == "2"  # it exits silently


def test_moving_statistics_are_those_of_all_ranks(folder: Path) -> None:
    one, two = trained(folder, "normalised", 1), trained(folder, "normalised", 2)
    name = "normalised/moving_mean"
    assert np.abs(one[name]).max() > 0.1
    np.testing.assert_allclose(two[name], one[name], atol=1e-4)
