"""Checkpoints of a run that is under way: ``models/RUN/_unfinished/checkpoints/``, local or in an object store.

``last.npz`` is all of a `training.loop.state.TrainingState`; ``best.keras`` is the model of the best
epoch so far, in Keras's own format. Each is one file that appears whole or not at all, so a
kill at any time leaves the one before. The finished run takes the place of ``models/RUN`` as a
whole, what was unfinished included; until then a finished run that is overwritten stays as it is.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msd_spark.core.errors import UserError
from msd_spark.core.runs import METADATA, RUNS
from msd_spark.core.warehouse import Warehouse
from training.loop.state import TrainingState, from_bytes, to_bytes

if TYPE_CHECKING:
    import keras

UNFINISHED = "_unfinished"
"""Folder in ``models/RUN/`` of what a training writes before it has finished."""

CHECKPOINTS = "checkpoints"
LAST, BEST = "last.npz", "best.keras"


class Checkpoints:
    """The checkpoints of one run.

    Parameters
    ----------
    warehouse : Warehouse
    run : str
    settings : mapping
        What decides how the training goes: model, target, dataset, ranks, options. A checkpoint that
        was written with others is refused.
    """

    def __init__(self, warehouse: Warehouse, run: str, settings: Mapping[str, Any]) -> None:
        self.warehouse = warehouse
        self.run = run
        # As they come back from a file: tuples are lists there.
        self.settings: dict[str, Any] = json.loads(json.dumps(settings))

    @property
    def exist(self) -> bool:
        """Whether the run was begun, and not finished."""
        return self.warehouse.exists(*self._names(LAST))

    def _names(self, *names: str) -> tuple[str, ...]:
        return (RUNS, self.run, UNFINISHED, CHECKPOINTS, *names)

    def check_may_begin(self, *, resume: bool) -> None:
        """Refuse to begin a run anew that is there already, finished or not; and to resume a finished one.

        A run to be resumed that has no checkpoint yet may begin: it was killed before its first one.

        Raises
        ------
        UserError
            With what may be done instead.
        """
        if self.exist and resume:
            return
        if self.warehouse.exists(RUNS, self.run, METADATA):
            what = "is finished: there is nothing to resume" if resume else "is there already"
            raise UserError(f"{RUNS}/{self.run} {what}; name another --run, or say --overwrite")
        if self.exist:
            raise UserError(
                f"{RUNS}/{self.run} was begun and not finished; go on with --run {self.run} --resume, "
                "or begin anew with --overwrite",
            )

    def begin(self, *, resume: bool, overwrite: bool) -> TrainingState | None:
        """Return where a run goes on from; None where it begins anew.

        Raises
        ------
        UserError
            When it may do neither; see `check_may_begin` and `read`.
        """
        if overwrite:
            self.remove()
            return None
        self.check_may_begin(resume=resume)
        return self.read()

    def remove(self) -> None:
        """Remove the checkpoints, so that the run begins anew."""
        self.warehouse.remove(*self._names())

    def write(self, state: TrainingState) -> None:
        """Write a state as the last one.

        Raises
        ------
        UserError
            When it cannot be written.
        """
        self._write(LAST, to_bytes(state, self.settings))

    def write_best(self, model: keras.Model) -> None:
        """Write a model as that of the best epoch so far."""
        with tempfile.TemporaryDirectory() as scratch:
            local = Path(scratch, BEST)
            model.save(local)
            self._write(BEST, local.read_bytes())

    def _write(self, name: str, content: bytes) -> None:
        warehouse, path = self.warehouse, self.warehouse.path(*self._names(name))
        try:
            warehouse.filesystem.create_dir(path.rsplit("/", 1)[0], recursive=True)
            with (
                warehouse.finished_file(path) as unfinished,
                warehouse.filesystem.open_output_stream(unfinished) as sink,
            ):
                sink.write(content)
        except OSError as error:
            raise UserError(f"checkpoint {path} cannot be written: {error}") from error

    def read(self) -> TrainingState | None:
        """Return the last state; None where there is no checkpoint yet.

        Raises
        ------
        UserError
            When the checkpoint is not whole, or was written with other settings.
        """
        if not self.exist:
            return None
        path = self.warehouse.path(*self._names(LAST))
        try:
            with self.warehouse.filesystem.open_input_stream(path) as source:
                state, settings = from_bytes(source.read())
        except (OSError, ValueError) as error:
            raise UserError(f"checkpoint {path} cannot be read ({error}); begin anew with --overwrite") from error
        others = differences(settings, self.settings)
        if others:
            listed = "; ".join(f"{name} was {before}, now {now}" for name, (before, now) in others.items())
            raise UserError(
                f"{RUNS}/{self.run} was begun with other settings: {listed}. Resume it with those that it was begun "
                "with, name another --run, or begin anew with --overwrite",
            )
        return state

    def copy_to(self, staging: str) -> None:
        """Copy the checkpoints into a folder that is about to become the finished run's."""
        filesystem = self.warehouse.filesystem
        folder = self.warehouse.path(*self._names())
        for info in self.warehouse.list_files(folder):
            if info.base_name in (LAST, BEST):
                filesystem.create_dir(f"{staging}/{CHECKPOINTS}", recursive=True)
                filesystem.copy_file(info.path, f"{staging}/{CHECKPOINTS}/{info.base_name}")


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return what differs between two nested mappings, by dotted name; None where one has no such entry.

    Examples
    --------
    >>> differences({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 1, "c": 4}, "e": 5})
    {'a.c': (2, 4), 'd': (3, None), 'e': (None, 5)}
    """
    found: dict[str, tuple[Any, Any]] = {}
    for name in [*before, *(name for name in now if name not in before)]:
        first, second = before.get(name), now.get(name)
        if isinstance(first, Mapping) and isinstance(second, Mapping):
            found |= {f"{name}.{inner}": pair for inner, pair in differences(first, second).items()}
        elif first != second:
            found[name] = (first, second)
    return found
