from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msd_spark.schema import SPLITS
from msd_spark.splits import SplitRule, artist_groups


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
def test_shares_are_kept_on_many_groups(shares: tuple[float, ...]) -> None:
    n = 20_000
    rule = SplitRule(shares, seed=3)
    counts = Counter(rule.split_of(f"AR{number:07d}") for number in range(n))
    for split, share in zip(SPLITS, shares, strict=True):
        assert abs(counts[split] / n - share) <= 5 * np.sqrt(share * (1 - share) / n)


@pytest.mark.parametrize("number", range(3))
def test_a_share_of_one_takes_everything(number: int) -> None:
    shares = tuple(float(place == number) for place in range(3))
    assert {SplitRule(shares).split_of(str(group)) for group in range(500)} == {SPLITS[number]}


@given(st.text(), st.integers())
def test_a_split_depends_on_seed_and_group_alone(group: str, seed: int) -> None:
    artist, track = SplitRule(seed=seed, by="artist"), SplitRule(seed=seed, by="track")
    assert artist.split_of(group) == SplitRule(seed=seed).split_of(group) == track.split_of(group)
    assert artist.split_of(group) in SPLITS


def test_another_seed_gives_other_splits() -> None:
    groups = [f"AR{number}" for number in range(200)]
    first, second = ([SplitRule(seed=seed).split_of(group) for group in groups] for seed in (0, 1))
    assert first != second


@given(st.text(min_size=1), st.floats(0, 1), st.floats(0, 1))
def test_a_greater_train_share_takes_no_group_out_of_train(group: str, first: float, second: float) -> None:
    smaller, greater = sorted((first, second))
    if SplitRule((smaller, 1 - smaller, 0.0)).split_of(group) == "train":
        assert SplitRule((greater, 1 - greater, 0.0)).split_of(group) == "train"


def groups_by_walking(linked: list[list[str]]) -> dict[str, str]:
    """Return each linked artist's group by walking from artist to artist, the plain way."""
    neighbours: dict[str, set[str]] = {}
    for artists in linked:
        for artist in artists if len(artists) > 1 else ():
            neighbours.setdefault(artist, set()).update(artists)
    found = {}
    for artist in neighbours:
        seen, waiting = {artist}, [artist]
        while waiting:
            new = neighbours[waiting.pop()] - seen
            seen |= new
            waiting += new
        found[artist] = min(seen)
    return found


links = st.lists(st.lists(st.sampled_from([f"AR{number:02d}" for number in range(25)]), max_size=4), max_size=25)


@given(links)
def test_groups_are_the_connected_artists(linked: list[list[str]]) -> None:
    assert artist_groups(linked) == groups_by_walking(linked)


@given(links, st.randoms(use_true_random=False))
def test_groups_do_not_depend_on_the_order_of_links(linked: list[list[str]], random: np.random.Generator) -> None:
    shuffled = [list(artists) for artists in linked]
    random.shuffle(shuffled)
    for artists in shuffled:
        random.shuffle(artists)
    assert artist_groups(shuffled) == artist_groups(linked)


def test_a_long_chain_is_one_group() -> None:
    chain = [(f"AR{number:06d}", f"AR{number + 1:06d}") for number in range(5000)]
    assert set(artist_groups(reversed(chain)).values()) == {"AR000000"}
    assert len(artist_groups(chain)) == 5001


def test_artists_without_a_link_are_not_listed() -> None:
    assert artist_groups([["AR1"], [], ["AR2", "AR3"]]) == {"AR2": "AR2", "AR3": "AR2"}
