"""Seeds: the same ones give the same weights, and every rank drops other units."""

from __future__ import annotations

import keras
import numpy as np


def seed_weights(seed: int) -> None:
    """Seed what Keras draws initial weights from; call it before a model is built."""
    keras.utils.set_random_seed(seed)


def seed_dropout(model: keras.Model, seed: int, rank: int) -> None:
    """Give the layers of a model that draw numbers seeds of their own, others on every rank.

    Keras draws a layer's seed when the layer is made; after one `set_random_seed`, that is the same on all
    ranks, and they would drop the same units at every step.
    """
    weights = {id(variable) for variable in model.weights}
    states = [variable for variable in model.variables if id(variable) not in weights]
    for number, state in enumerate(states):
        drawn = np.random.SeedSequence([seed, rank, number]).generate_state(int(np.prod(state.shape)))
        state.assign(drawn.astype(state.dtype).reshape(state.shape))
