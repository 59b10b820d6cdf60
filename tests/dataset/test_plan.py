from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msd_spark.core.schemas import SPLITS
from msd_spark.dataset.plan import FileRule, count_by_genre, keep_common_genres, plan_examples
from msd_spark.dataset.splits import SplitRule

GENRES = ("Blues", "Jazz", "Rap")


def catalogue(n_tracks: int, n_artists: int, seed: int = 0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "track_id": [f"TR{number:016d}" for number in range(n_tracks)],
            "artist_group": [f"AR{number}" for number in generator.integers(0, n_artists, n_tracks)],
            "genre": generator.choice(GENRES, n_tracks),
        }
    )


catalogues = st.builds(catalogue, st.integers(1, 120), st.integers(1, 40), st.integers(0, 2**32))
split_rules = st.builds(
    SplitRule,
    st.sampled_from([(0.7, 0.1, 0.2), (0.4, 0.3, 0.3)]),
    st.integers(0, 99),
    st.sampled_from(["artist", "track"]),
)
file_rules = st.builds(FileRule, st.integers(1, 50), st.integers(1, 10), st.integers(0, 99))


@given(catalogues, split_rules, file_rules)
def test_every_example_has_one_place_and_every_file_the_right_rows(
    tracks: pd.DataFrame, split_rule: SplitRule, file_rule: FileRule
) -> None:
    plan = plan_examples(tracks, GENRES, split_rule, file_rule)
    assert sorted(plan["track_id"]) == sorted(tracks["track_id"])
    assert not plan.duplicated(["split", "file", "row"]).any()
    assert set(plan["split"]) <= set(SPLITS)
    for _, part in plan.groupby("split"):
        sizes = part.groupby("file").size().sort_index()
        rows = file_rule.rows_for(len(part))
        assert sizes.index.tolist() == list(range(len(sizes)))
        assert (sizes.iloc[:-1] == rows).all()
        assert 1 <= sizes.iloc[-1] <= rows <= file_rule.rows_per_file
        assert len(sizes) >= min(file_rule.min_files, len(part))
        for file, inside in part.groupby("file"):
            assert inside["row"].tolist() == list(range(sizes[file]))


@given(catalogues, split_rules, file_rules, st.integers(0, 2**32))
def test_the_plan_does_not_depend_on_the_order_of_tracks(
    tracks: pd.DataFrame, split_rule: SplitRule, file_rule: FileRule, seed: int
) -> None:
    shuffled = tracks.iloc[np.random.default_rng(seed).permutation(len(tracks))]
    first, second = (plan_examples(rows, GENRES, split_rule, file_rule) for rows in (tracks, shuffled))
    pd.testing.assert_frame_equal(first, second)


@given(catalogues, st.integers(0, 99), file_rules)
def test_no_artist_group_is_in_two_splits(tracks: pd.DataFrame, seed: int, file_rule: FileRule) -> None:
    plan = plan_examples(tracks, GENRES, SplitRule(seed=seed), file_rule)
    assert len(plan[["artist_group", "split"]].drop_duplicates()) == len(set(plan["artist_group"]))


def test_a_split_by_track_divides_an_artist() -> None:
    plan = plan_examples(catalogue(200, 1), GENRES, SplitRule(by="track"), FileRule())
    assert set(plan["split"]) == set(SPLITS)


@given(catalogues, catalogues, split_rules, file_rules)
def test_no_track_changes_its_split_as_the_catalogue_grows(
    tracks: pd.DataFrame, more: pd.DataFrame, split_rule: SplitRule, file_rule: FileRule
) -> None:
    new = more.assign(track_id="TX" + more["track_id"].str[2:], artist_group="NEW" + more["artist_group"])
    before = plan_examples(tracks, GENRES, split_rule, file_rule).set_index("track_id")["split"]
    after = plan_examples(pd.concat([new, tracks]), GENRES, split_rule, file_rule).set_index("track_id")["split"]
    assert after[before.index].equals(before)


def test_the_seed_of_the_files_moves_examples_within_their_split_alone() -> None:
    first, second = (plan_examples(catalogue(300, 60), GENRES, SplitRule(), FileRule(seed=seed)) for seed in (0, 1))
    assert first["track_id"].tolist() != second["track_id"].tolist()
    assert dict(zip(first["track_id"], first["split"], strict=True)) == dict(
        zip(second["track_id"], second["split"], strict=True)
    )


def test_examples_are_shuffled() -> None:
    plan = plan_examples(catalogue(200, 1), GENRES, SplitRule((1.0, 0.0, 0.0)), FileRule())
    assert plan["track_id"].tolist() != sorted(plan["track_id"])


def test_genres_get_their_place_in_the_vocabulary() -> None:
    tracks = pd.DataFrame(
        {"track_id": ["TR1", "TR2", "TR3"], "artist_group": ["A", "B", "C"], "genre": ["Rap", "Blues", "Rap"]}
    )
    plan = plan_examples(tracks, GENRES, SplitRule(), FileRule()).set_index("track_id")
    assert plan["genre_index"].to_dict() == {"TR1": 2, "TR2": 0, "TR3": 2}


def test_no_tracks_make_an_empty_plan() -> None:
    plan = plan_examples(catalogue(0, 1), GENRES, SplitRule(), FileRule())
    assert plan.empty
    assert set(plan.columns) == {"track_id", "artist_group", "genre", "genre_index", "split", "copy", "file", "row"}
    assert count_by_genre(plan) == {}


def test_a_genre_that_is_not_in_the_vocabulary() -> None:
    tracks = pd.DataFrame({"track_id": ["TR1"], "artist_group": ["AR1"], "genre": ["Polka"]})
    with pytest.raises(KeyError, match="Polka"):
        plan_examples(tracks, ["Jazz"], SplitRule(), FileRule())


@pytest.mark.parametrize(
    ("n_examples", "rows"),
    # 256 rows where 8 files of 256 can be filled (2,048 examples); else an eighth of them; never none.
    [(100_000, 256), (2048, 256), (2047, 255), (800, 100), (8, 1), (7, 1), (0, 1)],
)
def test_rows_a_file(n_examples: int, rows: int) -> None:
    assert FileRule().rows_for(n_examples) == rows


def test_rare_genres_are_left_out_and_counted() -> None:
    genres = pd.Series(["Rap"] * 3 + ["Folk"] + ["Blues"] * 2 + ["Jazz"] * 4 + [None])
    assert keep_common_genres(genres, 3) == (["Jazz", "Rap"], {"Blues": 2, "Folk": 1})
    assert keep_common_genres(genres, 5) == ([], {"Blues": 2, "Folk": 1, "Jazz": 4, "Rap": 3})
    assert keep_common_genres(genres, 0) == (["Blues", "Folk", "Jazz", "Rap"], {})


def test_counts_by_genre_name_every_split() -> None:
    plan = pd.DataFrame({"genre": ["Rap", "Rap", "Jazz"], "split": ["train", "train", "test"]})
    assert count_by_genre(plan) == {
        "Jazz": {"train": 0, "validation": 0, "test": 1},
        "Rap": {"train": 2, "validation": 0, "test": 0},
    }


@given(catalogues, split_rules)
def test_counts_by_genre_add_up(tracks: pd.DataFrame, split_rule: SplitRule) -> None:
    counts = count_by_genre(plan_examples(tracks, GENRES, split_rule, FileRule()))
    assert {genre: sum(by_split.values()) for genre, by_split in counts.items()} == tracks[
        "genre"
    ].value_counts().to_dict()
