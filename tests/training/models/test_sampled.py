from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from training.data.targets import make_target
from training.models.losses import Loss, prior_adjustment
from training.models.sampled import SampledSoftmax
from training.models.settings import SCORE_LAYERS

CLASSES = 40
TARGET = make_target("genre", tuple(map(str, range(CLASSES))))
TRUTH = np.array([0, 7, 7, CLASSES - 1])


def model_of(*, wide: bool) -> keras.Model:
    keras.utils.set_random_seed(3)
    values = keras.Input((6,))
    if not wide:
        return keras.Model(
            values, layers.Dense(CLASSES, activation="softmax", bias_initializer="normal", name="genre")(values)
        )
    linear = layers.Dense(CLASSES, use_bias=False, name=SCORE_LAYERS[0])(values)
    deep = layers.Dense(CLASSES, name=SCORE_LAYERS[1])(layers.Dense(5)(values))
    return keras.Model(values, layers.Softmax()(layers.Add()([linear, deep])))


def losses(model: keras.Model, loss: Loss, size: int, step: int = 0) -> tuple[list[float], list[float]]:
    """Return the sampled and the full losses of four examples."""
    sampled = SampledSoftmax(model, loss, size, seed=5)
    values = tf.constant(np.random.default_rng(1).normal(size=(4, 6)), tf.float32)
    inputs = keras.Model(model.input, sampled.inputs)(values)
    own = sampled.of_examples(tf.constant(TRUTH, tf.float32), inputs, sampled.classes(tf.constant(step, tf.int64)))
    full = loss.of_examples(tf.one_hot(TRUTH, CLASSES), model(values))
    return np.asarray(own).tolist(), np.asarray(full).tolist()


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("factor", [0.0, 1.0])
def test_a_sample_of_all_classes_is_the_full_softmax(wide: bool, factor: float) -> None:
    loss = Loss(TARGET, adjustment=prior_adjustment(np.arange(CLASSES) + 1.0, factor))
    sampled, full = losses(model_of(wide=wide), loss, CLASSES)
    assert sampled == pytest.approx(full, abs=1e-5)


def test_a_sample_estimates_the_sum_of_the_softmax() -> None:
    model, loss = model_of(wide=False), Loss(TARGET)
    full = np.array(losses(model, loss, 10)[1])
    sampled = np.array([losses(model, loss, 10, step)[0] for step in range(300)])
    assert np.ptp(sampled, axis=0).min() > 0
    # exp(loss) is the sum of the softmax over the share of the true class.
    np.testing.assert_allclose(np.exp(sampled).mean(axis=0), np.exp(full), rtol=0.05)


def test_every_class_is_drawn_equally_often() -> None:
    sampled = SampledSoftmax(model_of(wide=False), Loss(TARGET), 8, seed=12345)
    draw = tf.function(lambda steps: tf.map_fn(sampled.classes, steps, fn_output_signature=tf.int32))
    drawn = np.asarray(draw(tf.range(4000, dtype=tf.int64)))
    assert all(len(set(classes)) == 8 for classes in drawn.tolist())
    expected = drawn.size / CLASSES
    chi_squared = ((np.bincount(drawn.ravel(), minlength=CLASSES) - expected) ** 2 / expected).sum()
    assert chi_squared < 72  # 0.1 % of random draws exceed 72 with 39 degrees of freedom
