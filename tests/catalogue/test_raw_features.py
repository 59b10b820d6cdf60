from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from msd_spark.catalogue.raw_features import COLUMNS, SIZE, arrange, feature_batches, raw_features, standardise


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


def test_features_are_in_the_order_of_the_tracks_and_zero_without_segments() -> None:
    timbre = np.arange(24, dtype=np.float32)
    songs = pa.table([["TRC", "TRA", "TRX"], [timbre, timbre * 2, timbre], [timbre] * 3], names=list(COLUMNS))
    table = pd.concat([batch.to_pandas() for batch in feature_batches(songs.to_batches(1))])
    features, present = arrange(table, np.array(["TRA", "TRB", "TRC"]))
    assert present.tolist() == [True, False, True]
    np.testing.assert_array_equal(features[0], raw_features(timbre * 2, timbre))
    np.testing.assert_array_equal(features[1], np.zeros(SIZE))
    np.testing.assert_array_equal(features[2], raw_features(timbre, timbre))
