"""Training with ranks that leave and join, by Horovod's elastic mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from training.loop.state import TrainingState
from training.ranks.collectives import HorovodInternalError, elastic, elastic_state
from training.ranks.ranks import LostRankError, Ranks

Commit = Callable[[TrainingState], None]


def train_elastically(train: Callable[[Ranks, TrainingState | None, Commit], None]) -> None:
    """Train, and start again from the last state whenever a rank leaves or joins.

    `train` trains to the end from a state, or from the start if None, and passes its states to the given function. It
    is called again after a rank was lost, and at the first state after a rank joined. All collectives must be called
    inside it. A new rank receives the state of rank 0, which is never a new rank.
    """

    @elastic.run
    def attempt(shared: Any) -> None:
        def commit(state: TrainingState) -> None:
            shared.reached = state
            shared.commit()

        try:
            train(Ranks.joined(), shared.reached, commit)
        except LostRankError as error:
            raise HorovodInternalError(str(error)) from error
        except tf.errors.UnknownError as error:
            if "Horovod" in str(error):  # a collective failed outside `Ranks.noticing_losses`
                raise HorovodInternalError(str(error)) from error
            # `elastic.run` ignores one that names no collective, so the training would seem finished.
            raise RuntimeError(str(error)) from error

    attempt(elastic_state(reached=None))
