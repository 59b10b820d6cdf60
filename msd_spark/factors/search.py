"""Search the parameters of ALS by NDCG@100 on validation users, of whom the test sees nothing."""

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
    start: AlsParameters, trials: int, seed: int, value_of: Callable[[AlsParameters], float]
) -> tuple[AlsParameters, list[dict[str, Any]]]:
    """Try settings and return the best, with all that were tried.

    The first trial is `start`; the others are drawn by a tree-structured Parzen estimator (Bergstra et al. 2011,
    optuna's), seeded: the same values give the same trials. Iterations stay as they are. Of equal values the first is
    the best.

    Parameters
    ----------
    start : AlsParameters
    trials : int
        At least 1.
    seed : int
    value_of : callable
        From parameters to NDCG@100 on validation users.
    """
    tried: list[dict[str, Any]] = []

    def objective(trial: optuna.Trial) -> float:
        parameters = AlsParameters(
            rank=int(trial.suggest_categorical("rank", sorted({*RANKS, start.rank}))),
            alpha=trial.suggest_float("alpha", *_around(ALPHA, start.alpha), log=True),
            epsilon=trial.suggest_float("epsilon", *_around(EPSILON, start.epsilon), log=True),
            regularisation=trial.suggest_float(
                "regularisation", *_around(REGULARISATION, start.regularisation), log=True
            ),
            iterations=start.iterations,
        )
        value = value_of(parameters)
        tried.append({**asdict(parameters), SEARCHED_BY: value})
        return value

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    study.enqueue_trial({name: value for name, value in asdict(start).items() if name != "iterations"})
    study.optimize(objective, n_trials=trials)
    best = max(tried, key=lambda one: one[SEARCHED_BY])
    return AlsParameters(**{name: value for name, value in best.items() if name != SEARCHED_BY}), tried


def _around(bounds: tuple[float, float], value: float) -> tuple[float, float]:
    return min(bounds[0], value), max(bounds[1], value)
