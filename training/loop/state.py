"""The state of a training between two steps, complete enough to resume with the same result."""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.lib.format import write_array

Arrays = tuple[np.ndarray, ...]

FORMAT = 3
"""Version of the layout that `to_bytes` writes; others are rejected."""

RECORD = "record"
"""Member of the archive with all values that are not arrays, as JSON."""


@dataclass(frozen=True)
class Best:
    """The best epoch so far, counted from 1; 0 before the first epoch.

    `cost` is the result of `training.evaluation.deciding.cost_of_epoch`.
    """

    epoch: int = 0
    cost: float = math.inf
    weights: Arrays = ()

    def after(self, epoch: int, cost: float, weights: Sequence[np.ndarray]) -> Best:
        """Return the better of this epoch and another; the earlier one if they are equal.

        Examples
        --------
        >>> best = Best().after(1, 0.5, []).after(2, 0.7, []).after(3, 0.5, [])
        >>> best.epoch, best.stalled(3, patience=2), best.stalled(3, patience=3), best.stalled(3, patience=0)
        (1, True, False, False)
        """
        return Best(epoch, cost, tuple(weights)) if cost < self.cost else self

    def stalled(self, epochs: int, patience: int) -> bool:
        """Return whether the last `patience` epochs had no improvement; False for 0."""
        return 0 < patience <= epochs - self.epoch


@dataclass(frozen=True)
class TrainingState:
    """The state of a training.

    Attributes
    ----------
    epoch, step : int
        Finished epochs, and finished steps of the next one.
    optimizer : tuple of numpy.ndarray
        Variables of the optimizer: moments, iterations, loss scale.
    draws : tuple of numpy.ndarray
        Random state of each dropout layer, shape ``(ranks, …)``. Reading order and augmentation depend only on the
        seed, the epoch and the track.
    sums : numpy.ndarray
        Shape ``(ranks, 2)``, float64: weighted losses and weights of the finished steps.
    history : list of dict
        One row of metrics per epoch.
    global_batch, streams : int
        Those of the run since its start, see `training.data.plan`; the number of ranks may change.
    """

    epoch: int
    step: int
    weights: Arrays
    optimizer: Arrays
    draws: Arrays
    sums: np.ndarray
    history: list[dict[str, Any]] = field(default_factory=list)
    best: Best = field(default_factory=Best)
    global_batch: int = 1
    streams: int = 1

    @property
    def ranks(self) -> int:
        """The number of ranks that reached this state."""
        return len(self.sums)

    def sums_of(self, rank: int, ranks: int) -> np.ndarray:
        """Return a rank's part of `sums`; on another number of ranks, rank 0 has all.

        Examples
        --------
        >>> state = TrainingState(0, 7, (), (), (), np.array([[1.0, 2.0], [3.0, 4.0]]))
        >>> [state.sums_of(rank, 3).tolist() for rank in range(3)], state.sums_of(1, 2).tolist()
        ([[4.0, 6.0], [0.0, 0.0], [0.0, 0.0]], [3.0, 4.0])
        """
        if ranks == self.ranks:
            return self.sums[rank]
        return self.sums.sum(axis=0) * (rank == 0)

    def ended(self, epochs: int, patience: int) -> bool:
        """Return whether a training of at most `epochs` epochs ends here."""
        return self.epoch >= epochs or self.best.stalled(self.epoch, patience)

    @property
    def place(self) -> str:
        """The epoch and step as text."""
        return f"epoch {self.epoch}" if not self.step else f"epoch {self.epoch + 1}, step {self.step}"


def to_bytes(state: TrainingState, settings: Mapping[str, Any]) -> bytes:
    """Return a state and its training settings as an uncompressed ``.npz`` without pickles."""
    lists = {"weights": state.weights, "optimizer": state.optimizer, "draws": state.draws, "best": state.best.weights}
    arrays = {f"{name}/{number:04d}": array for name, group in lists.items() for number, array in enumerate(group)}
    record = {
        "format": FORMAT,
        "settings": settings,
        "epoch": state.epoch,
        "step": state.step,
        "history": state.history,
        "global_batch": state.global_batch,
        "streams": state.streams,
        "best_epoch": state.best.epoch,
        "best_cost": state.best.cost if math.isfinite(state.best.cost) else None,
    }
    text = json.dumps(record, allow_nan=False).encode()
    sink = io.BytesIO()
    members = {RECORD: np.frombuffer(text, np.uint8), "sums": state.sums, **arrays}
    with zipfile.ZipFile(sink, "w") as archive:  # numpy.savez would write an array of objects as a pickle
        for name, array in members.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                write_array(member, np.asanyarray(array), allow_pickle=False)  # type: ignore[no-untyped-call]
    return sink.getvalue()


def from_bytes(content: bytes) -> tuple[TrainingState, dict[str, Any]]:
    """Return the state and settings from the result of `to_bytes`; pickles are never read.

    A damaged archive or another format raises `ValueError`.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            members = {name: archive[name] for name in archive.files}
        record = json.loads(members.pop(RECORD).tobytes())
        if record["format"] != FORMAT:
            raise ValueError(f"its format is {record['format']}, not {FORMAT}")

        def arrays(name: str) -> Arrays:
            return tuple(members[key] for key in sorted(members) if key.startswith(f"{name}/"))

        cost = record["best_cost"]
        best = Best(record["best_epoch"], math.inf if cost is None else cost, arrays("best"))
        state = TrainingState(
            record["epoch"],
            record["step"],
            arrays("weights"),
            arrays("optimizer"),
            arrays("draws"),
            members["sums"],
            record["history"],
            best,
            record["global_batch"],
            record["streams"],
        )
    except (KeyError, TypeError, AttributeError, EOFError, OSError, zipfile.BadZipFile, RuntimeError) as error:
        raise ValueError(f"damaged checkpoint: {error}") from error
    return state, record["settings"]
