from __future__ import annotations

import numpy as np
import pytest

from msd_spark.core.bootstrap import Bootstrap, percentile_interval


def test_percentile_interval_of_consecutive_numbers() -> None:
    # 0 … 1000: the 2.5th percentile is 25, the 97.5th 975.
    assert percentile_interval(np.arange(1001.0), 0.95) == pytest.approx([25, 975])


def test_mostly_undefined_metric_has_no_interval() -> None:
    assert percentile_interval(np.array([1.0, np.nan, np.nan]), 0.95) is None
    assert percentile_interval(np.array([1.0, 1.0, np.nan]), 0.95) == [1.0, 1.0]


def test_means_are_those_of_the_drawn_rows() -> None:
    values = np.random.default_rng(0).normal(size=(30, 2))
    bootstrap = Bootstrap(resamples=300, seed=4)
    drawn = np.hstack(list(bootstrap.draws(30))).astype(int)
    expected = [values[np.repeat(np.arange(30), counts)].mean(axis=0) for counts in drawn.T]
    np.testing.assert_allclose(bootstrap.means(values), expected)


def test_interval_covers_the_mean_and_narrows_with_units() -> None:
    values = np.random.default_rng(0).random(5000)
    bootstrap = Bootstrap(seed=1)
    few, many = (percentile_interval(bootstrap.means(part[:, None])[:, 0], 0.95) for part in (values[:50], values))
    assert few is not None
    assert many is not None
    assert few[0] < values[:50].mean() < few[1]
    # 1.96 standard errors: sqrt(1/12) / sqrt(5000) = 0.00408.
    assert (many[1] - many[0]) / 2 == pytest.approx(1.96 * values.std() / np.sqrt(5000), rel=0.1)
    assert few[1] - few[0] > 5 * (many[1] - many[0])


@pytest.mark.parametrize(("resamples", "level"), [(1, 0.95), (100, 1.0), (100, 0.0)])
def test_settings_without_an_interval_are_rejected(resamples: int, level: float) -> None:
    with pytest.raises(ValueError, match="give no interval"):
        Bootstrap(resamples, level)
