from __future__ import annotations

from functools import reduce
from operator import add

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from msd_spark.core.moments import SMALLEST_DEVIATION, Moments

matrices = st.tuples(st.integers(1, 40), st.integers(1, 4)).flatmap(
    lambda shape: arrays(np.float32, shape, elements=st.floats(-500, 500, width=32))
)


def test_mean_and_deviation_of_three_rows() -> None:
    # Column 0: (1 + 2 + 6) / 3 = 3; squares (1 + 4 + 36) / 3 - 9 = 14/3. Column 1 never changes: deviation 1.
    mean, deviation = Moments.of(np.array([[1, 7], [2, 7], [6, 7]], np.float32)).mean_and_deviation()
    assert mean.tolist() == [3, 7]
    assert deviation.tolist() == [pytest.approx((14 / 3) ** 0.5), 1]


def test_no_rows_leave_features_alone() -> None:
    mean, deviation = Moments.none(2).mean_and_deviation()
    assert (mean.tolist(), deviation.tolist()) == ([0, 0], [1, 1])
    nothing = Moments.of(np.empty((0, 2), np.float32))
    assert nothing.mean_and_deviation()[1].tolist() == [1, 1]


@given(matrices, st.lists(st.integers(0, 40), max_size=5))
def test_parts_add_up_to_the_whole(rows: np.ndarray, cuts: list[int]) -> None:
    parts = np.split(rows, sorted(min(cut, len(rows)) for cut in cuts))
    together = reduce(add, map(Moments.of, parts), Moments.none(rows.shape[1]))
    mean, deviation = together.mean_and_deviation()
    wide = rows.astype(np.float64)
    assert together.count == len(rows)
    assert mean == pytest.approx(wide.mean(axis=0), rel=1e-9, abs=1e-9)
    spread = wide.std(axis=0)
    # Below 1e-3 a difference of squares of numbers up to 500 is at the limit of float64.
    assert deviation[spread > 1e-3] == pytest.approx(spread[spread > 1e-3], rel=1e-3)
    assert (deviation >= SMALLEST_DEVIATION).all()


@given(st.integers(-500, 500), st.integers(1, 3000), st.integers(1, 20))
def test_a_feature_that_never_changes_is_left_alone(value: int, n_rows: int, n_parts: int) -> None:
    rows = np.full((n_rows, 1), value, np.float32)
    moments = reduce(add, map(Moments.of, np.array_split(rows, n_parts)))
    assert moments.mean_and_deviation()[1].tolist() == [1.0]


def test_a_fractional_feature_that_never_changes_is_left_alone() -> None:
    moments = Moments.of(np.full((387, 1), 147.56967163085938, np.float32))
    assert moments.mean_and_deviation()[1].tolist() == [1.0]


def test_float32_rows_are_added_in_float64() -> None:
    # 2^24 + 1 is no float32: a sum kept in float32 would stay at 16,777,216, and the mean at 4,194,304.
    moments = Moments.of(np.array([[2**24], [1], [1], [2]], np.float32))
    assert moments.mean.tolist() == [2**22 + 1]
    # Deviations from the mean m = 2^22 + 1: 3·2^22 - 1, twice -2^22 and once -2^22 + 1.
    assert moments.squares.tolist() == [(3 * 2**22 - 1) ** 2 + 2 * 2**44 + (2**22 - 1) ** 2]
