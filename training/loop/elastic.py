"""Training that outlives the loss of ranks and takes in new ones, by Horovod's elastic mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import horovod.tensorflow as hvd
from horovod.common.exceptions import HorovodInternalError

from training.loop.state import TrainingState
from training.ranks.ranks import LostRankError, Ranks

Commit = Callable[[TrainingState], None]


def train_elastically(train: Callable[[Ranks, TrainingState | None, Commit], None]) -> None:
    """Train with whatever ranks there are, each time from where they stood.

    Parameters
    ----------
    train : callable
        Trains with the ranks that there are now, from a state to the end, and hands over its states. It is
        called anew, with other ranks, after a rank was lost (from the last state that was handed over) and
        after the end of the epoch in which one has joined. It alone uses collectives.

    Notes
    -----
    The plan of an epoch is made for the ranks that there are, from the epoch's start. A rank that joins gets
    the state of rank 0, which is always one that was there before.
    """

    @hvd.elastic.run
    def attempt(shared: Any) -> None:
        def commit(state: TrainingState) -> None:
            if state.step:
                # Other ranks would cut the epoch in other ways: they begin it anew.
                return
            shared.reached = state
            shared.commit()

        try:
            train(Ranks.joined(), shared.reached, commit)
        except LostRankError as error:
            raise HorovodInternalError(str(error)) from error

    attempt(hvd.elastic.ObjectState(bcast_object=hvd.broadcast_object, get_rank=hvd.rank, reached=None))
