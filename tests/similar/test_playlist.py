"""Small playlists, and M3U files with hostile names."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from msd_spark.similar.playlist import choose_songs, m3u, one_line

NAMES = st.text(st.characters(codec="utf-8"), max_size=30)


def test_the_next_song_is_near_the_first_and_unlike_the_last() -> None:
    # Cosines to the query: 1, 0.8, 0.6; the second to the first 0.8, the third (the other side) 0.6.
    # After song 0, at a balance of 0.5: song 1 gains 0.5*0.8 - 0.5*0.8 = 0; song 2 0.5*0.6 - 0.5*0.6 = 0, song 3,
    # (0, -1), 0 - 0 = 0 as well; at 0.9 song 1 gains 0.72 - 0.08 = 0.64, song 2 0.54 - 0.06 = 0.48.
    query = np.array([1.0, 0.0])
    vectors = np.array([[1, 0], [0.8, 0.6], [0.6, -0.8]])
    assert choose_songs(query, vectors, ["a", "b", "c"], 3, balance=0.9) == [0, 1, 2]
    # At 0.3, after 0: song 1 gains 0.24 - 0.56 = -0.32, song 2 0.18 - 0.42 = -0.24.
    assert choose_songs(query, vectors, ["a", "b", "c"], 3, balance=0.3) == [0, 2, 1]


def test_no_artist_comes_twice_in_a_row_except_unknown_ones() -> None:
    vectors = np.ones((4, 2))
    assert choose_songs(np.ones(2), vectors, ["a", "a", "b", "a"], 4, balance=0.7) == [0, 2, 1]
    assert choose_songs(np.ones(2), vectors, ["a", "a", "b", "a"], 4, balance=0.7, previous_artist="a") == [2, 0]
    assert choose_songs(np.ones(2), vectors, [None, None, None, None], 3, balance=0.7) == [0, 1, 2]


def test_the_same_song_is_chosen_once() -> None:
    keys = [["S1", "x"], ["S2", "x"], ["S2"], []]
    assert choose_songs(np.ones(2), np.ones((4, 2)), list("abcd"), 4, balance=0.7, songs=keys) == [0, 2, 3]


@given(st.integers(1, 30), st.integers(1, 4), st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_the_rules_hold_for_any_songs(n: int, n_artists: int, seed: int, balance: float) -> None:
    generator = np.random.default_rng(seed)
    artists = generator.integers(0, n_artists, n).tolist()
    chosen = choose_songs(generator.normal(size=5), generator.normal(size=(n, 5)), artists, 12, balance=balance)
    assert len(set(chosen)) == len(chosen) <= 12
    names = [artists[row] for row in chosen]
    assert all(one != other for one, other in pairwise(names))
    left = {artist for row, artist in enumerate(artists) if row not in chosen}
    assert len(chosen) == 12 or left <= {names[-1]}


def entry(artist: str | None, title: str | None, track_id: str, seconds: float | None = None) -> dict[str, Any]:
    return {"artist": artist, "title": title, "track_id": track_id, "seconds": seconds}


def test_an_m3u_file_has_two_lines_per_song() -> None:
    songs = [
        entry("Ártist", "One\n#EXTINF:1,evil", "TR1", 200.6),
        entry("B", "\x1b[2Jtwo\u2028three", "#hidden\r\n/etc/passwd"),
        entry(None, None, "TR3"),
    ]
    assert m3u(songs, "{track_id}.mp3") == (
        "#EXTM3U\n#EXTINF:201,Ártist - One #EXTINF:1,evil\nTR1.mp3\n"
        "#EXTINF:-1,B - [2Jtwo three\n./#hidden /etc/passwd.mp3\n#EXTINF:-1,? - ?\nTR3.mp3\n"
    )


@given(st.lists(st.builds(entry, NAMES, NAMES, NAMES), max_size=5))
def test_no_name_adds_a_line(songs: list[dict[str, Any]]) -> None:
    text = m3u(songs, "{track_id}")
    assert len(text.splitlines()) == 1 + 2 * len(songs)
    assert not any(line.startswith("#") for line in text.splitlines()[2::2])


@given(NAMES)
def test_one_line_is_one_line_and_stays_so(text: str) -> None:
    line = one_line(text)
    assert len(line.splitlines()) <= 1
    assert one_line(line) == line
