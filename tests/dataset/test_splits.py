from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msd_spark.core.schemas import SPLITS
from msd_spark.core.split_lists import listed_splits, read_split_list
from msd_spark.dataset.splits import SplitRule, split_of_tracks


def test_splits_are_those_of_every_release() -> None:
    # Written down once: a change here gives every dataset other splits than the ones that results were published on.
    splits = {f"AR{number}": SplitRule().split_of(f"AR{number}") for number in range(1, 8)}
    assert splits == {
        "AR1": "validation",
        "AR2": "train",
        "AR3": "train",
        "AR4": "validation",
        "AR5": "test",
        "AR6": "train",
        "AR7": "train",
    }


@pytest.mark.parametrize("shares", [(0.7, 0.1, 0.2), (0.34, 0.33, 0.33), (0.98, 0.01, 0.01), (0.5, 0.0, 0.5)])
def test_splits_of_many_groups_have_the_shares(shares: tuple[float, float, float]) -> None:
    n = 20_000
    rule = SplitRule(shares, seed=3)
    counts = Counter(rule.split_of(f"AR{number:07d}") for number in range(n))
    for split, share in zip(SPLITS, shares, strict=True):
        assert abs(counts[split] / n - share) <= 5 * np.sqrt(share * (1 - share) / n)


@pytest.mark.parametrize("number", range(3))
def test_a_share_of_one_takes_everything(number: int) -> None:
    shares = (float(number == 0), float(number == 1), float(number == 2))
    assert {SplitRule(shares).split_of(str(group)) for group in range(500)} == {SPLITS[number]}


@given(st.text(), st.integers())
def test_a_split_depends_on_seed_and_group_alone(group: str, seed: int) -> None:
    artist, track = SplitRule(seed=seed, by="artist"), SplitRule(seed=seed, by="track")
    assert artist.split_of(group) == SplitRule(seed=seed).split_of(group) == track.split_of(group)
    assert artist.split_of(group) in SPLITS


def test_another_seed_makes_other_splits() -> None:
    groups = [f"AR{number}" for number in range(200)]
    first, second = ([SplitRule(seed=seed).split_of(group) for group in groups] for seed in (0, 1))
    assert first != second


@given(st.text(min_size=1), st.floats(0, 1), st.floats(0, 1))
def test_a_greater_train_share_takes_no_group_out_of_train(group: str, first: float, second: float) -> None:
    smaller, greater = sorted((first, second))
    if SplitRule((smaller, 1 - smaller, 0.0)).split_of(group) == "train":
        assert SplitRule((greater, 1 - greater, 0.0)).split_of(group) == "train"


def tracks(*rows: tuple[str, str | None, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["track_id", "song_id", "artist_group"])


FOUR = tracks(("TR1", "SO1", "A"), ("TR2", "SO2", "A"), ("TR3", "SO2", "B"), ("TR4", None, "C"))


def test_tracks_get_the_split_of_their_group_or_of_their_own_id() -> None:
    by_artist = split_of_tracks(FOUR, SplitRule())
    assert by_artist.tolist() == [SplitRule().split_of(group) for group in "AABC"]
    by_track = split_of_tracks(FOUR, SplitRule(by="track"))
    assert by_track.tolist() == [SplitRule().split_of(track) for track in FOUR["track_id"]]
    listed = FOUR.assign(listed=["test", "train", "train", "validation"])
    assert split_of_tracks(listed, SplitRule(by="lists")).tolist() == ["test", "train", "train", "validation"]


def test_a_list_names_tracks_or_songs() -> None:
    # SO2 stands for both of its tracks; TR4 is in no list.
    splits = listed_splits(FOUR, {"train": ["TR1"], "validation": [], "test": ["SO2", "SOunknown"]})
    assert splits.fillna("none").tolist() == ["train", "test", "test", "none"]


def test_a_list_names_artists() -> None:
    artists = FOUR.assign(artist_id=pd.Categorical(["AR1", "AR1", "AR2", None]))
    splits = listed_splits(artists, {"train": ["AR1"], "validation": ["TR4"], "test": ["AR2", "AR3"]})
    assert splits.tolist() == ["train", "train", "test", "validation"]
    with pytest.raises(ValueError, match=r"1 tracks are in two lists: TR2 \(song SO2\) is in train and test"):
        listed_splits(artists, {"train": ["AR1"], "test": ["TR2"]})


@pytest.mark.parametrize("other", ["TR3", "SO2"])
def test_a_track_in_two_lists_is_refused(other: str) -> None:
    with pytest.raises(ValueError, match=r"tracks are in two lists: TR[23] \(song SO2\) is in train and test"):
        listed_splits(FOUR, {"train": ["SO2"], "validation": [], "test": [other]})


def test_a_list_is_read_line_by_line() -> None:
    track, song, artist = "TRAAAAW128F429D538", "SOMZWCG12A8C13C480", "AR00A1N1187FB484EB"
    lines = [
        "# train",
        "",
        track,
        f"{song}\tRock",
        "  ",
        f" {track} ",
        "TRAAAAW128F429D53",
        "Rock\tPop",
        "SOé" + "A" * 15,
        f"{artist}<SEP>Name",
    ]
    ids, refused = read_split_list(lines)
    assert ids == [track, song, artist]
    assert [(number, reason) for number, reason, _ in refused] == [
        (6, "repeated_id"),
        (7, "bad_id"),
        (8, "bad_id"),
        (9, "bad_id"),
    ]
