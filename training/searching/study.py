"""An Optuna study in an SQLite file: its trials, the next trial, and pruning.

The choice of a trial depends only on the seed and on the number and results of the earlier trials, as the sampler is
seeded for each trial. So an interrupted search tries the same values as an uninterrupted one. A trial that was
interrupted is repeated with the same choice.

References
----------
.. [1] T. Akiba et al., "Optuna: a next-generation hyperparameter optimization framework", KDD 2019.
.. [2] J. Bergstra et al., "Algorithms for hyper-parameter optimization", NeurIPS 2011: the sampler, a
   tree-structured Parzen estimator.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from msd_spark.core.errors import UserError
from msd_spark.core.filesystems import local_path
from training.loop.checkpoints import differences
from training.searching.options import SearchOptions

SEARCHES = "searches"
"""Folder of the warehouse for ``NAME/search.json``, ``trials.csv``, ``plots.html`` and ``study.db``."""

TRIALS_BEFORE_PRUNING = 4
EPOCHS_BEFORE_PRUNING = 2
"""A trial is pruned if its best value so far is worse than the median of the others at the same epoch."""

SETTINGS = "settings"
"""Attribute of the study with the settings that its trials share."""


class Study:
    """A study that no other process uses while this object holds the open `lock` file."""

    def __init__(
        self, study: optuna.Study, options: SearchOptions, settings: Mapping[str, Any], lock: Any = None
    ) -> None:
        self.optuna, self.settings = study, settings
        self._options, self._lock = options, lock

    @classmethod
    def open(cls, path: str, options: SearchOptions, settings: Mapping[str, Any]) -> Study:
        """Start or resume the study in an SQLite file.

        `settings` affect the result of every trial and must not change when the study is resumed.
        """
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        path = local_path(path)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        lock = open(f"{path}.lock", "w")  # noqa: SIM115  # open until the process ends
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise UserError(f"another search uses {path}; wait for it, or choose another --name") from None
        pruner: optuna.pruners.BasePruner = optuna.pruners.NopPruner()
        if options.pruning:
            pruner = optuna.pruners.MedianPruner(TRIALS_BEFORE_PRUNING, EPOCHS_BEFORE_PRUNING)
        try:
            study = optuna.create_study(
                storage=optuna.storages.RDBStorage(f"sqlite:///{Path(path).resolve()}"),
                study_name=options.study_name,
                direction="minimize" if options.sign > 0 else "maximize",
                pruner=pruner,
                load_if_exists=True,
            )
        except Exception as error:  # SQLAlchemy, alembic and Optuna have no common base class of errors
            line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise UserError(f"{path} is not a readable study: {line}; choose another --study") from error
        now = json.loads(json.dumps(settings))
        changes = differences(study.user_attrs.get(SETTINGS, now), now)
        if changes:
            changed = "; ".join(f"{name} was {first}, now {second}" for name, (first, second) in changes.items())
            raise UserError(f"{path} has other settings: {changed}. Choose another --name")
        study.set_user_attr(SETTINGS, now)
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING, TrialState.WAITING)):
            study.tell(trial.number, state=TrialState.FAIL)
        return cls(study, options, now, lock)

    @property
    def done(self) -> list[FrozenTrial]:
        """Completed and pruned trials in order, without interrupted ones."""
        return self.optuna.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))

    @property
    def complete(self) -> list[FrozenTrial]:
        """Completed trials in order.

        Optuna sets the value of a pruned trial to its last intermediate value.
        """
        return [trial for trial in self.done if trial.state == TrialState.COMPLETE]

    @property
    def best(self) -> FrozenTrial | None:
        """The best completed trial, the first if several are equal."""
        return min(self.complete, key=lambda trial: self._options.sign * (trial.value or 0.0), default=None)

    def ask(self) -> tuple[optuna.Trial, dict[str, Any]]:
        """Return the next trial and its choice."""
        training = self._options.training
        entropy = np.random.SeedSequence([training.training.seed, len(self.done)]).generate_state(1)
        self.optuna.sampler = optuna.samplers.TPESampler(seed=int(entropy[0]))
        trial = self.optuna.ask()
        return trial, self._options.space.suggest(trial, training.model.name)

    def finish(self, trial: optuna.Trial, value: float | None, reason: str | None = None) -> None:
        """Record the value of a trial, or the reason for which it was pruned."""
        if reason:
            trial.set_user_attr("reason", reason)
        if value is None:
            self.optuna.tell(trial, state=TrialState.PRUNED)
        else:
            self.optuna.tell(trial, value)
