"""Search the hyperparameters of ALS by NDCG@100 on validation users."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import optuna

from msd_spark.factors.settings import AlsParameters

RANKS = (16, 32, 64, 128)
ALPHA, EPSILON, REGULARISATION = (0.1, 100.0), (0.01, 10.0), (0.003, 10.0)
SEARCHED_BY = "ndcg@100"


def search(
    start: AlsParameters, n_trials: int, seed: int, value_of: Callable[[AlsParameters], float]
) -> tuple[AlsParameters, list[dict[str, Any]]]:
    """Return the best of several settings, and all trials.

    The first trial is `start`; the others are drawn by optuna's seeded tree-structured Parzen estimator (Bergstra et
    al. 2011). Iterations are not searched. Of equal values the first is the best.
    """
    trials: list[dict[str, Any]] = []

    def objective(trial: optuna.Trial) -> float:
        def log_uniform(name: str, bounds: tuple[float, float]) -> float:
            first = getattr(start, name)
            return trial.suggest_float(name, min(bounds[0], first), max(bounds[1], first), log=True)

        parameters = AlsParameters(
            rank=int(trial.suggest_categorical("rank", sorted({*RANKS, start.rank}))),
            alpha=log_uniform("alpha", ALPHA),
            epsilon=log_uniform("epsilon", EPSILON),
            regularisation=log_uniform("regularisation", REGULARISATION),
            iterations=start.iterations,
        )
        value = value_of(parameters)
        trials.append({**asdict(parameters), SEARCHED_BY: value})
        return value

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    study.enqueue_trial({name: value for name, value in asdict(start).items() if name != "iterations"})
    study.optimize(objective, n_trials=n_trials)
    best = max(trials, key=lambda trial: trial[SEARCHED_BY])
    return AlsParameters(**{name: value for name, value in best.items() if name != SEARCHED_BY}), trials
