"""Song files resemble the real ones: ranges, sentinels and irregularities that a parser must handle."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from msd_spark.synthetic.analysis import analysis
from msd_spark.synthetic.catalogue import Catalogue, make_catalogue, segment_counts
from msd_spark.synthetic.draws import AnyArray
from msd_spark.synthetic.settings import SyntheticSettings

Song = dict[str, AnyArray]
"""A song file's datasets by path."""


@pytest.fixture(scope="module")
def songs(folder: Path) -> list[Song]:
    """Read every song file with h5py: datasets by path."""
    read = []
    for path in sorted(folder.glob("songs/*/*/*/*.h5")):
        contents: Song = {}
        with h5py.File(path) as file:
            file.visititems(
                lambda name, node, contents=contents: (
                    contents.update({name: node[...]}) if isinstance(node, h5py.Dataset) else None
                )
            )
            assert contents["analysis/songs"]["track_id"][0].decode() == path.stem
            assert path.parts[-4:-1] == tuple(path.stem[2:5])
        read.append(contents)
    assert len(read) == 300
    return read


def column(songs: list[Song], group: str, name: str) -> AnyArray:
    """Return one column of a group's tables, one value per song."""
    return np.array([song[f"{group}/songs"][name][0] for song in songs])


def test_segments_resemble_the_real_ones(songs: list[Song]) -> None:
    for song in songs:
        starts, pitches = song["analysis/segments_start"], song["analysis/segments_pitches"]
        assert {len(values) for name, values in song.items() if "/segments_" in name} == {len(starts)}
        assert starts[0] == 0
        assert (np.diff(starts) > 0).all()
        assert starts[-1] < song["analysis/songs"]["duration"][0]
        assert pitches.min() >= 0
        assert set(pitches.max(axis=1)) == {1.0}
        timbre = song["analysis/segments_timbre"]
        assert np.abs(timbre).max() <= 490
        np.testing.assert_array_equal(timbre, np.rint(timbre * 1000) / 1000)
        for name in ("segments_loudness_max", "segments_loudness_start"):
            assert -60 <= song[f"analysis/{name}"].min() <= song[f"analysis/{name}"].max() <= 3


def test_times_lie_within_the_song(songs: list[Song]) -> None:
    for song in songs:
        duration = song["analysis/songs"]["duration"][0]
        for part in ("bars", "beats", "tatums", "sections"):
            starts, confidence = song[f"analysis/{part}_start"], song[f"analysis/{part}_confidence"]
            assert len(starts) == len(confidence)
            assert (np.diff(starts) > 0).all()
            assert ((starts >= 0) & (starts < duration)).all()
            assert ((confidence >= 0) & (confidence <= 1)).all()


def test_rare_songs_are_in_every_catalogue(songs: list[Song]) -> None:
    counts = np.array([len(song["analysis/segments_start"]) for song in songs])
    assert (counts.min(), counts.max()) == (4, 3303)
    assert 0 in column(songs, "analysis", "tempo")
    assert 0 in column(songs, "analysis", "time_signature")
    for part in ("bars", "beats", "tatums", "sections"):
        assert min(len(song[f"analysis/{part}_start"]) for song in songs) == 0
    tags = [len(song["musicbrainz/artist_mbtags"]) for song in songs]
    assert min(tags) == 0
    assert 0 < max(tags) <= 20


def test_sentinels_are_at_the_real_rates(songs: list[Song]) -> None:
    # Bounds are wide for places because all songs of an artist share them.
    assert 0.2 < np.isnan(column(songs, "metadata", "song_hotttnesss")).mean() < 0.42
    assert 0.02 < (column(songs, "metadata", "song_hotttnesss") == 0).mean() < 0.15
    assert 0.2 < (column(songs, "musicbrainz", "year") == 0).mean() < 0.42
    assert 0.4 < np.isnan(column(songs, "metadata", "artist_latitude")).mean() < 0.85
    assert 0.1 < (column(songs, "metadata", "artist_location") == b"").mean() < 0.55
    assert -1 in column(songs, "metadata", "artist_playmeid")
    for group, name in (("metadata", "genre"), ("metadata", "analyzer_version")):
        assert set(column(songs, group, name)) == {b""}
    for name in ("danceability", "energy"):
        assert set(column(songs, "analysis", name)) == {0.0}
    years = column(songs, "musicbrainz", "year")
    assert set(years) - {0} <= set(range(1960, 2011))


