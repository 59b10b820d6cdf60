from __future__ import annotations

import numpy as np

from msd_spark.factors.search import search
from msd_spark.factors.settings import AlsParameters


def test_search_starts_at_the_given_parameters_and_returns_the_best() -> None:
    def value_of(parameters: AlsParameters) -> float:
        return -abs(np.log(parameters.alpha)) - abs(parameters.rank - 32)

    start = AlsParameters(rank=24, alpha=50.0, iterations=3)
    best, tried = search(start, 12, 1, value_of)
    assert {name: tried[0][name] for name in ("rank", "alpha", "iterations")} == {
        "rank": 24,
        "alpha": 50.0,
        "iterations": 3,
    }
    assert len(tried) == 12
    assert value_of(best) == max(one["ndcg@100"] for one in tried) > value_of(start)
    assert search(start, 12, 1, value_of) == (best, tried)
