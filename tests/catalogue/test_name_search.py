"""Songs found by what people type."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from msd_spark.catalogue.name_index import FILE, Named, NameIndex, build_name_index
from msd_spark.catalogue.name_search import ARTIST, NONE, ONE, SEVERAL, search_names
from msd_spark.catalogue.named_songs import MEASURES, known
from msd_spark.catalogue.names import normalise_name, search_words
from tests.conftest import REPOSITORY
from tests.support.named_songs import found_in, indexed, names, numbered

SONGS = numbered(
    [
        ("Beyoncé", "Halo"),
        ("Eagles", "Hotel California"),
        ("Queen", "Halo"),
        ("AC/DC", "Thunderstruck"),
        ("Gipsy Kings", "Hotel California"),
        ("Eagles", "Hotel California (Live)"),
        ("Beyoncé feat. Jay-Z", "Crazy In Love"),
        ("Señor Peso", "Mañana"),
        ("Senor Peso", "Mañana"),
        ("The Beatles", "Let It Be"),
        ("Frank Sinatra", "My Way (Album Version)"),
        ("Simon & Garfunkel", "Mrs. Robinson"),
        ("Johnny Cash / June Carter", "Jackson"),
        ("!!!", "???"),
        (None, "Alone"),
        ("Nobody", None),
        ("R.E.M.", "Losing My Religion"),
        ("Sex Pistols", "My Way Home"),
    ]
)


@pytest.mark.parametrize(
    ("query", "song"),
    [
        ("ac-dc -  THUNDERSTRUCK", "Thunderstruck"),
        ("ＡＣ／ＤＣ - thunderstruck!", "Thunderstruck"),
        ("acdc thunder struck", "Thunderstruck"),
        ("thunderstruck ac dc", "Thunderstruck"),
        ("thunderstruk", "Thunderstruck"),
        ("beyonce halo", "Halo"),
        ("crazy in love", "Crazy In Love"),
        ("Crazy in Love by Beyonce", "Crazy In Love"),
        ("jay z - crazy in love", "Crazy In Love"),
        ("beyonse crazy in luve", "Crazy In Love"),
        ("eagles hotel california", "Hotel California"),
        ("eagles - hotel california live", "Hotel California (Live)"),
        ("Beatles: Let it be", "Let It Be"),
        ("sinatra my way", "My Way (Album Version)"),
        ("my way", "My Way (Album Version)"),
        ("simon and garfunkel mrs robinson", "Mrs. Robinson"),
        ("june carter jackson", "Jackson"),
        ("rem losing my religion", "Losing My Religion"),
        ("alone", "Alone"),
        ("???", "???"),
    ],
)
def test_a_song_is_found_in_any_spelling_and_order(query: str, song: str) -> None:
    found = found_in(SONGS, query)
    assert found.outcome == ONE
    assert found.song is not None
    assert found.song.title == song


def test_a_typing_error_is_reported() -> None:
    assert not found_in(SONGS, "thunderstruk").is_equal
    assert found_in(SONGS, "thunder-struck").is_equal


def test_another_number_is_another_name() -> None:
    songs = numbered([("Various", "Symphony No. 5"), ("Various", "Symphony No. 7")])
    found = found_in(songs, "symphony no 9")
    assert (found.outcome, len(found.others)) == (NONE, 2)
    found = found_in(songs, "symphoni no 7")
    assert found.song is not None
    assert found.song.title == "Symphony No. 7"


def test_versions_by_several_artists_are_listed_once_per_artist() -> None:
    found = found_in(SONGS, "hotel california")
    assert found.outcome == SEVERAL
    assert names(found.others) == [("Eagles", "Hotel California"), ("Gipsy Kings", "Hotel California")]
    assert found.versions == (2, 1)
    assert found.is_equal


def test_other_versions_by_the_artist_are_listed() -> None:
    found = found_in(SONGS, "hotel california eagles")
    assert names(found.others) == [("Eagles", "Hotel California (Live)")]


def test_accents_distinguish_names_that_are_equal_without() -> None:
    for artist in ("Señor Peso", "Senor Peso"):
        found = found_in(SONGS, f"{artist} - Mañana")
        assert found.song is not None
        assert found.song.artist == artist


def test_the_name_of_an_artist_lists_the_best_known_songs() -> None:
    songs = numbered([("Björk", f"Song {number}") for number in range(30)] + [("Margaret Cho", "Björk")])
    found = found_in(songs, "bjork")
    assert found.outcome == ARTIST
    assert names(found.others)[:3] == [("Björk", "Song 0"), ("Björk", "Song 1"), ("Björk", "Song 2")]
    assert names(found.others)[-1] == ("Margaret Cho", "Björk")


def test_a_frequent_title_precedes_a_rare_one_that_is_misspelt() -> None:
    frequent = [(f"Artist {number}", "Hallelujah") for number in range(12)]
    found = found_in(numbered([*frequent, ("Charlie Daniels", "Halelujah")]), "halelujah")
    assert found.outcome == SEVERAL
    assert names(found.others)[0] == ("Artist 0", "Hallelujah")
    assert ("Charlie Daniels", "Halelujah") in names(found.others)
    found = found_in(numbered([*frequent[:3], ("Charlie Daniels", "Halelujah")]), "halelujah")
    assert found.song is not None
    assert found.song.artist == "Charlie Daniels"


def test_the_closest_names_are_suggested() -> None:
    found = found_in(SONGS, "metallica thunderstruck")
    assert found.outcome == NONE
    assert names(found.others)[0] == ("AC/DC", "Thunderstruck")
    assert found_in(SONGS, "ξξξ").others == ()
    assert found_in(SONGS, "").outcome == NONE
    assert found_in([], "halo").outcome == NONE


def test_the_better_known_song_comes_first() -> None:
    measures = np.array([[0.9, 0.8, 0.7], [np.nan, 0.8, 0.7], [np.nan, np.nan, np.nan], [1.1, 1.0, 1.2]])
    np.testing.assert_allclose(known(measures, None), [0.8, 1.7 / 3, 0.2, 1.0])
    plays = np.array([0.0, 99.0, 9.0, 0.0])
    np.testing.assert_allclose(known(measures, plays), [0.4, 0.5 * (1.7 / 3 + 1), 0.35, 0.5])


WORD = st.text(st.sampled_from("abcdeéñöØß'-/1 "), min_size=1, max_size=8)
CATALOGUES = st.lists(st.tuples(WORD, WORD), min_size=1, max_size=12)


def listed(query: str, index: NameIndex) -> list[Named]:
    """Return the song that a search found, and all that it listed."""
    found = search_names(index, query)
    return [*([found.song] if found.song else []), *found.others]


@settings(max_examples=60)
@given(CATALOGUES)
def test_every_title_finds_itself(catalogue: list[tuple[str, str]]) -> None:
    with indexed(numbered(catalogue)) as index:
        for artist, title in catalogue:
            if all(any(map(str.isalnum, name)) for name in (artist, title)):
                titles = {normalise_name(song.title or "") for song in listed(title, index)}
                artists = {normalise_name(song.artist or "") for song in listed(title, index)}
                assert normalise_name(title) in titles or normalise_name(title) in artists
                pairs = {normalise_name(f"{song.artist} {song.title}") for song in listed(f"{artist} - {title}", index)}
                assert normalise_name(f"{artist} {title}") in pairs


@settings(max_examples=60)
@given(CATALOGUES, st.data())
def test_case_and_accents_of_a_query_do_not_matter(catalogue: list[tuple[str, str]], data: st.DataObject) -> None:
    _, title = data.draw(st.sampled_from(catalogue))
    plain = "".join(mark for mark in unicodedata.normalize("NFD", title) if not unicodedata.combining(mark))
    assume(search_words(title) and len(title.strip()))
    with indexed(numbered(catalogue)) as index:
        # A query with the accents of a song may choose it among the songs that are equal without; all are listed.
        songs = {song.number for song in listed(title, index)}
        assert songs == {song.number for song in listed(plain.upper(), index)}
        assert songs == {song.number for song in listed(f"  {title}  ", index)}


@settings(max_examples=20)
@given(CATALOGUES, WORD)
def test_the_result_does_not_depend_on_earlier_searches_or_on_the_file(
    catalogue: list[tuple[str, str]], query: str
) -> None:
    songs = numbered(catalogue)
    first = found_in(songs, query)
    with indexed(songs) as index:
        listed("something else", index)
        assert search_names(index, query) == first


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NameIndex]:
    """An index of 100,000 real songs, those with the words of the searches among them."""
    path = REPOSITORY.parent / "shared" / "msd-real" / "million.parquet"
    if not path.is_file():
        pytest.skip(f"real sample: no file {path}")
    songs = pq.read_table(path, columns=["track_id", "artist_name", "title", *MEASURES]).to_pandas()
    measures = songs[list(MEASURES)].to_numpy(float)
    measures[:, 0][measures[:, 0] == 0] = np.nan  # as ingest reads it
    songs["known"] = known(measures, None)
    text = songs["artist_name"].str.lower() + " " + songs["title"].str.lower()
    words = "california|elujah|beyonc|teen spirit|yesterday|bj.rk|sandman|thunderstruck|bamba|my way|metallica"
    chosen = songs[text.str.contains(words) | (songs.index % 12 == 0)]
    chosen = chosen.sort_values(["known", "track_id"], ascending=[False, True])
    columns = (chosen[name].tolist() for name in ("track_id", "artist_name", "title", "known"))
    rows = enumerate(zip(*columns, strict=True))
    file = tmp_path_factory.mktemp("names") / FILE
    build_name_index(
        file, [Named(n, track, artist, title, None, None, level) for n, (track, artist, title, level) in rows]
    )
    with NameIndex(file) as index:
        yield index


@pytest.mark.parametrize(
    ("query", "artist", "title"),
    [
        ("hotel california", "Eagles", "Hotel California"),
        ("halelujah", "Jeff Buckley", "Hallelujah"),
        ("beyonce crazy in love", "Beyoncé", "Crazy In Love"),
        ("smells like teen spirit", "Nirvana", "Smells Like Teen Spirit"),
        ("the beatles yesterday", "Beatles Tribute", "Yesterday"),
        ("bjork hyperbalad", "Björk", "Hyperballad"),
        ("enter sandmann", "Metallica", "Enter Sandman"),
        ("metallica", "Metallica", "Enter Sandman"),
        ("ac dc thunderstruck", "Hinder", "Thunderstruck"),
        ("la bamba live", "Selena", "La Bamba"),
        ("my way", "Sex Pistols", "My Way"),
        ("eagels hotel california", "Eagles", "Hotel California"),
    ],
)
def test_real_searches(real: NameIndex, query: str, artist: str, title: str) -> None:
    assert names(listed(query, real))[0] == (artist, title)


def test_real_names_find_themselves(real: NameIndex) -> None:
    songs = real._songs(range(0, 100_000, 4_999))
    for song in songs:
        first = listed(f"{song.artist} - {song.title}", real)[0]
        assert search_words(f"{first.artist} {first.title}") == search_words(f"{song.artist} {song.title}")
