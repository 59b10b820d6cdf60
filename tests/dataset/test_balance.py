from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from msd_spark.dataset.balance import BalanceRule, resample
from msd_spark.dataset.plan import FileRule, plan_examples
from msd_spark.dataset.splits import SplitRule


def train_of(genres: list[str | None]) -> pd.DataFrame:
    return pd.DataFrame(
        {"track_id": [f"TR{number:04d}" for number in range(len(genres))], "genre": genres}, dtype=object
    )


rules = st.one_of(
    st.builds(
        lambda n, m, seed: BalanceRule("counts", n, m, seed), st.integers(1, 50), st.integers(1, 50), st.integers(0, 9)
    ),
    st.builds(lambda seed: BalanceRule("sqrt", seed=seed), st.integers(0, 9)),
    st.just(BalanceRule()),
)
splits_of_genres = st.lists(st.sampled_from(["Jazz", "Rap", "Pop", None]), max_size=60)


def test_rules_by_their_names() -> None:
    assert BalanceRule.parse("none") == BalanceRule()
    assert BalanceRule.parse("original", 3) == BalanceRule("counts", 4000, 1000, 3)
    assert BalanceRule.parse("40:10") == BalanceRule("counts", 40, 10)
    assert BalanceRule.parse("sqrt") == BalanceRule("sqrt")


def test_square_roots_keep_the_total() -> None:
    # Roots 10, 5, 1 of 100, 25, 1: 126 in shares of 16ths are 78.75, 39.375 and 7.875; 78 + 39 + 7 leaves two,
    # for the remainders .875 and .75.
    assert BalanceRule("sqrt").rows({"a": 100, "b": 25, "c": 1}) == {"a": 79, "b": 39, "c": 8}


def test_of_genres_of_one_size_the_first_is_the_largest() -> None:
    assert BalanceRule("counts", 7, 2).rows({"b": 5, "a": 5, "c": 4}) == {"a": 7, "b": 2, "c": 2}
    assert BalanceRule("counts", 7, 2).rows({}) == {}


@given(splits_of_genres, rules)
def test_every_genre_gets_its_rows_and_every_track_as_many_as_the_next(
    genres: list[str | None], rule: BalanceRule
) -> None:
    train = train_of(genres)
    times = resample(train, rule)
    tracks = {str(genre): int(n) for genre, n in train["genre"].value_counts().items()}
    rows = pd.Series(times).groupby(train["genre"].to_numpy()).sum()
    assert {genre: int(rows[genre]) for genre in tracks} == rule.rows(tracks)
    for genre in tracks:
        inside = times[(train["genre"] == genre).to_numpy()]
        assert inside.max() - inside.min() <= 1
    assert (times[train["genre"].isna().to_numpy()] == 1).all()
    if rule.kind != "counts":
        assert times.sum() == len(train)


@given(splits_of_genres, rules, st.integers(0, 99))
def test_the_choice_does_not_depend_on_the_order(genres: list[str | None], rule: BalanceRule, seed: int) -> None:
    train = train_of(genres)
    order = np.random.default_rng(seed).permutation(len(train))
    assert resample(train.iloc[order], rule).tolist() == resample(train, rule)[order].tolist()


def test_a_track_that_is_added_takes_the_place_of_one_other_at_most() -> None:
    train = train_of(["Jazz"] * 30)
    rule = BalanceRule("counts", 10, 10, 1)
    for n in range(10, 30):
        before, after = resample(train[:n], rule), resample(train[: n + 1], rule)
        assert np.abs(after[:n] - before).sum() <= 1


def test_other_seeds_choose_others() -> None:
    train = train_of(["Jazz"] * 30)
    assert (
        resample(train, BalanceRule("counts", 10, 10, 1)).tolist()
        != resample(train, BalanceRule("counts", 10, 10, 2)).tolist()
    )


@given(splits_of_genres, rules, st.integers(0, 9))
def test_resampling_touches_train_alone(genres: list[str | None], rule: BalanceRule, seed: int) -> None:
    tracks = train_of(genres).assign(artist_group=[f"AR{number // 2}" for number in range(len(genres))])
    split_rule, file_rule = SplitRule((0.5, 0.2, 0.3), seed), FileRule(7, 2, seed)
    plain, balanced = (
        plan_examples(tracks, ["Jazz", "Pop", "Rap"], split_rule, file_rule, one) for one in (BalanceRule(), rule)
    )
    for split in ("validation", "test"):
        first, second = (plan[plan["split"] == split].reset_index(drop=True) for plan in (plain, balanced))
        pd.testing.assert_frame_equal(first, second)
    train = balanced[balanced["split"] == "train"]
    assert set(train["track_id"]) <= set(plain["track_id"][plain["split"] == "train"])
    # Copies are numbered from 0, and every row has a place of its own.
    for _, copies in train.groupby("track_id")["copy"]:
        assert sorted(copies) == list(range(len(copies)))
    assert not balanced.duplicated(["split", "file", "row"]).any()
