"""Songs found by what people type."""

from __future__ import annotations

import pandas as pd

from msd_spark.catalogue.names import Unknown, find_song, fold_accents

SONGS = pd.DataFrame(
    {
        "track_id": [f"TR{letter * 16}" for letter in "ABCDEF"],
        "artist_name": ["Beyoncé", "AC/DC", "Señor Peso", "Senor Peso", "Queen", None],
        "title": ["Halo", "Thunderstruck", "Mañana", "Mañana", "Halo", "Alone"],
    }
)


def test_case_width_and_punctuation_play_no_part() -> None:
    assert find_song(SONGS, "TRBBBBBBBBBBBBBBBB") == 1
    assert find_song(SONGS, "ac-dc -  THUNDERSTRUCK") == 1
    assert find_song(SONGS, "ＡＣ／ＤＣ - thunderstruck!") == 1
    assert find_song(SONGS, "BEYONCÉ - halo") == 0
    assert find_song(SONGS, "thunderstruck") == 1
    assert find_song(SONGS, "alone") == 5


def test_accents_may_be_left_out_where_that_leaves_one_song() -> None:
    assert find_song(SONGS, "beyonce - halo") == 0
    assert find_song(SONGS, "Señor Peso - Mañana") == 2
    assert find_song(SONGS, "Senor Peso - Mañana") == 3
    assert find_song(SONGS, "senor peso - manana") == Unknown(True, (2, 3))


def test_a_name_of_several_or_none_gives_the_closest() -> None:
    assert find_song(SONGS, "halo") == Unknown(True, (0, 4))
    unknown = find_song(SONGS, "thunder struck acdc")
    assert isinstance(unknown, Unknown)
    assert not unknown.ambiguous
    assert unknown.closest[0] == 1
    assert find_song(SONGS, "zzzz") == Unknown(False, ())


def test_accents_are_folded_away() -> None:
    assert fold_accents("Björk à la Ñandú") == "Bjork a la Nandu"
