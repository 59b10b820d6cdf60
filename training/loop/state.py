"""Where a training stands between two steps: all that is needed to go on as if it had never stopped. No engine here."""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Arrays = tuple[np.ndarray, ...]

FORMAT = 1
"""Number of the layout that `to_bytes` writes; another one is not read."""

RECORD = "record"
"""Member of the archive that holds what is no array, as JSON."""


@dataclass(frozen=True)
class Best:
    """The best epoch so far, the one whose weights a training ends with.

    Attributes
    ----------
    epoch : int
        Counted from 1; 0 before the first one.
    figure : float
        What the epoch was judged by; less is better.
    weights : tuple of numpy.ndarray
    """

    epoch: int = 0
    figure: float = math.inf
    weights: Arrays = ()

    def after(self, epoch: int, figure: float, weights: Sequence[np.ndarray]) -> Best:
        """Return the best once another epoch is judged; of equals, the earlier one stays.

        Examples
        --------
        >>> best = Best().after(1, 0.5, []).after(2, 0.7, []).after(3, 0.5, [])
        >>> best.epoch, best.stalled(3, patience=2), best.stalled(3, patience=3), best.stalled(3, patience=0)
        (1, True, False, False)
        """
        return Best(epoch, figure, tuple(weights)) if figure < self.figure else self

    def stalled(self, epochs: int, patience: int) -> bool:
        """Whether `patience` epochs went by without a better one; a patience of 0 waits for ever."""
        return 0 < patience <= epochs - self.epoch


@dataclass(frozen=True)
class TrainingState:
    """Where a training stands.

    Attributes
    ----------
    epoch : int
        Epochs that are done.
    step : int
        Steps that are done of the next epoch.
    weights : tuple of numpy.ndarray
        The model's, the same on every rank.
    optimizer : tuple of numpy.ndarray
        The optimizer's variables: moments, iterations, loss scale.
    draws : tuple of numpy.ndarray
        State of each layer that draws numbers (dropout), shape ``(ranks, …)``: every rank draws others.
        Reading order and augmentation have no state: the seed, the epoch and the track decide them.
    sums : numpy.ndarray
        Shape ``(ranks, 2)``, float64: weighted losses and weights of the steps that are done.
    history : list of dict
        A row of figures an epoch.
    best : Best
    """

    epoch: int
    step: int
    weights: Arrays
    optimizer: Arrays
    draws: Arrays
    sums: np.ndarray
    history: list[dict[str, Any]] = field(default_factory=list)
    best: Best = field(default_factory=Best)

    @property
    def place(self) -> str:
        """Where that is, for people."""
        return f"epoch {self.epoch}" if not self.step else f"epoch {self.epoch + 1}, step {self.step}"


def to_bytes(state: TrainingState, settings: Mapping[str, Any]) -> bytes:
    """Return a state and the settings that it was reached with, as an uncompressed ``.npz`` archive without pickles."""
    lists = {"weights": state.weights, "optimizer": state.optimizer, "draws": state.draws, "best": state.best.weights}
    arrays = {f"{name}/{number:04d}": array for name, held in lists.items() for number, array in enumerate(held)}
    record = {
        "format": FORMAT,
        "settings": settings,
        "epoch": state.epoch,
        "step": state.step,
        "history": state.history,
        "best_epoch": state.best.epoch,
        "best_figure": state.best.figure if math.isfinite(state.best.figure) else None,
    }
    text = json.dumps(record, allow_nan=False).encode()
    sink = io.BytesIO()
    np.savez(sink, allow_pickle=False, **{RECORD: np.frombuffer(text, np.uint8), "sums": state.sums, **arrays})
    return sink.getvalue()


def from_bytes(content: bytes) -> tuple[TrainingState, dict[str, Any]]:
    """Return what `to_bytes` was given.

    Raises
    ------
    ValueError
        When that is no such archive, or not a whole one; pickles are never read.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            members = {name: archive[name] for name in archive.files}
        record = json.loads(members.pop(RECORD).tobytes())
        if record["format"] != FORMAT:
            raise ValueError(f"its format is {record['format']}, not {FORMAT}")

        def held(name: str) -> Arrays:
            return tuple(members[key] for key in sorted(members) if key.startswith(f"{name}/"))

        figure = record["best_figure"]
        best = Best(record["best_epoch"], math.inf if figure is None else figure, held("best"))
        state = TrainingState(
            record["epoch"],
            record["step"],
            held("weights"),
            held("optimizer"),
            held("draws"),
            members["sums"],
            record["history"],
            best,
        )
    except (KeyError, TypeError, AttributeError, EOFError, OSError, zipfile.BadZipFile, NotImplementedError) as error:
        raise ValueError(f"no whole checkpoint: {error}") from error
    return state, record["settings"]
