"""What the report reads of its songs: probabilities, languages and tags, in the order of its rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from msd_spark.core.schemas import TAG_COUNTS, TAGS
from msd_spark.core.warehouse import Warehouse
from msd_spark.report.data.songs import LEAST_SCORE, read_languages, read_songs, read_tags
from msd_spark.report.data.sources import Sources
from tests.support.report_run import RUN, write_report_run


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    return write_report_run(tmp_path_factory.mktemp("songs"), 40)


@pytest.fixture
def sources(warehouse: Warehouse) -> Sources:
    return Sources.open(warehouse, RUN)


def test_songs_keep_their_values_when_they_are_ordered_by_cell(sources: Sources) -> None:
    songs = read_songs(sources)
    assert songs.table["track_id"].is_monotonic_increasing
    rows = np.arange(30, 5, -1)
    some = songs.by_cell(rows)
    assert some.probabilities is not None
    assert songs.probabilities is not None
    assert sorted(some.table["track_id"]) == sorted(songs.table["track_id"].iloc[rows])
    places = pd.Index(songs.table["track_id"]).get_indexer(pd.Index(some.table["track_id"]))
    np.testing.assert_array_equal(some.probabilities, songs.probabilities[places])
    # Without a map and with few songs there is one cell, so the order is that of the ids.
    names = np.array(sources.class_names)
    assert (names[some.probabilities.argmax(axis=1)] == some.table["predicted_genre"]).all()


def test_languages_are_those_of_the_lyrics(sources: Sources) -> None:
    table = read_songs(sources).table[::-1]
    languages = pd.Series(read_languages(sources, table["track_id"]), table.index)
    # Latin songs have Spanish lyrics, the others English ones, every fourth song none.
    assert languages.isna().tolist() == [row % 4 == 3 for row in table.index]
    expected = np.where(table["genre"] == "Latin", "es", "en")
    assert (languages.dropna() == expected[languages.notna()]).all()


def test_frequent_tags_have_the_rows_of_their_songs(sources: Sources, warehouse: Warehouse) -> None:
    ids = pd.Series(["TR000002AAAAAAAAAA", "TR000001AAAAAAAAAA"])
    assert read_tags(sources, ids) is None
    tags = [(ids[1], "calm", 100.0), (ids[0], "calm", 30.0), (ids[0], "loud", LEAST_SCORE - 1), ("TRX", "calm", 100.0)]
    tags += [(ids[0], "rare", 90.0)]
    warehouse.write_arrow(pa.Table.from_pylist([dict(zip(TAGS.names, row, strict=True)) for row in tags], TAGS), "tags")
    counts = [("calm", 3, 1), ("loud", 1, 2), ("rare", 1, 501)]
    rows = [dict(zip(TAG_COUNTS.names, row, strict=True)) for row in counts]
    warehouse.write_arrow(pa.Table.from_pylist(rows, TAG_COUNTS), "tag_counts")
    table = read_tags(sources, ids)
    assert table is not None
    assert sorted(table.itertuples(index=False, name=None)) == [(0, "calm"), (1, "calm")]


def test_a_run_without_lyrics_has_no_languages(tmp_path: Path) -> None:
    warehouse = write_report_run(tmp_path, 30)
    warehouse.remove("lyrics")
    sources = Sources.open(warehouse, RUN)
    ids = read_songs(sources).table["track_id"]
    assert pd.isna(read_languages(sources, ids)).all()
