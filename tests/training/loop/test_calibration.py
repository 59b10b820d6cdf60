"""Temperature scaling, by hand and on a model."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from tests.training.models.test_models import make, scores, songs
from training.data.predictions import Predictions
from training.data.targets import make_target
from training.loop.calibration import best_temperature, scale_scores
from training.models.losses import Loss


def test_overconfident_scores_get_the_temperature_that_made_them() -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(20_000, 3))
    shares = softmax(logits, axis=1)
    true = (shares.cumsum(axis=1) < generator.random((len(logits), 1))).sum(axis=1).astype(np.int32)
    tracks = np.array([f"TR{number}" for number in range(len(true))])
    made = Predictions(tracks, tracks, true, softmax(3 * logits, axis=1).astype(np.float32), np.ones(len(true), bool))
    assert best_temperature(made, Loss(make_target("genre", tuple("abc")))) == pytest.approx(3, rel=0.05)


def test_scores_are_divided_before_the_softmax() -> None:
    model = make("wide_deep")
    model.get_layer("wide_scores").kernel.assign(np.random.default_rng(1).normal(size=(482, 3)) * 0.1)
    before = scores(model, songs())
    scale_scores(model, 2.5)
    np.testing.assert_allclose(scores(model, songs()), softmax(np.log(before) / 2.5, axis=1), rtol=1e-4, atol=1e-6)
