"""The contrastive loss, beside the definition of Khosla et al. in plain Python."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

from training.models.contrastive import TEMPERATURE, contrastive_losses

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
        others = [j for j in range(len(truth)) if j != i]
        whole = sum(math.exp(unit[i] @ unit[j] / TEMPERATURE) for j in others if truth[j].any())
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


def test_padding_and_songs_without_the_target_change_nothing() -> None:
    embeddings = np.random.default_rng(5).normal(size=(5, 4)).astype(np.float32)
    for truth in (GENRES, TAGS):
        padded = [np.concatenate([rows, np.zeros((3, rows.shape[1]), np.float32)]) for rows in (embeddings, truth)]
        losses, judged = losses_of(padded[0], padded[1])
        np.testing.assert_allclose(losses[:5], losses_of(embeddings, truth)[0], rtol=1e-6)
        assert not np.concatenate([losses[5:], judged[5:]]).any()


def test_gradients_of_equal_and_of_absent_embeddings_are_finite() -> None:
    for embeddings in (tf.ones((5, 4)), tf.zeros((5, 4))):
        with tf.GradientTape() as tape:
            tape.watch(embeddings)
            losses, _ = contrastive_losses(embeddings, GENRES, embeddings, GENRES, 0)
        assert np.isfinite(tape.gradient(losses, embeddings)).all()
