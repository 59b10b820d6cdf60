from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from msd_spark.catalogue import known_tracks as module
from msd_spark.catalogue.known_tracks import NO_WORDS, SideTables, WordList, known_tracks
from msd_spark.core.errors import UserError
from msd_spark.core.schemas import ABSENT, FACTORS, LYRIC_WORDS
from msd_spark.core.warehouse import Warehouse
from tests.support.song_tables import (
    track,
    write_factors,
    write_labels,
    write_lyrics,
    write_popularity,
    write_tags,
)

TRACKS = pa.array([track(number) for number in range(4)])


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(str(tmp_path))


@pytest.fixture(params=[10_000, 0], ids=["filtered", "read completely"])
def few(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Read tables with and without a filter on the tracks."""
    monkeypatch.setattr(module, "FEW", request.param)
    return int(request.param)


def test_tracks_without_tables_have_nothing(warehouse: Warehouse) -> None:
    known = known_tracks(warehouse, TRACKS, 2)
    assert not any(flags.any() for flags in known.flags.values())
    assert known.lyrics.take(slice(None)).to_pylist() == [None] * 4


def test_a_list_of_words_without_lyrics_is_ignored(warehouse: Warehouse) -> None:
    warehouse.write_arrow(LYRIC_WORDS.empty_table(), "lyric_words")
    assert WordList.read(warehouse) == NO_WORDS


@pytest.mark.usefixtures("few")
def test_tracks_are_looked_up_in_every_table(warehouse: Warehouse) -> None:
    write_labels(warehouse, {track(3): "Rap", track(9): "Pop"}, "magd")
    write_lyrics(warehouse, {track(9): np.zeros(2), track(2): np.ones(2), track(1): None})
    write_popularity(warehouse, [track(9), track(0)])
    known = known_tracks(warehouse, TRACKS, 2)
    assert {name: flags.tolist() for name, flags in known.flags.items()} == {
        "has_lyrics": [False, False, True, False],
        "has_genre": [False, False, False, True],
        "has_listens": [True, False, False, False],
    }
    assert known.lyrics.take(np.array([2, 0, 2])).to_pylist() == [[1, 1], None, [1, 1]]
    assert not known_tracks(warehouse, TRACKS, 2, lyrics=False).flags["has_lyrics"].any()


@pytest.mark.usefixtures("few")
def test_factors_are_those_of_tracks_and_not_of_users(warehouse: Warehouse) -> None:
    write_factors(warehouse, {track(9): [9, 9], track(1): [1, 2]})  # with a user whose id is that of track 0
    factors, n_factors = SideTables(warehouse, TRACKS).factors()
    assert factors.take(slice(None)).to_pylist() == [None, [1, 2], None, None]
    assert n_factors == 2


@pytest.mark.usefixtures("few")
def test_popularity_of_a_track_without_listens_is_absent(warehouse: Warehouse) -> None:
    write_popularity(warehouse, [track(9), track(3)])
    rank, decile = SideTables(warehouse, TRACKS).popularity()
    assert rank.tolist() == [ABSENT, ABSENT, ABSENT, 2]
    assert decile.tolist() == [ABSENT, ABSENT, ABSENT, 4]


def test_a_track_whose_tags_are_all_unknown_has_an_empty_list(warehouse: Warehouse) -> None:
    write_tags(warehouse, [(track(2), "b"), (track(2), "a"), (track(3), "zz"), (track(9), "a")], ["a", "b", "zz"])
    tables = SideTables(warehouse, TRACKS)
    assert tables.tag_vocabulary(2) == ["a", "b"]
    assert tables.tags(["a", "b"]).take(slice(None)).to_pylist() == [None, None, [0, 1], []]


def test_a_needed_table_that_is_missing_is_named_with_its_command(warehouse: Warehouse) -> None:
    with pytest.raises(UserError, match="popularity is missing; run msd-spark plays first"):
        SideTables(warehouse, TRACKS, frozenset({"popularity"})).popularity()


def test_tables_that_do_not_fit_are_refused(warehouse: Warehouse) -> None:
    write_lyrics(warehouse, {track(0): np.ones(3)})
    with pytest.raises(UserError, match="lyrics/ has vectors of 3 numbers, not 2; run msd-spark lyrics again"):
        known_tracks(warehouse, TRACKS, 2)
    write_factors(warehouse, {track(0): [1.0], track(1): [1.0, 2.0]})
    with pytest.raises(UserError, match=r"factors/ has vectors of \[1, 2\] numbers; run msd-spark factors again"):
        SideTables(warehouse, TRACKS).factors()
    rows = [{"kind": "track", "id": track(1), "factors": [1.0]}] * 2
    warehouse.write_arrow(pa.Table.from_pylist(rows, FACTORS), "factors")
    with pytest.raises(UserError, match=f"factors/ has {track(1)} 2 times; run msd-spark factors again"):
        SideTables(warehouse, TRACKS).factors()
    write_labels(warehouse, {track(1): "Rap"}, "magd")
    with pytest.raises(UserError, match="labels/ has no label set cd1; choose --label-set from: magd"):
        SideTables(warehouse, pd.Series(TRACKS.to_pylist())).genre("cd1")


def test_lyrics_without_their_summary_are_refused(warehouse: Warehouse) -> None:
    write_lyrics(warehouse, {track(0): np.ones(2)})
    assert SideTables(warehouse, TRACKS).lyrics()[1:] == (2, "some vectors")
    warehouse.remove("summaries")
    with pytest.raises(UserError, match="does not name the word vectors of lyrics/; run msd-spark lyrics again"):
        SideTables(warehouse, TRACKS).lyrics()
