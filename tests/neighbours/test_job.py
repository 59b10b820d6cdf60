"""The neighbours of a small space through Spark: the table, the index and the quality metrics."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from msd_spark.catalogue.embeddings import read_embeddings
from msd_spark.core.delta import LOG, logical_name
from msd_spark.core.errors import UserError
from msd_spark.core.schemas import FACTORS, NEIGHBOURS
from msd_spark.core.warehouse import Warehouse
from msd_spark.neighbours.index import read_index
from msd_spark.neighbours.job import find_neighbours
from msd_spark.neighbours.settings import INDEX_FILE, QUALITY_FILE, SEARCH_FILE, NeighbourSettings
from tests.support.embedded_songs import write_embedded_songs

N = 240


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    return write_embedded_songs(tmp_path_factory.mktemp("embedded"), N)


def by_hand(warehouse: Warehouse, leave_out: pd.Series | None = None) -> dict[str, list[str]]:
    """Return the ten nearest of each song by a full sort of cosines in float64."""
    embedded = read_embeddings(warehouse, "tiny")
    unit = embedded.vectors.astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    distances = 1 - unit @ unit.T
    np.fill_diagonal(distances, np.inf)
    if leave_out is not None:
        keys = leave_out.reindex(embedded.track_ids).to_numpy()
        distances[keys[:, None] == keys] = np.inf
    order = np.argsort(distances, axis=1, kind="stable")[:, :10]
    return {track: embedded.track_ids[row].tolist() for track, row in zip(embedded.track_ids, order, strict=True)}


def table(warehouse: Warehouse) -> pd.DataFrame:
    return warehouse.read_table(None, "neighbours", "tiny").to_pandas()


def content(warehouse: Warehouse) -> dict[str, bytes]:
    """Return the content of all files, by their names without the part that differs between runs."""
    table = ("neighbours", "tiny")
    names = {Path(warehouse.file(*table, name)).name: name for name in (INDEX_FILE, SEARCH_FILE)}
    names |= {file.name: logical_name(file.name) for file in warehouse.snapshot(*table).files}
    return {names[path.name]: path.read_bytes() for path in Path(warehouse.path(*table)).iterdir() if path.name != LOG}


def test_neighbours_do_not_depend_on_the_blocks(spark: SparkSession, songs: Warehouse) -> None:
    settings = NeighbourSettings(songs.root, queries_per_task=70, quality=False)
    summary = find_neighbours(spark, settings, "tiny")
    assert summary.facts["rows"] == N * 10
    assert summary.facts["songs with fewer than k"] == 0
    rows = table(songs)
    assert rows["rank"].tolist() == list(range(1, 11)) * N
    assert rows.groupby("track_id")["neighbour_id"].apply(list).to_dict() == by_hand(songs)
    assert (rows.groupby("track_id")["distance"].diff().dropna() >= 0).all()
    first = content(songs)
    assert sorted(first) == [
        INDEX_FILE,
        SEARCH_FILE,
        *(f"part-{number:05d}.parquet" for number in range(4)),
    ]
    find_neighbours(spark, settings, "tiny")
    assert content(songs) == first
    read = spark.read.parquet(*songs.paths("neighbours", "tiny"))
    assert read.columns == NEIGHBOURS.names
    assert read.count() == N * 10


def test_songs_of_the_same_artist_are_replaced_by_others(spark: SparkSession, songs: Warehouse) -> None:
    find_neighbours(spark, NeighbourSettings(songs.root, exclude=("same-artist",), quality=False), "tiny")
    names = songs.read_table(["track_id", "artist_id"], "songs").to_pandas()
    artists = names.set_index("track_id")["artist_id"]
    neighbours = table(songs).groupby("track_id")["neighbour_id"].apply(list).to_dict()
    assert neighbours == by_hand(songs, artists)


def test_index_has_the_stated_recall(spark: SparkSession, songs: Warehouse) -> None:
    find_neighbours(spark, NeighbourSettings(songs.root, method="approximate", quality=False), "tiny")
    exact = by_hand(songs)
    neighbours = table(songs).groupby("track_id")["neighbour_id"].apply(set).to_dict()
    share = np.mean([len(neighbours[track] & set(exact[track])) / 10 for track in exact])
    search = songs.read_json("neighbours", "tiny", SEARCH_FILE)
    assert search["method"] == "approximate"
    assert search["index"]["recall_at_10"] == pytest.approx(share, abs=0.05)
    assert share > 0.9
    index = read_index(songs.filesystem, songs.file("neighbours", "tiny", INDEX_FILE))
    assert (index.ntotal, index.d, index.nprobe) == (N, 50, search["index"]["lists_looked_into"])


def test_missing_and_invalid_embeddings_are_rejected(spark: SparkSession, tmp_path: Path) -> None:
    warehouse = write_embedded_songs(tmp_path, 12)
    with pytest.raises(UserError, match=r"table .*/embeddings/other is missing; run msd-spark score first"):
        find_neighbours(spark, NeighbourSettings(warehouse.root), "other")
    embeddings = warehouse.read_table(None, "embeddings", "tiny")
    rows = embeddings.to_pylist()
    warehouse.write_arrow(embeddings.from_pylist([*rows, rows[0]], embeddings.schema), "embeddings", "tiny")
    with pytest.raises(UserError, match=f"embeddings/tiny has {rows[0]['track_id']} twice"):
        find_neighbours(spark, NeighbourSettings(warehouse.root), "tiny")
    rows[3]["embedding"][7] = float("nan")
    warehouse.write_arrow(embeddings.from_pylist(rows, embeddings.schema), "embeddings", "tiny")
    with pytest.raises(UserError, match="1 vectors are not finite"):
        find_neighbours(spark, NeighbourSettings(warehouse.root), "tiny")


def test_quality_is_compared_with_chance_and_raw_features(
    spark: SparkSession, songs: Warehouse, capsys: pytest.CaptureFixture[str]
) -> None:
    find_neighbours(spark, NeighbourSettings(songs.root), "tiny")
    quality = songs.read_json("neighbours", "tiny", QUALITY_FILE)
    assert quality["label_set"] == "cd1"
    assert quality["songs_without_raw_features"] == 0
    genre = quality["neighbours_that_share"]["all"]["genre"]["embedding"]
    sizes = songs.read_table(None, "labels").to_pandas()["genre"].value_counts()
    chance = (sizes * (sizes - 1)).sum() / (N * (N - 1))  # all songs have ten neighbours
    assert genre["chance"] == pytest.approx(chance)
    assert genre["pairs"] == N * 10
    rows = table(songs)
    by_track = songs.read_table(None, "labels").to_pandas().set_index("track_id")["genre"]
    same = rows["track_id"].map(by_track) == rows["neighbour_id"].map(by_track)
    assert genre["share"] == pytest.approx(same.mean())
    language = quality["neighbours_that_share"]["all"]["language"]["embedding"]
    assert language["pairs"] < N * 10  # a quarter of the songs has no lyrics
    assert language["share"] > language["chance"] + 0.2
    assert "artist" not in quality["neighbours_that_share"]["of other artists"]
    probes = quality["probes"]
    assert probes["genre"]["embedding"]["value"] > 0.9 > probes["genre"]["embedding"]["chance"]
    assert probes["tempo"]["embedding"]["value"] < probes["tempo"]["embedding"]["chance"] / 2
    assert probes["key"]["embedding"]["value"] < 0.3  # random here
    assert quality["genre_clusters"]["embedding"]["v_measure"] > 0.9
    assert "neighbours (of other artists) with the same language" in capsys.readouterr().out
    with pytest.raises(UserError, match="labels/ has no label set magd; choose --label-set from: cd1"):
        find_neighbours(spark, NeighbourSettings(songs.root, label_set="magd"), "tiny")
    assert songs.read_json("neighbours", "tiny", QUALITY_FILE) == quality


def test_factors_are_searched_like_embeddings(spark: SparkSession, songs: Warehouse) -> None:
    embedded = read_embeddings(songs, "tiny")
    rows = [
        {"kind": "track", "id": track, "factors": vector[:9].tolist()}
        for track, vector in zip(embedded.track_ids, embedded.vectors, strict=True)
    ]
    rows.append({"kind": "user", "id": "someone", "factors": [1.0] * 9})
    songs.write_arrow(pa.Table.from_pylist(rows, FACTORS), "factors")
    find_neighbours(spark, NeighbourSettings(songs.root, space="factors"), "listens")
    table = songs.read_table(None, "neighbours", "listens").to_pandas()
    assert len(table) == N * 10
    unit = embedded.vectors[:, :9] / np.linalg.norm(embedded.vectors[:, :9], axis=1, keepdims=True)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -1)
    nearest = dict(zip(embedded.track_ids, embedded.track_ids[cosines.argmax(axis=1)], strict=True))
    firsts = table[table["rank"] == 1].set_index("track_id")["neighbour_id"].to_dict()
    assert firsts == nearest
    assert songs.read_json("neighbours", "listens", SEARCH_FILE)["space"] == "factors"
    quality = songs.read_json("neighbours", "listens", QUALITY_FILE)
    genre = quality["neighbours_that_share"]["all"]["genre"]["embedding"]
    assert genre["share"] > genre["chance"] + 0.3
    with pytest.raises(UserError, match=r"table .*/nowhere/factors is missing; run msd-spark factors first"):
        find_neighbours(spark, NeighbourSettings(f"{songs.root}/nowhere", space="factors"), "listens")
