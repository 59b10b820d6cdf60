"""Checkpoints of an unfinished run, in ``models/RUN/_unfinished/checkpoints/``.

``last.npz`` is a `training.loop.state.TrainingState`, replaced atomically. The finished run replaces the folder
``models/RUN``; until then a run of that name that is being overwritten stays as it is, with the file `STARTED`. A
finished run can have kept its last state, from which it can be trained for more epochs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from msd_spark.core.errors import UserError
from msd_spark.core.runs import METADATA, RUNS, run_file
from msd_spark.core.warehouse import Warehouse
from training.loop.state import TrainingState, from_bytes, to_bytes

UNFINISHED = "_unfinished"
"""Folder in ``models/RUN/`` of the files of an unfinished training."""

CHECKPOINTS = "checkpoints"
LAST = "last.npz"

STARTED = "started"
"""Empty file in `UNFINISHED`, from the start to the end of a training with ``--overwrite``."""


class Checkpoints:
    """The checkpoints of one run.

    `settings` are all that affect the result of a step; a checkpoint with other settings is rejected.
    """

    def __init__(self, warehouse: Warehouse, run: str, settings: Mapping[str, Any]) -> None:
        self.warehouse = warehouse
        self.run = run
        # In JSON tuples become lists.
        self.settings: dict[str, Any] = json.loads(json.dumps(settings))

    @property
    def exist(self) -> bool:
        """Whether there is a checkpoint of an unfinished run."""
        return self.warehouse.exists(*self._names(LAST))

    @property
    def is_being_overwritten(self) -> bool:
        """Whether a training with ``--overwrite`` has started and not finished."""
        return self.warehouse.exists(RUNS, self.run, UNFINISHED, STARTED)

    def _names(self, *names: str) -> tuple[str, ...]:
        return (RUNS, self.run, UNFINISHED, CHECKPOINTS, *names)

    def _last(self) -> tuple[str, ...] | None:
        """Return the place of the last state of an unfinished or finished run, if there is one."""
        place = self._names(LAST)
        if not self.exist and not self.is_being_overwritten and self.warehouse.exists(RUNS, self.run, METADATA):
            place = run_file(self.warehouse, self.run, CHECKPOINTS, LAST)
        return place if self.warehouse.exists(*place) else None

    def check_may_begin(self, *, resume: bool) -> None:
        """Check that the run does not exist, or, to resume a finished one, that its last state does."""
        if resume and (self.is_being_overwritten or self._last()):
            return
        if self.warehouse.exists(RUNS, self.run, METADATA):
            state = "is finished, without the last state (--keep-checkpoints)" if resume else "exists already"
            raise UserError(f"{RUNS}/{self.run} {state}; choose another --run, or add --overwrite")
        if self.exist:
            raise UserError(
                f"{RUNS}/{self.run} is unfinished; add --resume to the same command, or start over with --overwrite"
            )

    def begin(self, *, resume: bool, overwrite: bool) -> TrainingState | None:
        """Return the state to resume from, or None to start."""
        if overwrite:
            self.start_over()
            return None
        self.check_may_begin(resume=resume)
        return self.read()

    def start_over(self) -> None:
        """Remove the checkpoints, and mark the run as being overwritten."""
        self.remove()
        self.warehouse.write_file(b"", RUNS, self.run, UNFINISHED, STARTED)

    def remove(self) -> None:
        """Remove the checkpoints."""
        self.warehouse.remove(*self._names())

    def write(self, state: TrainingState) -> None:
        """Write a state as the last checkpoint."""
        try:
            self.warehouse.write_file(to_bytes(state, self.settings), *self._names(LAST))
        except OSError as error:
            raise UserError(
                f"checkpoint {self.warehouse.path(*self._names(LAST))} cannot be written: {error}"
            ) from error

    def read(self) -> TrainingState | None:
        """Return the last state, which must have the same settings; None without a checkpoint."""
        place = self._last()
        if place is None:
            return None
        path = self.warehouse.path(*place)
        try:
            with self.warehouse.filesystem.open_input_stream(path) as source:
                state, settings = from_bytes(source.read())
        except (OSError, ValueError) as error:
            raise UserError(f"checkpoint {path} cannot be read ({error}); start over with --overwrite") from error
        others = differences(settings, self.settings)
        if others:
            listed = "; ".join(f"{name} was {before}, now {now}" for name, (before, now) in others.items())
            raise UserError(
                f"{RUNS}/{self.run} was started with other settings: {listed}. Resume it with the former settings, "
                "choose another --run, or start over with --overwrite"
            )
        return state

    def copy_to(self, folder: str) -> None:
        """Copy the last checkpoint to the folder of the finished run."""
        if self.exist:
            folder = f"{folder}/{CHECKPOINTS}"
            self.warehouse.make_folder(folder)
            self.warehouse.filesystem.copy_file(self.warehouse.path(*self._names(LAST)), f"{folder}/{LAST}")


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the values that differ between two nested mappings, by dotted name.

    A missing entry is None.

    Examples
    --------
    >>> differences({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 1, "c": 4}, "e": 5})
    {'a.c': (2, 4), 'd': (3, None), 'e': (None, 5)}
    """
    pairs: dict[str, tuple[Any, Any]] = {}
    for name in [*before, *(name for name in now if name not in before)]:
        first, second = before.get(name), now.get(name)
        if isinstance(first, Mapping) and isinstance(second, Mapping):
            pairs |= {f"{name}.{inner}": pair for inner, pair in differences(first, second).items()}
        elif first != second:
            pairs[name] = (first, second)
    return pairs
