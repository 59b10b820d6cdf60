from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.tiny_dataset import write_tiny_dataset
from training.data.augmentation import AugmentationSettings
from training.data.dataset import Dataset
from training.data.feed import FeedSettings
from training.data.targets import target_of
from training.loop.optimizers import OPTIMIZERS, OptimizerSettings, make_optimizer
from training.loop.schedule import Schedule
from training.loop.settings import TrainingSettings
from training.loop.trainer import Trainer
from training.models.build import MODELS
from training.models.settings import ModelSettings
from training.ranks.ranks import Ranks
from training.ranks.seeds import seed_dropout


def stepped(settings: OptimizerSettings, gradient: list[float], rate: float = 0.5) -> tuple[list[float], float]:
    """Return weights (1, 1) after a step of a gradient, and the factor that losses are scaled by after it."""
    optimizer = make_optimizer(settings, rate)
    variable = keras.Variable([1.0, 1.0], name="kernel")
    optimizer.build([variable])
    scale = float(optimizer.scale_loss(tf.constant(1.0)))
    tf.function(lambda: optimizer.apply([tf.constant(gradient) * scale], [variable]), autograph=False)()
    return np.asarray(variable.value).tolist(), float(optimizer.scale_loss(tf.constant(1.0))) / scale


@pytest.mark.parametrize("precision", ["float32", "float16", "bfloat16"])
def test_the_gradient_is_clipped_by_its_true_length(precision: str) -> None:
    # (3, 4) has length 5; clipped to 1 it is (0.6, 0.8), and half of that is taken off.
    clipped, _ = stepped(OptimizerSettings("sgd", momentum=0.0, clip_norm=1.0, precision=precision), [3.0, 4.0])
    assert clipped == pytest.approx([0.7, 0.6], abs=1e-5)
    free, _ = stepped(OptimizerSettings("sgd", momentum=0.0, precision=precision), [3.0, 4.0])
    assert free == pytest.approx([-0.5, -1.0], abs=1e-5)


def test_a_gradient_that_overflowed_moves_nothing_and_halves_the_scale() -> None:
    weights, factor = stepped(OptimizerSettings("sgd", precision="float16"), [float("inf"), 1.0])
    assert weights == [1.0, 1.0]
    assert factor == 0.5


def test_weight_decay_is_adamw_s_and_spares_biases() -> None:
    # A gradient of zero leaves the decay alone: 1 - 0.5 * 0.1.
    assert stepped(OptimizerSettings("adamw", weight_decay=0.1), [0.0, 0.0])[0] == pytest.approx([0.95, 0.95])
    assert stepped(OptimizerSettings("adam", weight_decay=0.1), [0.0, 0.0])[0] == [1.0, 1.0]
    optimizer = make_optimizer(OptimizerSettings("adamw", weight_decay=0.1), 0.5)
    dense = keras.layers.Dense(1)
    dense.build((None, 1))
    dense.bias.assign([1.0])
    optimizer.build(dense.trainable_variables)
    optimizer.apply([tf.zeros((1, 1)), tf.zeros(1)], dense.trainable_variables)
    assert np.asarray(dense.bias.value).tolist() == [1.0]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_goes_downhill(name: str) -> None:
    assert all(weight < 1 for weight in stepped(OptimizerSettings(name), [3.0, 4.0], 0.01)[0])


def trained(folder: Path, seed: int, precision: str = "float32") -> tuple[list[np.ndarray], list[float]]:
    dataset = Dataset.open(write_tiny_dataset(folder, {"train": [16, 16], "validation": [], "test": []}), "tiny")
    target = target_of("genre", dataset)
    optimizer = OptimizerSettings(precision=precision)
    keras.config.set_dtype_policy(optimizer.dtype_policy)
    try:
        keras.utils.set_random_seed(seed)
        small = ModelSettings(filters=(8,), pools=(4,), hidden=(8,), heads=2, dropout=0.3)
        model = MODELS["attention"](dataset.geometry, target, dataset.metadata["normalisation"], small)
    finally:
        keras.config.set_dtype_policy("float32")
    feed = FeedSettings(augmentation=AugmentationSettings(0.1, 1, 0.1, 2, 1, 0.2, 0.4))
    settings = TrainingSettings(4, 8, patience=0, seed=seed, schedule=Schedule(3e-3), optimizer=optimizer, feed=feed)
    history = Trainer(model, dataset, target, settings, Ranks.join()).fit()
    return model.get_weights(), [row["loss"] for row in history]


def test_the_same_seed_gives_the_same_weights_and_another_one_others(tmp_path: Path) -> None:
    first, again, other = (trained(tmp_path / str(number), seed)[0] for number, seed in enumerate((5, 5, 6)))
    assert all(np.array_equal(one, two) for one, two in zip(first, again, strict=True))
    assert not any(np.array_equal(one, two) for one, two in zip(first, other, strict=True) if np.ptp(one) > 0)


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_half_precision_keeps_weights_in_float32_and_learns(tmp_path: Path, precision: str) -> None:
    weights, losses = trained(tmp_path, 5, precision)
    assert {array.dtype for array in weights} == {np.dtype("float32")}
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]


def test_ranks_drop_other_units() -> None:
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((1000,)), keras.layers.Dropout(0.5)])
    ones = tf.ones((1, 1000))
    kept = []
    for rank in (0, 1, 0):
        seed_dropout(model, 1, rank)
        kept.append(np.asarray(model(ones, training=True)) > 0)
    assert np.array_equal(kept[0], kept[2])
    assert 400 < (kept[0] != kept[1]).sum() < 600


def test_a_training_step_has_one_collective_with_a_default_name(tmp_path: Path) -> None:
    dataset = Dataset.open(write_tiny_dataset(tmp_path, {"train": [8], "validation": [], "test": []}), "tiny")
    target = target_of("genre", dataset)
    small = ModelSettings(hidden=(8,))
    model = MODELS["logistic"](dataset.geometry, target, dataset.metadata["normalisation"], small)
    trainer = Trainer(model, dataset, target, TrainingSettings(1, 8, patience=0), Ranks.join())
    step: Any = trainer.step
    batches: list[Any] = []
    trainer.step = lambda *batch: batches.append(batch) or step(*batch)  # type: ignore[func-returns-value]
    trainer.fit()
    operations = step.get_concrete_function(*batches[0]).graph.get_operations()
    collectives = [operation.name for operation in operations if operation.type.startswith("Horovod")]
    assert len(collectives) == 1
    assert "Horovod" in collectives[0]
