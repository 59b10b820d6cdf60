from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from msd_spark.catalogue.known_tracks import known_tracks
from msd_spark.catalogue.requirements import REQUIREMENTS
from msd_spark.catalogue.songs import read_songs
from msd_spark.core.errors import UserError
from msd_spark.core.schemas import LABELS
from msd_spark.core.warehouse import Warehouse
from msd_spark.dataset.selection import deciles_among, join, narrow
from msd_spark.dataset.settings import DatasetSettings
from tests.support.song_tables import (
    song,
    track,
    write_factors,
    write_labels,
    write_lyrics,
    write_popularity,
    write_songs,
    write_tags,
)


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(str(tmp_path))


TRACKS = pd.Series([track(number) for number in range(5)])


def settings(warehouse: Warehouse, **others: object) -> DatasetSettings:
    return DatasetSettings(warehouse.root, min_examples=1, **others)  # type: ignore[arg-type]


def test_missing_tables_count_as_empty(warehouse: Warehouse) -> None:
    joined = join(warehouse, TRACKS, settings(warehouse))
    assert not any(joined.has(name).any() for name in REQUIREMENTS)
    assert joined.genre.isna().all()
    assert (joined.popularity_decile == -1).all()
    assert joined.lyrics.take(np.arange(5)).to_pylist() == [None] * 5
    assert joined.lyric_fingerprint == "none"


@pytest.mark.parametrize(
    ("options", "job"),
    [
        ({"require": ("lyrics",)}, "lyrics is missing; run msd-spark lyrics first"),
        ({"require": ("genre",)}, "labels is missing; run msd-spark labels first"),
        ({"require": ("tags",)}, "tags is missing; run msd-spark labels first"),
        ({"require": ("listens",)}, "popularity is missing; run msd-spark plays first"),
        ({"require": ("factors",)}, "factors is missing; run msd-spark factors first"),
        ({"tags": 5}, "tag_counts is missing; run msd-spark labels first"),
        ({"factors": True}, "factors is missing; run msd-spark factors first"),
        ({"most_popular": 5}, "popularity is missing; run msd-spark plays first"),
    ],
)
def test_a_missing_table_is_named_with_its_command(warehouse: Warehouse, options: dict[str, object], job: str) -> None:
    with pytest.raises(UserError, match=f"table .*/{job}"):
        join(warehouse, TRACKS, settings(warehouse, **options))


def test_rows_of_the_tables_reach_their_tracks(warehouse: Warehouse) -> None:
    write_labels(warehouse, {track(3): "Rap", track(9): "Pop", track(0): "Jazz"})
    write_lyrics(warehouse, {track(9): np.zeros(50), track(2): np.ones(50), track(1): None})
    write_popularity(warehouse, [track(4), track(9), track(1)])
    write_factors(warehouse, {track(9): [9.0, 9], track(1): [1.0, 2]})
    write_tags(warehouse, [(track(2), "b"), (track(2), "a"), (track(3), "zz"), (track(9), "a")], ["a", "b", "zz"])
    joined = join(warehouse, TRACKS, settings(warehouse, tags=2, factors=True))
    everyone = np.arange(5)
    assert joined.genre.fillna("").tolist() == ["Jazz", "", "", "Rap", ""]
    assert joined.lyrics.take(everyone).to_pylist() == [None, None, [1.0] * 50, None, None]
    assert joined.lyric_fingerprint == "some vectors"
    # Ranks 0, 1, 2 of 3: deciles 9, 9 - 10 // 3 = 6, 9 - 20 // 3 = 3.
    assert joined.popularity_rank.tolist() == [-1, 3, -1, -1, 1]
    assert joined.popularity_decile.tolist() == [-1, 3, -1, -1, 9]
    assert joined.factors.take(everyone).to_pylist() == [None, [1.0, 2.0], None, None, None]
    assert joined.n_factors == 2
    assert joined.tag_vocabulary == ["a", "b"]
    # Track 3 has a tag, but none of the vocabulary's.
    assert joined.tags.take(everyone).to_pylist() == [None, None, [0, 1], [], None]
    assert joined.has("tags").tolist() == [False, False, True, True, False]
    assert joined.tags.take(np.array([2, 2, 0])).to_pylist() == [[0, 1], [0, 1], None]


