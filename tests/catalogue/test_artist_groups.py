from __future__ import annotations

import unicodedata

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msd_spark.catalogue.artist_groups import group_artists, moves_since
from msd_spark.catalogue.names import normalise_name
from msd_spark.dataset.splits import SplitRule, split_of_tracks

LETTERS = st.characters(exclude_categories=["Cs"])


@pytest.mark.parametrize(
    ("text", "alike"),
    [
        ("AC/DC", "ac dc"),
        ("  ac - dc ", "ac dc"),
        ("\uff21\uff23\uff0f\uff24\uff23", "ac dc"),  # full width
        ("Stra\u00dfe", "strasse"),
        ("\ufb01ne", "fine"),  # a ligature
        ("Beyonc\u00e9", "beyonc\u00e9"),  # an accent stays
        ("Beyonce\u0301", "beyonc\u00e9"),  # and is the same in two characters
        ("The Song (Live) [Remix]", "the song live remix"),
        ("a\u00a0b\tc\u2028d", "a b c d"),
        ("!!!", "!!!"),
        ("+", "+"),  # a symbol is no punctuation
        ("", ""),
    ],
)
def test_names_are_made_alike(text: str, alike: str) -> None:
    assert normalise_name(text) == alike


@given(st.text(LETTERS))
def test_a_name_made_alike_stays_so_and_is_the_same_in_every_case_and_form(text: str) -> None:
    made = normalise_name(text)
    assert normalise_name(made) == made
    assert normalise_name(f" {text}\n") == made
    assert normalise_name(unicodedata.normalize("NFD", text)) == made
    assert normalise_name(text.casefold()) == made


@given(st.lists(st.text(st.sampled_from("abcXYZ\u00e9\u4e2d"), min_size=1), min_size=1, max_size=4))
def test_words_are_kept_whatever_parts_them(words: list[str]) -> None:
    assert normalise_name("... - ".join(words)).split() == [word.casefold() for word in words]


def songs(*rows: tuple[str | None, ...]) -> pd.DataFrame:
    columns = ["track_id", "song_id", "artist_id", "artist_name", "title"]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def groups_of_links(linked: list[list[str]]) -> dict[str, str]:
    """Return the group of each artist, where the artists of each list share one song."""
    catalogue = songs(
        *((f"TR{n}{artist}", f"SO{n}", artist, None, None) for n, artists in enumerate(linked) for artist in artists)
    )
    return dict(zip(catalogue["artist_id"], group_artists(catalogue), strict=True))


def groups_by_walking(linked: list[list[str]]) -> dict[str, str]:
    """Return the group of each artist by walking from artist to artist."""
    neighbours: dict[str, set[str]] = {}
    for artists in linked:
        for artist in artists:
            neighbours.setdefault(artist, set()).update(artists)
    groups = {}
    for artist in neighbours:
        seen, waiting = {artist}, [artist]
        while waiting:
            new = neighbours[waiting.pop()] - seen
            seen |= new
            waiting += new
        groups[artist] = min(seen)
    return groups


links = st.lists(st.lists(st.sampled_from([f"AR{number:02d}" for number in range(25)]), max_size=4), max_size=25)


@given(links)
def test_groups_are_the_connected_artists(linked: list[list[str]]) -> None:
    assert groups_of_links(linked) == groups_by_walking(linked)


@given(links, st.randoms(use_true_random=False))
def test_groups_do_not_depend_on_the_order_of_links(linked: list[list[str]], random: np.random.Generator) -> None:
    shuffled = [list(artists) for artists in linked]
    random.shuffle(shuffled)
    for artists in shuffled:
        random.shuffle(artists)
    assert groups_of_links(shuffled) == groups_of_links(linked)


def test_a_long_chain_is_one_group() -> None:
    chain = [[f"AR{number:06d}", f"AR{number + 1:06d}"] for number in range(5000)]
    groups = groups_of_links(chain[::-1])
    assert set(groups.values()) == {"AR000000"}
    assert len(groups) == 5001


def test_songs_link_artists_by_id_or_by_name_and_title() -> None:
    catalogue = songs(
        ("TR1", "SO1", "AR5", "Nina", "Blue"),
        ("TR2", "SO1", "AR3", "Nina S.", "Red"),  # the song id of TR1
        ("TR3", "SO2", "AR4", "NINA  S", "Red!"),  # the names of TR2
        ("TR4", "SO3", "AR1", "Nina", "Other"),  # the artist's name alone links nothing
        ("TR5", None, None, None, "Blue"),  # an artist of its own
        ("TR6", None, None, None, None),
        ("TR7", "SO4", "AR1", "Someone", "Else"),
    )
    assert group_artists(catalogue).tolist() == ["AR3", "AR3", "AR3", "AR1", "TR5", "TR6", "AR1"]


