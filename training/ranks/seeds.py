"""Seeds: the same ones give the same weights, and every rank drops other units."""

from __future__ import annotations

import keras
import numpy as np


def seed_weights(seed: int) -> None:
    """Seed what Keras draws initial weights from; call it before a model is built."""
    keras.utils.set_random_seed(seed)


def drawing_states(model: keras.Model) -> list[keras.Variable]:
    """Return the states of the layers that draw numbers: what a model holds besides its weights."""
    weights = {id(variable) for variable in model.weights}
    return [variable for variable in model.variables if id(variable) not in weights]


def seed_dropout(model: keras.Model, seed: int, rank: int, epoch: int = 0) -> None:
    """Give the layers of a model that draw numbers seeds of their own, others on every rank.

    Keras draws a layer's seed when the layer is made; after one `set_random_seed`, that is the same on all
    ranks, and they would drop the same units at every step.
    """
    for number, state in enumerate(drawing_states(model)):
        drawn = np.random.SeedSequence([seed, rank, number, epoch]).generate_state(int(np.prod(state.shape)))
        state.assign(drawn.astype(state.dtype).reshape(state.shape))
