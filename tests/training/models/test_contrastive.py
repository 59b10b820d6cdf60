"""The contrastive loss, beside the definition of Khosla et al. in plain Python."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

from msd_spark.core.schemas import EMBEDDING_LAYER
from training.data.feed import TrainingBatch
from training.data.targets.genre import Genre
from training.data.targets.tags import Tags
from training.data.targets.target import Target
from training.loop.objective import SCORES, Objective
from training.models.contrastive import TEMPERATURE, contrastive_losses
from training.models.losses import Loss
from training.ranks.ranks import Ranks

GENRES = np.eye(3, dtype=np.float32)[[0, 1, 0, 0, 2]]
TAGS = np.array([[1, 1, 0], [0, 1, 1], [0, 0, 0], [1, 1, 0], [1, 0, 0]], np.float32)


def losses_of(embeddings: np.ndarray, truth: np.ndarray, own: slice = slice(None)) -> tuple[np.ndarray, np.ndarray]:
    """Return the losses of some examples among all, and whether they have a positive."""
    losses, judged = contrastive_losses(
        tf.constant(embeddings[own]),
        tf.constant(truth[own]),
        tf.constant(embeddings),
        tf.constant(truth),
        own.start or 0,
    )
    return np.asarray(losses), np.asarray(judged)


def expected(embeddings: np.ndarray, truth: np.ndarray) -> list[float]:
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    losses = []
    for i, own in enumerate(truth):
        others = [j for j in range(len(truth)) if j != i and truth[j].any()]
        whole = sum(math.exp(unit[i] @ unit[j] / TEMPERATURE) for j in others)
        weights = {j: np.minimum(own, truth[j]).sum() / max(np.maximum(own, truth[j]).sum(), 1) for j in others}
        total = sum(weights.values())
        parts = [w * -math.log(math.exp(unit[i] @ unit[j] / TEMPERATURE) / whole) for j, w in weights.items()]
        losses.append(sum(parts) / total if total else 0.0)
    return losses


@pytest.mark.parametrize("truth", [GENRES, TAGS])
def test_losses_are_those_of_the_definition(truth: np.ndarray) -> None:
    embeddings = np.random.default_rng(3).normal(size=(5, 4)).astype(np.float32)
    losses, judged = losses_of(embeddings, truth)
    np.testing.assert_allclose(losses, expected(embeddings, truth), rtol=1e-4, atol=1e-6)
    assert judged.tolist() == [float(value > 0) for value in expected(embeddings, truth)]


def test_ranks_judge_their_own_examples_among_those_of_all() -> None:
    embeddings = np.random.default_rng(4).normal(size=(5, 4)).astype(np.float32)
    whole, _ = losses_of(embeddings, TAGS)
    parts = [losses_of(embeddings, TAGS, rows)[0] for rows in (slice(0, 2), slice(2, 5))]
    np.testing.assert_allclose(np.concatenate(parts), whole, rtol=1e-6)


def test_gradients_of_equal_and_of_absent_embeddings_are_finite() -> None:
    for embeddings in (tf.ones((5, 4)), tf.zeros((5, 4))):
        with tf.GradientTape() as tape:
            tape.watch(embeddings)
            losses, _ = contrastive_losses(embeddings, GENRES, embeddings, GENRES, 0)
        assert np.isfinite(tape.gradient(losses, embeddings)).all()


@pytest.mark.parametrize("made", [Genre(("a", "b", "c")), Tags(("a", "b", "c"))])
def test_label_smoothing_changes_no_positive(made: Target) -> None:
    embeddings = np.random.default_rng(5).normal(size=(5, 4)).astype(np.float32)
    truth = np.array([0, 1, 0, 0, 2]) if isinstance(made, Genre) else TAGS
    objective = Objective(Loss(made), None, 0.0, 1.0, Ranks.join(), 0)
    outputs = {SCORES: tf.fill((5, 3), 1 / 3), EMBEDDING_LAYER: tf.constant(embeddings)}
    none, values = tf.zeros(5), []
    for smoothing in (0.0, 0.9):
        soft = tf.constant(made.soft_truth(truth, np.ones(5, bool), smoothing))
        values.append(
            float(
                objective.of_step(
                    outputs,
                    TrainingBatch({}, soft, none, none, none, none),
                    tf.zeros(2),
                    objective.classes(tf.constant(0)),
                )[0]
            )
        )
    assert values[0] == values[1] > 0
