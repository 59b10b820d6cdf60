"""An Optuna study in an SQLite file: what was tried, what comes next, and when a trial is given up.

The choice of a trial depends on the seed, on how many trials are done and on what came of them, and on nothing else:
the sampler is seeded anew for each. So a search that was killed and goes on tries what an uninterrupted one does. A
trial that was under way when the search was killed is done again, with the same choice.

References
----------
.. [1] T. Akiba et al., "Optuna: a next-generation hyperparameter optimization framework", KDD 2019.
.. [2] J. Bergstra et al., "Algorithms for hyper-parameter optimization", NeurIPS 2011: the tree-structured Parzen
   estimator that chooses.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from msd_spark.core.errors import UserError
from training.data.targets import TARGETS
from training.evaluation.deciding import LESS_IS_BETTER
from training.loop.checkpoints import differences
from training.searching.space import SearchSpace

STAGE = "search"
SEARCHES = "searches"
"""Folder of the warehouse: ``searches/NAME/`` with ``search.json``, ``trials.csv``, ``plots.html``, ``study.db``."""

LOSS = "loss"
"""The validation loss, beside the target's figures."""

TRIALS_BEFORE_PRUNING = 4
EPOCHS_BEFORE_PRUNING = 2
"""A trial is given up when its best figure so far is worse than the median of the others at that epoch."""

DECISIVE = "decisive"
"""The study's note of what its trials have in common."""


@dataclass(frozen=True)
class SearchSettings:
    """What is searched.

    Attributes
    ----------
    name : str
    model : str
    fixed : tuple of str
        Words of ``training/train.py``'s command line that all trials have in common, but for the warehouse.
    space : SearchSpace
    target : str
    figure : str or None
        The validation figure that decides; the target's main one where it is None.
    seed : int
    pruning : bool

    Raises
    ------
    UserError
        When the target has no such figure.
    """

    name: str
    model: str
    fixed: tuple[str, ...]
    space: SearchSpace
    target: str
    figure: str | None = None
    seed: int = 0
    pruning: bool = True

    def __post_init__(self) -> None:
        """Refuse a figure that is none of the target's."""
        known = (*TARGETS[self.target].headline_metrics, LOSS)
        if self.decides not in known:
            raise UserError(f"--figure for {self.target} is one of {', '.join(known)}, not {self.figure}")

    @property
    def decides(self) -> str:
        """The figure that trials are judged by."""
        return self.figure or TARGETS[self.target].main_metrics[0]

    @property
    def minimises(self) -> bool:
        """Whether less of it is better."""
        return self.decides in LESS_IS_BETTER


class Study:
    """A study that this process alone works on.

    Parameters
    ----------
    study : optuna.Study
    settings : SearchSettings
    lock : file, optional
        Held as long as this object lives.
    """

    def __init__(self, study: optuna.Study, settings: SearchSettings, lock: Any = None) -> None:
        self.optuna = study
        self._settings, self._lock = settings, lock

    @classmethod
    def open(cls, path: str, settings: SearchSettings, known: Mapping[str, Any]) -> Study:
        """Begin a study, or go on with it.

        Parameters
        ----------
        path : str
            The SQLite file.
        settings : SearchSettings
        known : mapping
            What decides what comes of a trial; a study that was begun with other things is refused.

        Raises
        ------
        UserError
            When another search works on the study, the file is no study, or it was begun otherwise.
        """
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        lock = open(f"{path}.lock", "w")  # noqa: SIM115  # held until the process ends
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise UserError(f"another search is at work on {path}; wait for it, or name another --name") from None
        pruner: optuna.pruners.BasePruner = optuna.pruners.NopPruner()
        if settings.pruning:
            pruner = optuna.pruners.MedianPruner(TRIALS_BEFORE_PRUNING, EPOCHS_BEFORE_PRUNING)
        try:
            study = optuna.create_study(
                storage=optuna.storages.RDBStorage(f"sqlite:///{Path(path).resolve()}"),
                study_name=settings.name,
                direction="minimize" if settings.minimises else "maximize",
                pruner=pruner,
                load_if_exists=True,
            )
        except Exception as error:  # SQLAlchemy's, alembic's and Optuna's own have no common base
            line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise UserError(f"{path} cannot be opened as a study: {line}") from error
        now = json.loads(json.dumps(known))
        before = study.user_attrs.get(DECISIVE)
        others = differences(before, now) if before is not None else {}
        if others:
            listed = "; ".join(f"{name} was {then}, now {wanted}" for name, (then, wanted) in others.items())
            raise UserError(f"{path} was begun otherwise: {listed}. Name another --name")
        study.set_user_attr(DECISIVE, now)
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING, TrialState.WAITING)):
            study.tell(trial.number, state=TrialState.FAIL)
        return cls(study, settings, lock)

    @property
    def done(self) -> list[FrozenTrial]:
        """The trials that came to an end, in their order; not those that were killed."""
        return self.optuna.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))

    @property
    def best(self) -> FrozenTrial | None:
        """The best of the trials that were trained to their end; of equals, the first."""
        sign = 1 if self._settings.minimises else -1
        # Optuna gives a trial that was given up its last figure for a value.
        complete = [trial for trial in self.done if trial.state == TrialState.COMPLETE]
        return min(complete, key=lambda trial: sign * (trial.value or 0.0), default=None)

    def ask(self) -> tuple[optuna.Trial, dict[str, Any]]:
        """Return the next trial and what it is to try."""
        entropy = np.random.SeedSequence([self._settings.seed, len(self.done)]).generate_state(1)
        self.optuna.sampler = optuna.samplers.TPESampler(seed=int(entropy[0]))
        trial = self.optuna.ask()
        return trial, self._settings.space.suggest(trial, self._settings.model)

    def finish(self, trial: optuna.Trial, value: float | None, why: str | None = None) -> None:
        """Note what came of a trial; without a value it was given up, for the reason `why`."""
        if why:
            trial.set_user_attr("why", why)
        if value is None:
            self.optuna.tell(trial, state=TrialState.PRUNED)
        else:
            self.optuna.tell(trial, value)