def test_tables_that_cannot_be_joined_are_refused(warehouse: Warehouse) -> None:
    write_labels(warehouse, {track(1): "Rap"}, "magd")
    with pytest.raises(UserError, match="labels/ has no label set cd1; choose --label-set from: magd"):
        join(warehouse, TRACKS, settings(warehouse))
    twice = [{"track_id": track(1), "genre": genre, "label_set": "cd1"} for genre in ("Rap", "Pop")]
    warehouse.write_arrow(pa.Table.from_pylist(twice, LABELS), "labels")
    with pytest.raises(UserError, match=f"labels/ has {track(1)} 2 times; run msd-spark labels again"):
        join(warehouse, TRACKS, settings(warehouse))
    write_labels(warehouse, {track(1): "Rap"})
    write_factors(warehouse, {track(0): [1.0], track(1): [1.0, 2.0]})
    with pytest.raises(UserError, match=r"factors/ has vectors of \[1, 2\] numbers"):
        join(warehouse, TRACKS, settings(warehouse, factors=True))
    write_lyrics(warehouse, {track(0): np.ones(3)})
    assert join(warehouse, TRACKS, settings(warehouse)).lyric_size == 3
    with pytest.raises(UserError, match="lyrics/ has vectors of 3 numbers, not 50"):
        known_tracks(warehouse, pa.array(TRACKS), 50)


def test_songs_are_read_with_their_places(warehouse: Warehouse) -> None:
    write_songs(warehouse, [song(number) for number in (4, 2, 0, 1, 3, 7, 6, 5)], per_group=2, per_file=5)
    tracks, paths = read_songs(warehouse)
    assert tracks["track_id"].tolist() == [track(number) for number in range(8)]
    assert len(paths) == 2
    places = tracks[["source_file", "row_group", "source_row"]].to_numpy().tolist()
    assert places[4] == [0, 0, 0]
    assert places[1] == [0, 1, 1]
    assert places[3] == [0, 2, 0]
    assert places[5] == [1, 1, 0]
    assert tracks["artist_group"].tolist() == [f"AR{number:016d}" for number in range(8)]


def test_a_repeated_track_is_refused(warehouse: Warehouse) -> None:
    write_songs(warehouse, [song(1), song(2), song(1)])
    with pytest.raises(UserError, match=f"songs/ has {track(1)} twice"):
        read_songs(warehouse)


def test_required_steps_drop_songs_and_other_steps_count_them(warehouse: Warehouse) -> None:
    songs = [song(number, n_segments=0 if number == 0 else 2) for number in range(8)]
    write_songs(warehouse, songs)
    write_labels(warehouse, {track(number): "Rap" if number < 6 else "Polka" for number in range(2, 7)})
    write_lyrics(warehouse, {track(number): np.ones(50) for number in (1, 2, 3, 6)})
    write_popularity(warehouse, [track(number) for number in (6, 5, 4, 3, 2, 1, 0)])
    tracks, _ = read_songs(warehouse)

    def counts(**options: object) -> dict[str, tuple[int, int]]:
        chosen = DatasetSettings(warehouse.root, min_examples=2, **options)  # type: ignore[arg-type]
        funnel, vocabulary, rare = narrow(tracks, join(warehouse, tracks["track_id"], chosen), chosen)
        assert (vocabulary, rare) == (["Rap"], {"Polka": 1})
        return {step.name: (step.tracks, step.left_out) for step in funnel.steps}

    assert counts() == {
        "songs": (8, 0),
        "with segments": (7, 1),
        "with lyrics": (4, 0),
        "with listens": (6, 0),
        "labelled": (5, 0),
        "after rare genres": (4, 0),
    }
    assert counts(require=("genre", "lyrics"), most_popular=6) == {
        "songs": (8, 0),
        "with segments": (7, 1),
        "the 6 most popular": (6, 1),
        "with lyrics": (4, 2),
        "with listens": (4, 0),
        "labelled": (3, 1),
        "after rare genres": (2, 1),
    }
    chosen = settings(warehouse, require=("tags",))
    write_tags(warehouse, [], [])
    with pytest.raises(UserError, match=r"no song is left: 8 songs, 7 with segments, .*0 with tags.*change --require"):
        narrow(tracks, join(warehouse, tracks["track_id"], chosen), chosen)


def test_deciles_of_the_most_popular_are_among_the_chosen_songs() -> None:
    ranks = np.array([30, -1, *range(1, 21), 40])
    chosen = np.array([True, True, *[True] * 18, False, False, True])
    # In order: 18 ranks, then 30 and 40; two songs per decile.
    expected = [0, -1, *(9 - place // 2 for place in range(18)), -1, -1, 0]
    assert deciles_among(ranks, chosen).tolist() == expected
