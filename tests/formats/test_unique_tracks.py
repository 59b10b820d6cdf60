from __future__ import annotations

from random import Random

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msd_spark.formats.unique_tracks import Pair, choose_tracks, parse_mismatch, parse_unique_track

SONG, TRACK = "SOUMNSI12AB0182807", "TRMMGKQ128F9325E10"


@pytest.mark.parametrize(
    ("line", "pair"),
    [
        (f"ERROR: <{SONG} {TRACK}> Jimmy Reed  -  <Live>  !=  Slim Harpo  -  I Got Love", (SONG, TRACK)),
        (f"ERROR: <{SONG} {TRACK}>", (SONG, TRACK)),
        (f"ERROR: <{SONG} {TRACK}> \x85 - \u2028  !=  x\r", (SONG, TRACK)),
        (f"ERROR: <{TRACK} {SONG}> x", None),
        (f"<{SONG} {TRACK}> x", None),
        (f"ERROR: <{SONG}> x", None),
    ],
)
def test_lines_of_the_list_of_mismatches(line: str, pair: Pair | None) -> None:
    assert parse_mismatch(line) == pair


@pytest.mark.parametrize(
    ("line", "pair"),
    [
        (f"{TRACK}<SEP>{SONG}<SEP>Faye Adams<SEP>Crazy", (SONG, TRACK)),
        (f"{TRACK}<SEP>{SONG}<SEP><SEP>", (SONG, TRACK)),
        (f"{TRACK}<SEP>{SONG}\r", (SONG, TRACK)),
        (f"{TRACK};{SONG};Casual;I Didn't Mean To", None),
        (f"{SONG}<SEP>{TRACK}", None),
        (TRACK, None),
    ],
)
def test_lines_of_the_list_of_tracks(line: str, pair: Pair | None) -> None:
    assert parse_unique_track(line) == pair


def frame(*pairs: str) -> pd.DataFrame:
    return pd.DataFrame([pair.split() for pair in pairs], columns=["song_id", "track_id"], dtype=object)


def test_a_song_of_several_tracks_has_the_first_one_that_is_no_mismatch() -> None:
    pairs = frame("S1 T3", "S1 T1", "S1 T2", "S1 T2", "S2 T5", "S2 T4", "S3 T6", "S4 T7")
    # The mismatch of T7 is with another song; S2 has nothing but mismatches.
    mismatches = frame("S1 T1", "S1 T1", "S2 T4", "S2 T5", "S9 T7")
    chosen = choose_tracks(pairs, mismatches)
    assert list(chosen[["song_id", "track_id", "mismatched", "tracks"]].itertuples(index=False, name=None)) == [
        ("S1", "T2", False, 3),
        ("S2", "T4", True, 2),
        ("S3", "T6", False, 1),
        ("S4", "T7", False, 1),
    ]


def test_no_mismatches_and_no_songs() -> None:
    assert choose_tracks(frame("S1 T1"), frame())["mismatched"].tolist() == [False]
    assert choose_tracks(frame(), frame("S1 T1")).empty


some = st.lists(st.tuples(st.sampled_from("ABC"), st.sampled_from("123456")).map(" ".join), max_size=12)


@given(some, some, st.randoms())
def test_the_choice_does_not_hang_on_the_order(pairs: list[str], mismatches: list[str], random: Random) -> None:
    chosen = choose_tracks(frame(*pairs), frame(*mismatches))
    random.shuffle(pairs)
    random.shuffle(mismatches)
    assert choose_tracks(frame(*pairs), frame(*mismatches)).equals(chosen)
    for song, track, wrong, n_tracks in chosen[["song_id", "track_id", "mismatched", "tracks"]].to_numpy():
        ours = {pair for pair in pairs if pair[0] == song}
        right = sorted(ours - set(mismatches))
        assert f"{song} {track}" == (right or sorted(ours))[0]
        assert (wrong, n_tracks) == (not right, len(ours))
