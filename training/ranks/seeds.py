"""Random seeds of dropout."""

from __future__ import annotations

import keras
import numpy as np


def drawing_states(model: keras.Model) -> list[keras.Variable]:
    """Return the random states of a model's layers."""
    weights = {id(variable) for variable in model.weights}
    return [variable for variable in model.variables if id(variable) not in weights]


def seed_dropout(model: keras.Model, seed: int, rank: int, epoch: int = 0, step: int = 0) -> None:
    """Seed each dropout layer differently on every rank.

    `keras.utils.set_random_seed` sets the same seeds on all ranks, which would then drop the same units.
    """
    for number, state in enumerate(drawing_states(model)):
        drawn = np.random.SeedSequence([seed, rank, number, epoch, step]).generate_state(int(np.prod(state.shape)))
        state.assign(drawn.astype(state.dtype).reshape(state.shape))
