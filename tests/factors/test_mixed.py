"""Reciprocal-rank fusion: a case by hand, and properties of any lists."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from msd_spark.factors.mixed import OFFSET, fuse

LISTS = st.lists(st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=6), min_size=1, max_size=3)


def items(lists: list[list[str]], k: int = 100) -> list[str]:
    return [item for item, _ in fuse(lists, k)]


def test_a_case_by_hand() -> None:
    # a 1/61 + 1/63, b 1/62 + 1/61, c 1/63, d 1/62; so b, a, d, c.
    assert fuse(["abc", "bda"], 10) == [("b", (2, 1)), ("a", (1, 3)), ("d", (None, 2)), ("c", (3, None))]
    # Two low places outweigh one high place: c 2/62 against a and b 1/61.
    assert items([["a", "c"], ["b", "c"]]) == ["c", "a", "b"]


def test_of_equal_sums_the_better_place_and_then_the_earlier_list_comes_first() -> None:
    assert items([["a", "b"], ["c", "d"]]) == ["a", "c", "b", "d"]
    assert items([[], ["a"], ["b"]]) == ["a", "b"]
    assert items([[]]) == []


@given(LISTS)
def test_every_item_occurs_once_in_the_order_of_exact_sums(lists: list[list[str]]) -> None:
    merged = items(lists)
    assert sorted(merged) == sorted({item for items_of_list in lists for item in items_of_list})

    def exact(item: str) -> Fraction:
        return sum(
            (Fraction(1, OFFSET + items_of_list.index(item) + 1) for items_of_list in lists if item in items_of_list),
            Fraction(0),
        )

    sums = [exact(item) for item in merged]
    assert all(first >= second or float(first) == float(second) for first, second in pairwise(sums))


@given(LISTS, st.integers(0, 5))
def test_a_shorter_result_is_the_start_of_a_longer_and_one_list_stays_unchanged(lists: list[list[str]], k: int) -> None:
    assert items(lists, k) == items(lists)[:k]
    assert items(lists[:1]) == lists[0]
    assert items([lists[0], lists[0]]) == lists[0]
