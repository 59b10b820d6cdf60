from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msd_spark.core.schemas import SPLITS
from msd_spark.dataset.funnel import Funnel, genre_table


def test_a_funnel_by_hand() -> None:
    funnel = Funnel(pd.Series(["Rap", "Rap", "Jazz", None, "Jazz"], dtype=object))
    funnel.note("with lyrics", np.array([1, 0, 1, 1, 0], bool), required=False)
    funnel.note("labelled", np.array([1, 1, 1, 0, 1], bool), required=True)
    funnel.note("listens", np.array([1, 0, 0, 1, 1], bool), required=True)
    funnel.close(pd.Series(["train", None, None, None, "test"]))
    assert [(step.name, step.tracks, step.left_out, step.by_genre) for step in funnel.steps] == [
        ("songs", 5, 0, {"Jazz": 2, "Rap": 2}),
        ("with lyrics", 3, 0, {"Jazz": 1, "Rap": 1}),
        ("labelled", 4, 1, {"Jazz": 2, "Rap": 2}),
        ("listens", 2, 2, {"Jazz": 1, "Rap": 1}),
        ("examples", 2, 0, {"Jazz": 1, "Rap": 1}),
        ("train", 1, 0, {"Rap": 1}),
        ("validation", 0, 0, {}),
        ("test", 1, 0, {"Jazz": 1}),
    ]
    assert ["listens", "2", "2"] in [line.split() for line in funnel.table().splitlines()]
    assert genre_table(funnel.steps, {"Rap": {"train": 9, "validation": 0, "test": 0}}).splitlines()[3].split()[
        -3:
    ] == [
        "9",
        "0",
        "0",
    ]


@pytest.mark.parametrize("splits", [["train", None], ["train", "nowhere"]])
def test_a_song_in_no_split_is_an_error(splits: list[str | None]) -> None:
    funnel = Funnel(pd.Series([None, "Rap"], dtype=object))
    with pytest.raises(ValueError, match="2 songs less 0 left out, 2 examples and 1 in the splits do not add up"):
        funnel.close(pd.Series(splits, dtype=object))


@given(st.data(), st.integers(0, 40))
def test_the_funnel_adds_up(data: st.DataObject, n: int) -> None:
    genres = pd.Series(
        data.draw(st.lists(st.sampled_from(["Rap", "Jazz", None]), min_size=n, max_size=n)), dtype=object
    )
    steps = data.draw(st.lists(st.tuples(st.lists(st.booleans(), min_size=n, max_size=n), st.booleans()), max_size=5))
    splits = pd.Series(data.draw(st.lists(st.sampled_from(SPLITS), min_size=n, max_size=n)), dtype=object)
    funnel = Funnel(genres)
    left = set(range(n))
    for number, (has, required) in enumerate(steps):
        funnel.note(f"step {number}", np.array(has, bool), required=required)
        inside = {song for song in left if has[song]}
        step = funnel.steps[-1]
        assert step.tracks == len(inside)
        assert step.left_out == (len(left) - len(inside) if required else 0)
        assert step.by_genre == {
            genre: count for genre in ("Jazz", "Rap") if (count := sum(genres[song] == genre for song in inside))
        }
        left = inside if required else left
    funnel.close(splits)
    assert {split: funnel.counts()[split] for split in SPLITS} == {
        split: sum(splits[song] == split for song in left) for split in SPLITS
    }
    assert n == len(left) + sum(step.left_out for step in funnel.steps)
