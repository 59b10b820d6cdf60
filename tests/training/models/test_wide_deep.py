"""The wide and deep model: its words, and logistic regression as a special case."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from tests.training.models.test_models import make, scores, songs
from training.data.targets import make_target


def test_words_are_weighted_logarithms_of_counts_of_unit_length() -> None:
    model = make("wide_deep")
    words = keras.Model(model.input, model.get_layer("words_unit").output)
    # Weights 1, 1.5, 0 and 3 of words 1 to 4. The first song has counts 1, 3, 5 and 2; the third one has word 4.
    bag = np.array([0, np.log(2), 1.5 * np.log(4), 0, 3 * np.log(3)])
    expected = np.array([bag / np.linalg.norm(bag), np.zeros(5), [0, 0, 0, 0, 1], np.zeros(5)])
    np.testing.assert_allclose(scores(words, songs()), expected, atol=1e-6)


@pytest.mark.parametrize("name", ["genre", "tags"])
def test_its_wide_part_is_the_logistic_regression_of_scikit_learn(name: str) -> None:
    """Trained alone to the end, it has the same penalty as scikit-learn with C = 4, for each tag too."""
    generator = np.random.default_rng(2)
    model = make("wide_deep", make_target(name, tuple("abc")), inputs="audio", filters=(), pools=())
    wide = keras.Model(model.input, model.get_layer("wide_scores").output)
    features = keras.Model(model.input, model.get_layer("wide_summary").output)
    inputs = {name: np.repeat(values, 15, axis=0) for name, values in songs().items()}
    inputs["summary"] = generator.normal(1, 2, inputs["summary"].shape).astype(np.float32)
    truth = generator.integers(0, 3, 60) if name == "genre" else generator.integers(0, 2, (60, 3))
    values = scores(features, inputs) / 10
    kernel = model.get_layer("wide_scores").kernel
    penalty = model.get_layer("wide_scores").kernel_regularizer
    # The model was made for 1,000 examples, so the sum of their losses has C.
    classifier = LogisticRegression(C=4.0 * 1000 / len(truth), fit_intercept=False, tol=1e-8, max_iter=10_000)
    if name == "genre":
        coefficients = classifier.fit(values, truth).coef_
    else:
        coefficients = np.concatenate([classifier.fit(values, labels).coef_ for labels in truth.T])

    def objective(weights: np.ndarray) -> float:
        kernel.assign(weights / 10)
        given = scores(wide, inputs)
        if name == "genre":
            losses = keras.ops.sparse_categorical_crossentropy(truth, given, from_logits=True)
        else:
            losses = keras.ops.binary_crossentropy(truth.astype(np.float32), given, from_logits=True)
        return float(np.mean(losses)) + float(penalty(kernel))

    best = objective(coefficients.T)
    np.testing.assert_allclose(scores(wide, inputs), values @ coefficients.T, atol=1e-3)
    for _ in range(20):
        step = generator.normal(size=kernel.shape)
        for size in (-0.01, 0.01):
            assert objective(coefficients.T + size * step) > best


@pytest.mark.parametrize("name", ["genre", "tags", "factors"])
def test_both_parts_add_up_to_the_scores(name: str) -> None:
    model = make("wide_deep", make_target(name, tuple("abc")))
    parts = [keras.Model(model.input, model.get_layer(part).output) for part in ("wide_scores", "deep_scores")]
    model.get_layer("wide_scores").kernel.assign(np.random.default_rng(0).normal(size=(482, 3)))
    together = sum(scores(part, songs()) for part in parts)
    activated = keras.activations.get({"genre": "softmax", "tags": "sigmoid", "factors": "linear"}[name])
    np.testing.assert_allclose(scores(model, songs()), np.asarray(activated(together)), rtol=1e-4, atol=1e-6)
