from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from msd_spark.lyrics.bags import Bags
from tests.support.lyric_samples import bag, bags, track

CONTENTS = st.lists(st.dictionaries(st.integers(1, 9), st.integers(1, 2**31 - 1), max_size=6), max_size=8)


def contents(packed: Bags) -> list[tuple[bytes, dict[int, int]]]:
    parts = zip(packed.track_ids.tolist(), packed.offsets[:-1], packed.offsets[1:], strict=True)
    return [
        (name, dict(zip(packed.indices[start:end].tolist(), packed.counts[start:end].tolist(), strict=True)))
        for name, start, end in parts
    ]


@given(CONTENTS)
def test_packed_bags_can_be_unpacked(words: list[dict[int, int]]) -> None:
    packed = bags(*words)
    assert contents(packed) == [(track(number).encode(), item) for number, item in enumerate(words)]
    assert packed.indices.dtype == packed.counts.dtype == np.int32
    assert packed.offsets.dtype == np.int64


@given(CONTENTS, st.integers(0, 8), st.integers(0, 8))
def test_concatenated_parts_equal_the_whole(words: list[dict[int, int]], one: int, other: int) -> None:
    first, second = sorted((one, other))
    items = [bag(item, track(number)) for number, item in enumerate(words)]
    parts = [Bags.of(items[:first]), Bags.of(items[first:second]), Bags.of(items[second:])]
    assert contents(Bags.concatenate(parts)) == contents(Bags.of(items))


@given(CONTENTS, st.sets(st.integers(0, 7)))
def test_without_removes_only_the_given_bags(words: list[dict[int, int]], out: set[int]) -> None:
    places = sorted(place for place in out if place < len(words))
    whole = contents(bags(*words))
    remaining = bags(*words).without(places)
    assert contents(remaining) == [item for place, item in enumerate(whole) if place not in places]


def test_the_matrix_has_one_row_per_bag_and_one_column_per_word() -> None:
    packed = bags({3: 2, 1: 7}, {}, {2: 1})
    assert packed.matrix(4).toarray().tolist() == [[7, 0, 2, 0], [0, 0, 0, 0], [0, 1, 0, 0]]
