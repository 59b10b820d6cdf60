from __future__ import annotations

import numpy as np

from msd_spark.catalogue.raw_features import SIZE, raw_features, standardise


def test_raw_features_are_means_and_standard_deviations() -> None:
    timbre = np.vstack([np.arange(12), np.arange(12) + 2]).astype(np.float32)
    pitches = np.vstack([np.zeros(12), np.ones(12)]).astype(np.float32)
    found = raw_features(timbre.ravel(), pitches.ravel())
    assert found.shape == (SIZE,)
    np.testing.assert_array_equal(found[:12], np.arange(12) + 1)
    np.testing.assert_array_equal(found[12:24], np.ones(12))
    np.testing.assert_array_equal(found[24:], np.full(24, 0.5))
    plain = standardise(np.array([[1, 5], [3, 5]], np.float32))
    np.testing.assert_array_equal(plain, [[-1, 0], [1, 0]])