def test_names_are_utf8_and_some_are_hostile(songs: list[Song]) -> None:
    for name in ("artist_name", "title"):
        texts = [text.decode("utf-8") for text in column(songs, "metadata", name)]
        assert any("<script>" in text for text in texts)
        assert any("&" in text for text in texts)
        assert any(not text.isascii() for text in texts)


def test_artists_songs_and_titles_repeat(songs: list[Song]) -> None:
    artist, song = column(songs, "metadata", "artist_id"), column(songs, "metadata", "song_id")
    title = column(songs, "metadata", "title")
    assert len(set(artist)) < 0.6 * len(artist)
    duplicates = len(song) - len(set(song))
    recordings = len(song) - len(set(zip(artist, title, strict=True)))
    assert 0 < duplicates < recordings < 0.1 * len(song)


def test_all_songs_of_an_artist_have_the_same_artist_metadata(songs: list[Song]) -> None:
    artist = column(songs, "metadata", "artist_id")
    names, counts = np.unique(artist, return_counts=True)
    places = np.flatnonzero(artist == names[counts.argmax()])
    first, second = songs[places[0]], songs[places[-1]]
    assert places[0] != places[-1]
    for name in ("metadata/artist_terms", "metadata/similar_artists", "musicbrainz/artist_mbtags"):
        np.testing.assert_array_equal(first[name], second[name])
    assert len(set(first["metadata/similar_artists"])) == 100
    terms = first["metadata/artist_terms"]
    assert 2 <= len(terms) == len(first["metadata/artist_terms_freq"]) == len(first["metadata/artist_terms_weight"])


def test_segment_counts_have_the_real_quantiles() -> None:
    counts = segment_counts(np.linspace(0, 1, 20_001))
    assert (counts.min(), counts.max()) == (4, 3303)
    quantiles = np.quantile(counts, [0.01, 0.5, 0.99])
    np.testing.assert_allclose(quantiles, [158, 745.5, 1958], rtol=0.01)


def test_levels_and_spreads_are_near_the_real_ones(catalogue: Catalogue) -> None:
    # Values of the real catalogue; so few artists scatter around them.
    timbre = [analysis(catalogue, track).arrays["analysis/segments_timbre"] for track in range(0, 300, 3)]
    means = np.array([song.mean(axis=0) for song in timbre])
    within = np.array([song.std(axis=0) for song in timbre if len(song) > 100]).mean(axis=0)
    real_within = [5.6, 46, 42, 40, 30, 30, 25, 23, 20, 19, 18, 17]
    np.testing.assert_allclose(within, real_within, rtol=0.25)
    assert abs(means[:, 0].mean() - 43.7) < 3
    assert 25 < means[:, 1].std() < 60
    pitches = [analysis(catalogue, track).arrays["analysis/segments_pitches"] for track in range(0, 300, 10)]
    assert abs(np.concatenate(pitches).mean() - 0.36) < 0.04


def test_ids_are_unique_in_a_large_catalogue() -> None:
    catalogue = make_catalogue(SyntheticSettings(songs=50_000))
    assert len(set(catalogue.track_ids)) == 50_000
    assert {len(name) for name in catalogue.track_ids} == {18}
    artists = len(set(catalogue.artist.tolist()))
    assert 0.2 < artists / 50_000 < 0.3
    assert np.bincount(catalogue.artist).max() < 0.05 * 50_000