@st.composite
def catalogues(draw: st.DrawFn, prefix: str = "TR", max_size: int = 20) -> pd.DataFrame:
    few = st.integers(0, 9)
    rows = draw(st.lists(st.tuples(few, few, few, few), max_size=max_size))
    return songs(
        *(
            (
                f"{prefix}{number}",
                f"SO{song}" if song else None,
                f"AR{artist}" if artist else None,
                f"N{name}",
                f"T{title}",
            )
            for number, (song, artist, name, title) in enumerate(rows)
        )
    )


@given(catalogues())
def test_no_artist_and_no_duplicate_is_in_two_splits(catalogue: pd.DataFrame) -> None:
    groups = group_artists(catalogue)
    splits = split_of_tracks(catalogue.assign(artist_group=groups), SplitRule())
    names = catalogue["artist_name"] + "/" + catalogue["title"]
    for key in (catalogue["artist_id"], catalogue["song_id"], names, groups):
        once = pd.DataFrame({"key": key, "split": splits}).dropna().drop_duplicates()
        assert once["key"].is_unique


@given(catalogues(), catalogues("TX"))
def test_songs_that_create_no_link_move_no_other_song(old: pd.DataFrame, new: pd.DataFrame) -> None:
    before = group_artists(old)
    both = pd.concat([new, old])
    after = group_artists(both)
    partition_before = {frozenset(old["track_id"][before == group]) for group in before}
    of_old = both["track_id"].isin(old["track_id"])
    # Every group of now in which old songs are, with the artists that it had before and has now.
    artists = both["artist_id"].fillna(both["track_id"])
    old_artists = set(artists[of_old])
    for group in set(after[of_old]):
        members = both[after == group]
        known = frozenset(members["track_id"][members["track_id"].isin(old["track_id"])])
        if known in partition_before and set(artists[after == group]) <= old_artists:
            # It joined no two groups and no new artist: it has the key that it had, and so the split.
            assert group in set(before[old["track_id"].isin(known)])
        assert any(part <= known for part in partition_before)  # songs that were together stay together


def test_a_song_that_joins_two_groups_gives_them_the_first_key() -> None:
    old = songs(("TR1", "SO1", "AR2", "B", "x"), ("TR2", "SO2", "AR1", "A", "y"))
    new = songs(("TR3", "SO1", "AR1", "A", "z"))
    assert group_artists(old).tolist() == ["AR2", "AR1"]
    assert group_artists(pd.concat([old, new])).tolist() == ["AR1", "AR1", "AR1"]


def test_moves_are_counted_over_the_tracks_that_stay() -> None:
    columns = ["track_id", "artist_group", "split"]
    before = pd.DataFrame(
        [("TR1", "A", "train"), ("TR2", "B", "test"), ("TR3", "C", "test"), ("TR4", "D", "test")], columns=columns
    )
    now = pd.DataFrame(
        [("TR1", "A", "train"), ("TR2", "A", "train"), ("TR3", "C", "test"), ("TR9", "E", "test")], columns=columns
    )
    assert moves_since(before, now) == {"tracks in both": 3, "groups joined": 1, "tracks moved": 1}


def test_an_artist_with_ten_thousand_songs_is_one_group_at_once() -> None:
    n = 10_000
    one = songs(*((f"TR{i}", f"SO{i % 7}", f"AR{i % 1000}", "Someone", f"T{i % 11}") for i in range(n)))
    assert group_artists(one).unique().tolist() == ["AR0"]


def test_an_artist_with_guests_only_is_linked_to_both_artists() -> None:
    names = ["A", "A feat. B", "B", "C", "C ft. D", "D", "Unknown (Featuring E)", "E", "F", "F Feat. A", "Aft. G", "G"]
    ids = [f"AR{number:02}" for number in range(len(names))]
    ids[4] = "AR03"  # C has other songs, so D is not linked.
    ids[9] = "AR08"
    rows = [(f"TR{artist}{name}", None, artist, name, name) for artist, name in zip(ids, names, strict=True)]
    groups = dict(zip(names, group_artists(songs(*rows)), strict=True))
    assert groups == {
        **{"A": "AR00", "A feat. B": "AR00", "B": "AR00"},
        **{"C": "AR03", "C ft. D": "AR03", "D": "AR05"},
        **{"Unknown (Featuring E)": "AR06", "E": "AR06"},
        **{"F": "AR08", "F Feat. A": "AR08", "Aft. G": "AR10", "G": "AR11"},
    }


def test_of_several_artists_of_a_name_the_one_with_most_songs_is_linked() -> None:
    rows = [("AR1", "A"), ("AR2", "A"), ("AR2", "a"), ("AR3", "A ft. B")]
    groups = group_artists(songs(*((f"TR{n}", None, artist, name, f"T{n}") for n, (artist, name) in enumerate(rows))))
    assert groups.tolist() == ["AR1", "AR2", "AR2", "AR2"]
