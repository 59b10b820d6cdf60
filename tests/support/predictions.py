"""Random predictions of artists' songs, for tests of figures."""

from __future__ import annotations

import numpy as np

from training.data.predictions import Predictions
from training.data.targets import make_target
from training.data.targets.target import Target


def target(name: str, size: int) -> Target:
    return make_target(name, tuple(f"class {number}" for number in range(size)))


def predictions(name: str, n: int, size: int, seed: int = 0, n_artists: int | None = None) -> Predictions:
    """Return predictions of `n` songs that are somewhat better than chance; every class has a song if `n` allows it."""
    generator = np.random.default_rng(seed)
    groups = generator.integers(0, n_artists or max(2, n // 3), n)
    true: np.ndarray
    if name == "factors":
        true = generator.normal(size=(n, size)).astype(np.float32)
        scores = true * 0.5 + generator.normal(size=(n, size)) * 0.5
    elif name == "tags":
        true = (generator.random((n, size)) < 0.3).astype(np.float32)
        scores = 0.2 * true + 0.8 * generator.random((n, size))
    else:
        true = generator.permutation(np.arange(n) % size).astype(np.int32)
        scores = generator.dirichlet(np.ones(size), n) + 0.3 * np.eye(size)[true]
        # A few scores are alike, so that ties are met.
        scores = np.round(scores, 1) + 0.01
        scores /= scores.sum(axis=1, keepdims=True)
    track_ids = np.array([f"TR{number:06d}" for number in range(n)])
    return Predictions(
        track_ids,
        np.array([f"AR{group:05d}" for group in groups]),
        true,
        scores.astype(np.float32),
        np.ones(n, bool),
    )
