"""The 90 features of timbre, against loops and numbers by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from training.comparing.protocols.features import SIZE, timbre_moments


def slow_moments(rows: list[list[float]]) -> list[float]:
    """Return means, then covariances diagonal by diagonal, by loops over Python numbers."""
    n = len(rows)
    means = [sum(row[i] for row in rows) / n for i in range(12)]
    result = list(means)
    for offset in range(12):
        for i in range(12 - offset):
            j = i + offset
            result.append(sum((row[i] - means[i]) * (row[j] - means[j]) for row in rows) / (n - 1))
    return result


@given(st.integers(2, 9).flatmap(lambda n: arrays(np.float64, (n, 12), elements=st.integers(-500, 500))))
def test_features_equal_an_independent_implementation(timbre: np.ndarray) -> None:
    assert timbre_moments(timbre.ravel()) == pytest.approx(slow_moments(timbre.tolist()), abs=1e-8)


def test_features_by_hand() -> None:
    timbre = np.zeros((3, 12))
    timbre[:, 0], timbre[:, 11] = (1, 2, 6), (0, 3, 3)
    moments = timbre_moments(timbre)
    assert len(moments) == SIZE == 90
    # Means 3 and 2; variances (4 + 1 + 9) / 2 and (4 + 1 + 1) / 2; covariance (4 - 1 + 3) / 2, the last number.
    assert {place: moments[place] for place in np.flatnonzero(moments)} == {0: 3, 11: 2, 12: 7, 23: 3, 89: 3}


def test_one_segment_has_no_covariance() -> None:
    with pytest.raises(ValueError, match="2 segments, not 1"):
        timbre_moments(np.zeros(12))
