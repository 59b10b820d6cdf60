"""Trials of a search: each a training in this process, on all ranks, judged on validation after every epoch."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from msd_spark.core.errors import UserError
from training.data.dataset import Dataset
from training.data.targets import target_of
from training.evaluation.deciding import cost_of_epoch
from training.evaluation.divergence import DivergedError
from training.loop.session import build_model, forget_models, parsed
from training.loop.state import TrainingState
from training.loop.trainer import Trainer
from training.ranks.ranks import Ranks
from training.searching.space import option_words
from training.searching.study import SearchSettings, Study

if TYPE_CHECKING:
    import optuna


class GivenUpError(Exception):
    """The trial is worse than the others were at this epoch."""


def run_trials(
    study: Study | None,
    dataset: Dataset,
    settings: SearchSettings,
    ranks: Ranks,
    trials: int,
    timeout: float | None = None,
) -> None:
    """Run trials until there are enough of them.

    Parameters
    ----------
    study : Study or None
        On rank 0; the others have none.
    dataset : Dataset
    settings : SearchSettings
    ranks : Ranks
    trials : int
        In all, those of earlier calls included.
    timeout : float, optional
        Seconds after which no trial begins.
    """
    started = time.monotonic()
    while True:
        trial: optuna.Trial | None = None
        chosen: dict[str, Any] | None = None
        if study is not None:
            number, late = len(study.done), timeout is not None and time.monotonic() - started >= timeout
            if number < trials and not late:
                trial, chosen = study.ask()
                words = shlex.join(option_words(chosen))
                print(f"\n[{number + 1}/{trials}] {words}", file=sys.stderr, flush=True)
        chosen = ranks.agree_on(chosen)
        if chosen is None:
            return
        value, why = run_trial(option_words(chosen), dataset, settings, ranks, trial)
        forget_models()
        if study is not None and trial is not None:
            study.finish(trial, value, why)


def run_trial(
    words: Sequence[str],
    dataset: Dataset,
    settings: SearchSettings,
    ranks: Ranks,
    trial: optuna.Trial | None = None,
) -> tuple[float | None, str | None]:
    """Train as ``training/train.py`` would with these words, and return the figure of the epoch that it would keep.

    Parameters
    ----------
    words : sequence of str
    dataset : Dataset
    settings : SearchSettings
    ranks : Ranks
    trial : optuna.Trial, optional
        On rank 0: is told the figure of every epoch, and says when to give up.

    Returns
    -------
    tuple
        The figure at that epoch; None where the trial was given up, and then why.
    """
    options = parsed([*settings.fixed, *words])
    how, target = options.training_settings(), target_of(options.target, dataset)
    model = build_model(options, dataset, target, how.optimizer.dtype_policy)
    trainer = Trainer(model, dataset, target, how, ranks)

    def watch(state: TrainingState) -> None:
        give_up = False
        if trial is not None:
            trial.report(_figure(state.history[-1], settings), state.epoch)
            give_up = trial.should_prune()
        if ranks.agree_on(give_up):
            raise GivenUpError(f"worse than the median after epoch {state.epoch}")

    try:
        history = trainer.fit(keep=watch)
    except (GivenUpError, DivergedError) as error:
        return None, getattr(error, "message", None) or str(error)
    kept = min(history, key=lambda row: cost_of_epoch(row, target, how.best_by))
    return _figure(kept, settings), None


def _figure(row: dict[str, Any], settings: SearchSettings) -> float:
    value = row.get(f"validation_{settings.decides}")
    if value is None:
        raise UserError(
            f"{settings.decides} is not defined on the validation split; choose another --figure, loss for example",
        )
    return float(value)
