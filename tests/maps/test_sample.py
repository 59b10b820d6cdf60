from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from msd_spark.maps.sample import FEWEST_OF_A_STRATUM, shares, stratified_sample


def test_rare_genre_has_more_than_its_share() -> None:
    # First 10, 10 and 5; the other 75 by 990 to 80: 69.39 and 5.61, the last one to the larger remainder.
    assert shares(np.array([1000, 90, 5]), 100).tolist() == [79, 16, 5]
    # Fewer songs than ten per stratum: equal parts, and two more for the largest.
    assert shares(np.array([50, 50, 100]), 8).sum() == 8


@given(st.lists(st.integers(1, 400), min_size=1, max_size=12), st.data())
def test_shares_add_up_and_fit_the_strata(counts: list[int], data: st.DataObject) -> None:
    size = data.draw(st.integers(0, sum(counts)))
    drawn = shares(np.array(counts), size)
    assert drawn.sum() == size
    assert (drawn <= counts).all()
    assert (drawn >= np.minimum(counts, min(FEWEST_OF_A_STRATUM, size // len(counts)))).all()


@given(st.lists(st.sampled_from(["Rap", "Jazz", ""]), min_size=1, max_size=60), st.integers(1, 70), st.integers(0, 3))
def test_sample_is_sorted_distinct_and_has_the_shares(strata: list[str], size: int, seed: int) -> None:
    names = np.array(strata)
    rows = stratified_sample(names, size, seed)
    assert len(rows) == min(size, len(strata))
    assert (np.diff(rows) > 0).all()
    np.testing.assert_array_equal(rows, stratified_sample(names, size, seed))
    if size < len(strata):
        genres, counts = np.unique(names, return_counts=True)
        assert [int((names[rows] == name).sum()) for name in genres] == shares(counts, size).tolist()
