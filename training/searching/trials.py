"""Trials of a search: trainings on all ranks, evaluated on validation after every epoch."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msd_spark.core.errors import UserError
from training.data.dataset import Dataset
from training.data.targets import target_of
from training.evaluation.deciding import cost_of_epoch
from training.evaluation.judgement import DivergedError
from training.loop.session import build_model, forget_models
from training.loop.state import TrainingState
from training.loop.target_summary import summarise
from training.loop.trainer import Trainer
from training.ranks.ranks import Ranks
from training.searching.options import SearchOptions
from training.searching.space import with_choice
from training.searching.study import Study

if TYPE_CHECKING:
    import optuna


class PrunedError(Exception):
    """The trial is worse than the median of the others at this epoch."""


def run_trials(study: Study | None, dataset: Dataset, options: SearchOptions, ranks: Ranks) -> None:
    """Run trials up to the total number or the timeout.

    The study is None on all ranks but the first.
    """
    started = time.monotonic()
    while True:
        trial: optuna.Trial | None = None
        chosen: dict[str, Any] | None = None
        if study is not None:
            number = len(study.done)
            late = options.timeout is not None and time.monotonic() - started >= options.timeout
            if number < options.trials and not late:
                trial, chosen = study.ask()
                words = " ".join(f"--{name} {value}" for name, value in chosen.items())
                print(f"\n[{number + 1}/{options.trials}] {words}", file=sys.stderr, flush=True)
        chosen = ranks.agree_on(chosen)
        if chosen is None:
            return
        value, reason = run_trial(chosen, dataset, options, ranks, trial)
        forget_models()
        if study is not None and trial is not None:
            study.finish(trial, value, reason)


def run_trial(
    chosen: Mapping[str, Any],
    dataset: Dataset,
    options: SearchOptions,
    ranks: Ranks,
    trial: optuna.Trial | None = None,
) -> tuple[float | None, str | None]:
    """Train with a choice; return the best epoch's metric, or None and the pruning reason.

    On rank 0, `trial` receives the metric of every epoch and decides on pruning.
    """
    training = with_choice(options.training, chosen)
    settings, target = training.training_settings(), target_of(training.target, dataset)
    examples, _, _ = summarise(dataset, target, ranks)
    model = build_model(training, dataset, target, settings.optimizer.dtype_policy, examples)
    trainer = Trainer(model, dataset, target, settings, ranks)

    def report(state: TrainingState) -> None:
        prune = False
        if trial is not None:
            trial.report(_metric(state.history[-1], options), state.epoch)
            prune = trial.should_prune()
        if ranks.agree_on(prune):
            raise PrunedError(f"worse than the median after epoch {state.epoch}")

    try:
        history = trainer.fit(keep=report)
    except (PrunedError, DivergedError) as error:
        return None, str(error)
    best = min(history, key=lambda row: cost_of_epoch(row, target, settings.best_by))
    return _metric(best, options), None


def _metric(row: dict[str, Any], options: SearchOptions) -> float:
    value = row.get(f"validation_{options.decides}")
    if value is None:
        raise UserError(
            f"{options.decides} is undefined on the validation split; choose another --metric, such as loss"
        )
    return float(value)
