from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msd_spark.labels.label_sets import PRECEDENCE, UNION_GENRES, remove_rare, union_genre, unite

Rows = list[tuple[str, str, str | None]]


def frame(rows: Rows) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["track_id", "genre", "minority_genre"], dtype=object)


def rows(labels: pd.DataFrame) -> Rows:
    return list(labels[["track_id", "genre", "minority_genre"]].itertuples(index=False, name=None))


def test_the_union_has_the_18_genres_of_the_original_project() -> None:
    assert len(set(UNION_GENRES)) == 18
    assert all(union_genre(genre) == genre for genre in UNION_GENRES)


@pytest.mark.parametrize(
    ("name", "genre"),
    [
        ("New_Age", "New Age"),
        ("new age", "New Age"),
        ("Pop/Rock", "Pop_Rock"),
        ("POP_ROCK", "Pop_Rock"),
        ("R&B", "RnB"),
        ("Electronic", "Electronic"),
        ("Stage", None),
        ("Religious", None),
        ("Rock_Hard", None),
        ("Pop Rock Jazz", None),
    ],
)
def test_spellings_of_a_genre(name: str, genre: str | None) -> None:
    assert union_genre(name) == genre


def test_a_track_has_the_genre_of_the_first_source_with_one_of_the_18() -> None:
    labels, dropped = unite(
        {
            # Order of precedence: cd2c, cd2, cd1, magd, whatever the order of the mapping.
            "cd1": frame([("T1", "Pop_Rock", "Jazz"), ("T2", "Pop_Rock", None), ("T4", "Vocal", "Vocal")]),
            "cd2": frame([("T1", "Rock", "Metal"), ("T2", "Ska", "Punk")]),
            "cd2c": frame([("T1", "Metal", None)]),
            "magd": frame([("T3", "Stage", None), ("T2", "Latin", None), ("T5", "New_Age", "Comedy_Spoken")]),
            "homemade": frame([("T6", "Rock", None)]),
        }
    )
    assert rows(labels) == [
        ("T1", "Metal", None),  # the consensus, without the second genre that another source has
        ("T2", "Pop_Rock", None),  # the genre of CD2 is not one of the 18
        ("T4", "Vocal", None),
        ("T5", "New Age", None),
    ]
    assert dropped.to_dict() == {("cd2", "Ska"): 1, ("magd", "Stage"): 1}


def test_a_union_of_nothing_is_empty() -> None:
    labels, dropped = unite({"homemade": frame([("T6", "Rock", None)])})
    assert rows(labels) == []
    assert dropped.to_dict() == {}


tracks = st.sampled_from([f"T{number}" for number in range(8)])
genres = st.sampled_from([*UNION_GENRES[:5], "Stage", "Religious"])
sources = st.dictionaries(
    st.sampled_from(PRECEDENCE), st.dictionaries(tracks, st.tuples(genres, st.none() | genres), min_size=1), min_size=1
)


@given(sources)
def test_every_track_with_one_of_the_18_genres_is_in_the_union_once(
    given: dict[str, dict[str, tuple[str, str | None]]],
) -> None:
    frames = {name: frame([(track, *pair) for track, pair in labels.items()]) for name, labels in given.items()}
    labels, dropped = unite(frames)
    expected = {}
    for name in reversed(PRECEDENCE):
        for track, (genre, _) in given.get(name, {}).items():
            if genre in UNION_GENRES:
                expected[track] = genre
    assert {track: genre for track, genre, _ in rows(labels)} == expected
    assert len(labels) == len(expected)
    n_outside = sum(genre not in UNION_GENRES for one in given.values() for genre, _ in one.values())
    assert dropped.sum() == n_outside


def test_rare_genres_are_removed_with_their_tracks_and_listed() -> None:
    labels = frame(
        [
            ("T1", "Rock", "Jazz"),
            ("T2", "Rock", "Folk"),
            ("T3", "Jazz", "Rock"),
            ("T4", "Rap", None),
            ("T5", "Rap", "Rock"),
        ]
    )
    remaining, removed = remove_rare(labels, 2)
    # Jazz is the first genre of one track only, Folk of none.
    assert rows(remaining) == [("T1", "Rock", None), ("T2", "Rock", None), ("T4", "Rap", None), ("T5", "Rap", "Rock")]
    assert removed == {"Jazz": 1, "Folk": 0}


def test_nothing_is_rare_if_one_track_is_enough() -> None:
    labels = frame([("T1", "Rock", None), ("T2", "Jazz", "Rock")])
    remaining, removed = remove_rare(labels, 1)
    assert rows(remaining) == rows(labels)
    assert removed == {}


@given(st.lists(st.tuples(genres, st.none() | genres), max_size=30), st.integers(1, 6))
def test_tracks_remain_or_are_counted_as_removed(pairs: list[tuple[str, str | None]], min_examples: int) -> None:
    labels = frame([(f"T{number}", *pair) for number, pair in enumerate(pairs)])
    remaining, removed = remove_rare(labels, min_examples)
    assert len(remaining) + sum(removed.values()) == len(labels)
    assert (remaining["genre"].value_counts() >= min_examples).all()
    assert not (set(remaining["genre"]) | set(remaining["minority_genre"].dropna())) & set(removed)
