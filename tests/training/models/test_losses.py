from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from training.data.predictions import Predictions
from training.data.targets import make_target
from training.models.losses import Loss, prior_adjustment

GENRE = make_target("genre", tuple("abc"))
TAGS = make_target("tags", ("x", "y"))
FACTORS = make_target("factors", ("0", "1"))


Rows = Sequence[Sequence[float]]


def losses(loss: Loss, truth: Rows, scores: Rows) -> list[float]:
    return np.asarray(loss.of_examples(tf.constant(truth, tf.float32), tf.constant(scores, tf.float32))).tolist()


def test_cross_entropy_by_hand() -> None:
    scores = [[0.7, 0.2, 0.1], [0.25, 0.5, 0.25], [0.1, 0.1, 0.8]]
    truth: Rows = [[1, 0, 0], [0.25, 0.75, 0], [0, 0, 0]]
    wanted = [-math.log(0.7), -0.25 * math.log(0.25) - 0.75 * math.log(0.5), 0]
    assert losses(Loss(GENRE), truth, scores) == pytest.approx(wanted, abs=1e-5)


def test_the_adjustment_by_class_shares_by_hand() -> None:
    adjustment = prior_adjustment(np.array([8.0, 1.0, 1.0]), 1.0)
    # (.7, .2, .1) times (.8, .1, .1) is (.56, .02, .01), with the sum .59.
    wanted = [-math.log(0.56 / 0.59), -math.log(0.02 / 0.59)]
    scores, truth = [[0.7, 0.2, 0.1]] * 2, [[1, 0, 0], [0, 1, 0]]
    assert losses(Loss(GENRE, adjustment=adjustment), truth, scores) == pytest.approx(wanted, abs=1e-5)
    assert prior_adjustment(np.array([8.0, 1.0]), 0.0) is None
    # A class without examples counts as half an example; a factor of 2 squares the shares.
    assert prior_adjustment(np.array([1.5, 0.0]), 2.0) == pytest.approx([2 * math.log(0.75), 2 * math.log(0.25)])


def test_binary_cross_entropy_is_the_mean_over_tags_weighed_where_a_song_has_the_tag() -> None:
    truth, scores = [[1, 0], [1, 1]], [[0.8, 0.3], [0.5, 0.9]]
    plain = [(-math.log(0.8) - math.log(0.7)) / 2, (-math.log(0.5) - math.log(0.9)) / 2]
    assert losses(Loss(TAGS), truth, scores) == pytest.approx(plain, abs=1e-5)
    weighed = [(-4 * math.log(0.8) - math.log(0.7)) / 2, (-4 * math.log(0.5) - 2 * math.log(0.9)) / 2]
    assert losses(Loss(TAGS, np.array([4, 2], np.float32)), truth, scores) == pytest.approx(weighed, abs=1e-5)


def test_factors_lose_by_length_and_by_angle() -> None:
    # Truth (3, 4) with length 5, mean square 50. The same: 0. Nothing: 25 / 50 + 1. The opposite: 100 / 50 + 2.
    # At a right angle, (4, -3): 50 / 50 + 1.
    found = losses(Loss(FACTORS, None, 50.0), [[3, 4]] * 4, [[3, 4], [0, 0], [-3, -4], [4, -3]])
    assert found == pytest.approx([0, 1.5, 4, 2], abs=1e-5)


def test_factors_that_are_zero_have_a_gradient_that_is_a_number() -> None:
    scores = tf.Variable([[0.0, 0.0]])
    with tf.GradientTape() as tape:
        lost = Loss(FACTORS).of_examples(tf.constant([[3.0, 4.0]]), scores)
    assert np.isfinite(np.asarray(tape.gradient(lost, scores))).all()


def test_a_softmax_that_is_all_but_sure_still_has_a_gradient() -> None:
    """Taken through the probabilities alone, the gradient of what is ruled out would vanish."""
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Activation("softmax")(inputs))
    logits = tf.Variable([[40.0, 0.0, 0.0]])

    @tf.function(autograph=False)
    def gradient() -> Any:
        with tf.GradientTape() as tape:
            lost = Loss(GENRE).of_examples(tf.constant([[0.0, 1.0, 0.0]]), model(logits))
        return lost, tape.gradient(lost, logits)

    lost, slope = gradient()
    np.testing.assert_allclose(np.asarray(lost), [40], rtol=1e-5)
    np.testing.assert_allclose(np.asarray(slope), [[1, -1, 0]], atol=1e-5)


def test_the_loss_of_predictions_is_plain_and_of_examples_with_the_target() -> None:
    predictions = Predictions(
        np.array(["A", "B", "C"]),
        np.array(["X", "Y", "Z"]),
        np.array([0, 2, -1], np.int32),
        np.array([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8], [1, 0, 0]], np.float32),
        np.array([True, True, False]),
    )
    wanted = (-math.log(0.5) - math.log(0.8)) / 2
    assert Loss(GENRE).of_predictions(predictions) == pytest.approx(wanted, abs=1e-6)
