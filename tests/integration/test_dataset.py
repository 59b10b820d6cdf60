from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from msd_spark.schema import EXAMPLES, GEOMETRY, SPLITS
from msd_spark.splits import SplitRule
from msd_spark.warehouse import Warehouse


@pytest.fixture(scope="module")
def examples(warehouse: Warehouse) -> pd.DataFrame:
    parts = [
        pq.read_table(warehouse.path("dataset", "genre", split)).to_pandas().assign(split=split) for split in SPLITS
    ]
    return pd.concat(parts, ignore_index=True)


def test_examples_hold_the_songs_segments(warehouse: Warehouse, examples: pd.DataFrame) -> None:
    songs = pq.read_table(warehouse.path("songs")).to_pandas().set_index("track_id")
    for row in examples.to_dict("records"):
        song = songs.loc[row["track_id"]]
        assert row["n_segments"] == min(song["n_segments"], 300)
        for found, source in ((row["chroma"], song["segments_pitches"]), (row["timbre"], song["segments_timbre"])):
            assert len(found) == 300 * 12
            np.testing.assert_array_equal(found[: row["n_segments"] * 12], source[: row["n_segments"] * 12])
            assert not found[row["n_segments"] * 12 :].any()


def test_labels_lyrics_and_counts_are_the_sources(warehouse: Warehouse, examples: pd.DataFrame) -> None:
    metadata = warehouse.read_json("dataset", "genre", "metadata.json")
    labels = pq.read_table(warehouse.path("labels"), filters=[("label_set", "=", "cd1")]).to_pandas()
    labels = labels.set_index("track_id")["genre"]
    lyrics = pq.read_table(warehouse.path("lyrics")).to_pandas().set_index("track_id")["lyric_vector"]
    assert [metadata["labels"][index] for index in examples["genre_index"]] == labels[examples["track_id"]].tolist()
    for row in examples.to_dict("records"):
        if row["has_lyrics"]:
            np.testing.assert_array_equal(row["lyric_vector"], lyrics[row["track_id"]])
        else:
            assert row["track_id"] not in lyrics.index
            assert not row["lyric_vector"].any()
    funnel = metadata["funnel"]
    assert funnel["songs"] == 160
    assert funnel["labelled"] == funnel["after rare genres"] + sum(metadata["rare_genres"].values())
    assert funnel["after rare genres"] == len(examples) == sum(funnel[split] for split in SPLITS)
    by_genre = pd.crosstab(examples["genre_index"], examples["split"])
    for index, genre in enumerate(metadata["labels"]):
        assert {split: int(by_genre.loc[index].get(split, 0)) for split in SPLITS} == metadata["examples_by_genre"][
            genre
        ]


def test_no_artist_and_no_song_is_in_two_splits(warehouse: Warehouse, examples: pd.DataFrame) -> None:
    songs = pq.read_table(warehouse.path("songs"), columns=["track_id", "song_id", "artist_id"]).to_pandas()
    joined = examples[["track_id", "split", "artist_group"]].merge(songs, on="track_id")
    for key in ("artist_group", "artist_id", "song_id"):
        assert len(joined[[key, "split"]].drop_duplicates()) == joined[key].nunique()
    rule = SplitRule()
    assert [rule.split_of(group) for group in joined["artist_group"]] == joined["split"].tolist()


def test_files_are_the_plans_units(warehouse: Warehouse) -> None:
    metadata = warehouse.read_json("dataset", "genre", "metadata.json")
    for split in SPLITS:
        on_disk = {Path(info.path).name for info in warehouse.list_files(warehouse.path("dataset", "genre", split))}
        assert on_disk == {file["name"] for file in metadata["files"][split]}
        for file in metadata["files"][split]:
            opened = pq.ParquetFile(warehouse.path("dataset", "genre", split, file["name"]))
            assert (opened.num_row_groups, opened.metadata.num_rows) == (1, file["rows"])
            assert opened.schema_arrow.names == EXAMPLES.names


def test_normalisation_is_of_the_train_split_alone(warehouse: Warehouse, examples: pd.DataFrame) -> None:
    found = warehouse.read_json("dataset", "genre", "metadata.json")["normalisation"]
    train = examples[examples["split"] == "train"]
    rows = np.concatenate(
        [row["timbre"].reshape(-1, 12)[: row["n_segments"]] for row in train.to_dict("records")]
    ).astype(float)
    np.testing.assert_allclose(found["timbre"]["mean"], rows.mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(found["timbre"]["deviation"], rows.std(axis=0), rtol=1e-9)
    vectors = np.stack(list(train[train["has_lyrics"] > 0]["lyric_vector"])).astype(float)
    np.testing.assert_allclose(found["lyric_vector"]["mean"], vectors.mean(axis=0), rtol=1e-9, atol=1e-12)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_petastorm_and_spark_read_the_same_rows(
    spark: SparkSession, warehouse: Warehouse, examples: pd.DataFrame
) -> None:
    from petastorm import make_batch_reader

    train = examples[examples["split"] == "train"]
    with make_batch_reader(
        warehouse.address("dataset", "genre", "train"), reader_pool_type="dummy", num_epochs=1
    ) as reader:
        groups = [(group.track_id, group.chroma) for group in reader]
    assert sorted(np.concatenate([ids for ids, _ in groups])) == sorted(train["track_id"])
    assert {chroma.shape[1:] for _, chroma in groups} == {(GEOMETRY.n_segments * GEOMETRY.n_pitches,)}
    by_spark = spark.read.parquet(warehouse.address("dataset", "genre", "train")).select("track_id").toPandas()
    assert sorted(by_spark["track_id"]) == sorted(train["track_id"])
