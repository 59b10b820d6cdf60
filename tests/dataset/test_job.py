from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, QueryBuilder
from pyspark.sql import SparkSession

from msd_spark.catalogue.songs import read_songs
from msd_spark.core.delta import LOG, logical_name
from msd_spark.core.errors import UserError
from msd_spark.core.examples import targets_file
from msd_spark.core.model_inputs import to_float32
from msd_spark.core.runs import DATASET_FILE
from msd_spark.core.schemas import EXAMPLES, SPLITS, Geometry, examples_schema
from msd_spark.core.summary import Summary
from msd_spark.core.warehouse import Warehouse
from msd_spark.dataset.job import make_dataset
from msd_spark.dataset.settings import DatasetSettings
from msd_spark.dataset.splits import SplitRule
from tests.support.decoded import decoded
from tests.support.object_store import ObjectStore
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
from tests.support.submitted import submitted


@pytest.fixture(scope="module")
def examples(warehouse: Warehouse) -> pd.DataFrame:
    return decoded(warehouse.read_examples(EXAMPLES.names, "genre"))


def test_examples_hold_the_songs_segments(warehouse: Warehouse, examples: pd.DataFrame) -> None:
    songs = warehouse.read_table(None, "songs").to_pandas().set_index("track_id")
    for row in examples.to_dict("records"):
        song = songs.loc[row["track_id"]]
        assert row["n_segments"] == min(song["n_segments"], 300)
        for feature, source in (
            (to_float32(row["chroma"]), song["segments_pitches"]),
            (row["timbre"], song["segments_timbre"]),
        ):
            assert feature.shape == (300, 12)
            np.testing.assert_array_equal(feature[: row["n_segments"]].ravel(), source[: row["n_segments"] * 12])
            assert not feature[row["n_segments"] :].any()


def test_labels_lyrics_and_counts_are_the_sources(warehouse: Warehouse, examples: pd.DataFrame) -> None:
    metadata = warehouse.read_json("dataset", "genre", DATASET_FILE)
    labels = warehouse.read_table(None, "labels", filter=pc.field("label_set") == "cd1").to_pandas()
    labels = labels.set_index("track_id")["genre"]
    lyrics = warehouse.read_table(None, "lyrics").to_pandas().set_index("track_id")["lyric_vector"]
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
    songs = warehouse.read_table(["track_id", "song_id", "artist_id"], "songs").to_pandas()
    joined = examples[["track_id", "split", "artist_group"]].merge(songs, on="track_id")
    for key in ("artist_group", "artist_id", "song_id"):
        assert len(joined[[key, "split"]].drop_duplicates()) == joined[key].nunique()
    rule = SplitRule()
    assert [rule.split_of(group) for group in joined["artist_group"]] == joined["split"].tolist()


def test_files_are_the_plans_units(warehouse: Warehouse) -> None:
    metadata = warehouse.read_json("dataset", "genre", DATASET_FILE)
    for split in SPLITS:
        on_disk = {Path(info.path).name for info in warehouse.list_files(warehouse.path("dataset", "genre", split))}
        assert {name for name in on_disk if name.endswith(".parquet")} == {
            file["name"] for file in metadata["files"][split]
        }
        for file in metadata["files"][split]:
            opened = pq.ParquetFile(warehouse.path("dataset", "genre", split, file["name"]))
            assert (opened.num_row_groups, opened.metadata.num_rows) == (1, file["rows"])
            assert opened.schema_arrow.names == EXAMPLES.names


def test_targets_are_the_light_columns_of_the_files_in_order(warehouse: Warehouse) -> None:
    metadata = warehouse.read_json("dataset", "genre", DATASET_FILE)
    for split in SPLITS:
        paths = [warehouse.path("dataset", "genre", split, file["name"]) for file in metadata["files"][split]]
        targets = pq.read_table(warehouse.file("dataset", "genre", targets_file(split)))
        files = pa.concat_tables([pq.read_table(path, partitioning=None) for path in paths])
        assert targets.equals(files.select(targets.column_names))
        assert {"track_id", "artist_group", "genre_index", "has_genre", "weight"} <= set(targets.column_names)


def test_delta_engines_read_the_split_of_each_example(warehouse: Warehouse, examples: pd.DataFrame) -> None:
    engine = QueryBuilder().register("examples", DeltaTable(warehouse.path("dataset", "genre")))
    rows = engine.execute("select track_id, split from examples").read_all()
    splits = zip(rows["track_id"].to_pylist(), rows["split"].to_pylist(), strict=True)
    assert sorted(splits) == sorted(zip(examples["track_id"], examples["split"], strict=True))


def test_normalisation_is_of_the_train_split_alone(warehouse: Warehouse, examples: pd.DataFrame) -> None:
    statistics = warehouse.read_json("dataset", "genre", DATASET_FILE)["normalisation"]
    train = examples[examples["split"] == "train"]
    rows = np.concatenate([row["timbre"][: row["n_segments"]] for row in train.to_dict("records")]).astype(float)
    np.testing.assert_allclose(statistics["timbre"]["mean"], rows.mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(statistics["timbre"]["deviation"], rows.std(axis=0), rtol=1e-9)
    vectors = np.stack(list(train[train["has_lyrics"] > 0]["lyric_vector"])).astype(float)
    np.testing.assert_allclose(statistics["lyric_vector"]["mean"], vectors.mean(axis=0), rtol=1e-9, atol=1e-12)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_petastorm_and_spark_read_the_same_rows(
    spark: SparkSession, warehouse: Warehouse, examples: pd.DataFrame
) -> None:
    from petastorm import make_batch_reader

    train = examples[examples["split"] == "train"]
    with make_batch_reader(
        warehouse.address("dataset", "genre", "train"), reader_pool_type="dummy", num_epochs=1
    ) as reader:
        assert sorted(np.concatenate([group.track_id for group in reader])) == sorted(train["track_id"])
    by_spark = spark.read.parquet(warehouse.address("dataset", "genre", "train")).select("track_id").toPandas()
    assert sorted(by_spark["track_id"]) == sorted(train["track_id"])


N_SMALL = 60


def catalogue() -> list[dict[str, Any]]:
    """Return songs of 20 artists; a beat is two segments long, and every tenth song has none."""
    return [
        song(
            number,
            4 + number,
            artist_id=f"AR{number % 20:016d}",
            beats_start=[] if number % 10 == 0 else np.arange(0, 4 + number, 2.0),
        )
        for number in range(N_SMALL)
    ]


@pytest.fixture
def small(tmp_path: Path) -> Warehouse:
    """A warehouse with every table that a dataset can be made of."""
    warehouse = Warehouse(str(tmp_path / "small"))
    write_songs(warehouse, catalogue())
    write_labels(warehouse, {track(number): "Rap" if number % 3 else "Jazz" for number in range(N_SMALL) if number % 5})
    write_lyrics(warehouse, {track(number): np.full(50, number) for number in range(0, N_SMALL, 2)})
    write_popularity(warehouse, [track(number) for number in range(0, N_SMALL, 4)])
    write_factors(warehouse, {track(number): [number, -number] for number in range(0, N_SMALL, 4)})
    tags = [
        (track(number), tag) for number in range(1, N_SMALL) for tag in ("slow", "loud") if number % 2 or tag == "loud"
    ]
    write_tags(warehouse, tags, ["loud", "slow", "rare"])
    return warehouse


def make(spark: SparkSession, warehouse: Warehouse, **others: Any) -> tuple[Summary, dict[str, Any], pd.DataFrame]:
    """Make a dataset; return its summary, its metadata and its rows."""
    summary = make_dataset(spark, DatasetSettings(warehouse.root, min_examples=2, **others))
    metadata = warehouse.read_json("dataset", "genre", DATASET_FILE)
    parts = []
    for split in SPLITS:
        for file in metadata["files"][split]:
            table = pq.read_table(warehouse.path("dataset", "genre", split, file["name"]))
            parts.append(decoded(table).assign(split=split, file=file["name"]))
    return summary, metadata, pd.concat(parts, ignore_index=True)


def test_the_tags_of_the_warehouse_are_joined_by_default(spark: SparkSession, small: Warehouse) -> None:
    _, metadata, rows = make(spark, small, most_popular=10)
    assert metadata["tags"] == ["loud", "slow", "rare"]
    assert set(rows["has_tags"]) == {0, 1}
    # The 10 most popular tracks are one per decile, unless a song is left out.
    by_rank = rows.sort_values("track_id")["popularity_decile"].tolist()
    assert by_rank == [9 - 10 * place // len(rows) for place in range(len(rows))]
    _, metadata, rows = make(spark, small, tags=0)
    assert metadata["tags"] == []
    assert "has_tags" not in rows


def test_chroma_that_is_not_in_thousandths_is_refused_with_its_track(spark: SparkSession, small: Warehouse) -> None:
    write_songs(small, [*catalogue(), song(70) | {"segments_pitches": np.full(24, 0.12345)}])
    with pytest.raises(
        UserError, match=rf"^track {track(70)} has chroma 0\.12345, not a multiple of .*--chroma float32"
    ):
        make(spark, small)
    _, metadata, rows = make(spark, small, chroma="float32")
    assert metadata["chroma"] == "float32"
    assert rows[rows["track_id"] == track(70)]["chroma"].iloc[0][0].tolist() == [np.float32(0.12345)] * 12


def test_all_options_together(spark: SparkSession, small: Warehouse) -> None:
    options = {
        "require": ("lyrics", "tags"),
        "tags": 2,
        "factors": True,
        "segments": "beats",
        "balance": "20:9",
        "rows_per_file": 7,
    }
    summary, metadata, rows = make(spark, small, **options)
    # Of 60 songs 30 have lyrics, and of these all but song 0 have tags.
    assert (metadata["funnel"]["songs"], metadata["funnel"]["examples"]) == (60, 29)
    assert metadata["tags"] == ["loud", "slow"]
    assert (metadata["n_factors"], metadata["segments"], metadata["require"]) == (2, "beats", ["lyrics", "tags"])
    assert Geometry(**metadata["geometry"]) == Geometry(segments="beats")
    first = metadata["files"]["train"][0]["name"]
    assert pq.read_schema(small.path("dataset", "genre", "train", first)) == examples_schema(tags=True, factors=True)
    once = rows[(rows["split"] == "train") & (rows["has_factors"] == 1)].drop_duplicates("track_id")
    numbers = once["track_id"].str[2:].astype(int)
    assert metadata["normalisation"]["factors"]["mean"] == pytest.approx([numbers.mean(), -numbers.mean()])
    assert metadata["normalisation"]["factors"]["deviation"] == pytest.approx([numbers.std(ddof=0)] * 2)
    for row in rows.to_dict("records"):
        number = int(row["track_id"][2:])
        genre = metadata["labels"][row["genre_index"]] if row["genre_index"] >= 0 else None
        assert genre == (None if number % 5 == 0 else "Rap" if number % 3 else "Jazz")
        assert row["has_genre"] == (number % 5 > 0)
        assert row["has_listens"] == row["has_factors"] == (number % 4 == 0)
        assert row["factors"].tolist() == ([number, -number] if number % 4 == 0 else [0, 0])
        assert row["tag_vector"].tolist() == [1, 0]
        assert row["lyric_vector"].tolist() == [number] * 50
        if number % 10:
            # Two segments a beat: rows of 12 numbers that grow by 12; the first beat's mean is 6 more than its first.
            assert row["n_segments"] == -(-(4 + number) // 2)
            assert row["chroma"][0] == pytest.approx((np.arange(12) + number * 100 + 6) / 1000)
        else:
            assert row["n_segments"] == 4 + number
    train = rows[rows["split"] == "train"]
    by_genre = {genre: int((train["genre_index"] == index).sum()) for index, genre in enumerate(metadata["labels"])}
    assert by_genre == {genre: counts["train"] for genre, counts in metadata["examples_by_genre"].items()}
    assert sorted(by_genre.values()) == [9, 20]
    assert sum(counts["train"] for counts in metadata["tracks_by_genre"].values()) < sum(by_genre.values())
    assert metadata["rows"] == {split: int((rows["split"] == split).sum()) for split in SPLITS}
    assert not rows[rows["split"] != "train"]["track_id"].duplicated().any()
    once = train.drop_duplicates("track_id")
    vectors = np.stack(list(once["lyric_vector"])).astype(float)
    np.testing.assert_allclose(metadata["normalisation"]["lyric_vector"]["mean"], vectors.mean(axis=0), rtol=1e-9)
    assert "rows after balancing" in summary.facts
    assert ["with", "lyrics", "30", "30"] in [line.split() for line in summary.table().splitlines()]

    content = files_by_name(small)
    orphan = Path(small.path("dataset", "genre", "train", "part-00000-0123456789abcdef.parquet"))
    orphan.write_bytes(b"left by a job that was killed")
    _, again, _ = make(spark, small, **options)
    assert content == files_by_name(small)
    assert without_files(metadata) == without_files(again)
    assert not orphan.exists()


def files_by_name(warehouse: Warehouse) -> dict[str, bytes]:
    """Return the content of all files of examples in the folder of the dataset, by names without the random part."""
    folder = Path(warehouse.path("dataset", "genre"))
    paths = {path.relative_to(folder).as_posix(): path for path in folder.glob("*/*.parquet") if LOG not in path.parts}
    content = {logical_name(name): path.read_bytes() for name, path in paths.items()}
    assert len(content) == len(paths)
    return content


def without_files(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return the metadata with only the rows of the files, whose names are random."""
    return metadata | {"files": {split: [file["rows"] for file in files] for split, files in metadata["files"].items()}}


def test_only_segments_are_required_by_default(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    bare = Warehouse(str(tmp_path))
    write_songs(bare, [song(number, number % 3) for number in range(30)])
    summary, metadata, rows = make(spark, bare)
    assert sorted(rows["track_id"]) == [track(number) for number in range(30) if number % 3]
    for flag in ("has_genre", "has_lyrics", "has_listens"):
        assert not rows[flag].any()
    assert set(rows["genre_index"]) == set(rows["popularity_decile"]) == {-1}
    assert (metadata["labels"], metadata["lyric_vectors"]) == ([], "none")
    assert summary.facts["with segments"] == 20
    write_labels(bare, {track(1): "Rap", track(2): "Rap"})
    make(spark, bare, require=("genre",), shares=(1.0, 0.0, 0.0))
    assert "dataset: no example in validation, test, so models cannot be evaluated there; " in capsys.readouterr().err


def test_a_song_that_links_artists_moves_only_them_and_is_reported(spark: SparkSession, small: Warehouse) -> None:
    _, _, before = make(spark, small)
    first, _, same = make(spark, small)
    assert first.facts["since the last dataset: tracks moved"] == 0
    assert dict(zip(same["track_id"], same["split"], strict=True)) == dict(
        zip(before["track_id"], before["split"], strict=True)
    )
    split_of_artist = before.groupby("artist_group")["split"].first()
    train, test = (sorted(split_of_artist.index[split_of_artist == name])[-1] for name in ("train", "test"))
    joined, moved = sorted((train, test))
    # One new song under an artist of its own moves nothing; the other has the song id of one artist's and is another's.
    linking = before[before["artist_group"] == joined]["song_id"].iloc[0]
    write_songs(small, [*catalogue(), song(70), song(71, song_id=linking, artist_id=moved)])
    summary, _, after = make(spark, small)
    now = after.set_index("track_id")["split"]
    changed = {name for name, split in zip(before["track_id"], before["split"], strict=True) if now[name] != split}
    assert changed == set(before["track_id"][before["artist_group"] == moved])
    assert summary.facts["since the last dataset: groups joined"] == 1
    assert summary.facts["since the last dataset: tracks moved"] == len(changed)
    assert any("new songs or another list of duplicates joined" in text for text in summary.details["warnings"])


def test_a_job_whose_songs_change_meanwhile_leaves_the_dataset_as_it_was(
    spark: SparkSession, small: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_and_replace(warehouse: Warehouse, _: None) -> tuple[pd.DataFrame, list[str]]:
        tracks, files = read_songs(warehouse)
        write_songs(warehouse, catalogue())
        return tracks, files

    make(spark, small)
    content = {info.path: Path(info.path).read_bytes() for info in small.list_files(small.path("dataset"))}
    monkeypatch.setattr("msd_spark.dataset.job.read_songs", read_and_replace)
    with pytest.raises(UserError, match="and 0 written: songs/ changed meanwhile"):
        make(spark, small)
    assert content == {info.path: Path(info.path).read_bytes() for info in small.list_files(small.path("dataset"))}


def test_split_lists_decide_the_splits(spark: SparkSession, small: Warehouse, tmp_path: Path) -> None:
    lists = {"train": range(0, 30), "validation": range(30, 35), "test": range(35, 50)}
    paths = tuple(str(tmp_path / f"{split}.txt") for split in SPLITS)
    for path, numbers in zip(paths, lists.values(), strict=True):
        names = [track(number) if number % 2 else f"SO{number:016d}" for number in numbers]
        Path(path).write_text("# a list\n" + "\n".join([*names, "no id", track(99)[:-4] + path[-8:-4].upper()]) + "\n")
    summary, metadata, rows = make(spark, small, split_lists=paths)
    for split, numbers in lists.items():
        assert sorted(rows["track_id"][rows["split"] == split]) == [track(number) for number in numbers]
    assert {step["name"]: step["left_out"] for step in metadata["funnel_steps"]}["in the lists"] == 10
    assert metadata["split_rule"]["by"] == "lists"
    assert metadata["split_lists"] == ["train.txt", "validation.txt", "test.txt"]
    assert (summary.facts["ids of the lists not in songs/"], summary.facts["lines of lists rejected"]) == (3, 3)
    # Artists 0-19 have three songs each, 0-59; the lists cut them at 30, 35 and 50.
    assert summary.facts["artist groups in several lists"] == 20
    assert any("leak artists" in text for text in summary.details["warnings"])
    refused = small.read_table(None, "rejected", "stage=dataset").to_pylist()
    assert {(row["reason"], row["detail"]) for row in refused} == {("bad_id", "no id")}

    Path(paths[2]).write_text(track(1) + "\n")
    with pytest.raises(UserError, match=r"--split-lists: 1 tracks are in two lists: .* in train and test"):
        make(spark, small, split_lists=paths)


def test_a_warehouse_in_an_object_store_has_the_same_dataset(
    spark: SparkSession,
    small: Warehouse,
    store: ObjectStore,
    tmp_path: Path,
) -> None:
    store.create("datasets")
    store.put_folder("datasets", Path(small.root), "w")
    command = ["dataset.py", "--warehouse", "s3://datasets/w", "--min-examples", "2", "--require", "genre"]
    with submitted(*command, log=tmp_path / "log", environment=store.environment()) as job:
        job.succeed()
        assert "dataset: no example of" not in job.said()
    _, metadata, _ = make(spark, small, require=("genre",))
    files = store.contents("datasets", "w/dataset/genre/")
    remote = {logical_name(name): content for name, content in files.items() if "/part-" in f"/{name}"}
    assert remote == files_by_name(small)
    (side_file,) = [name for name in files if name.endswith(DATASET_FILE)]
    assert {name.split("/")[0] for name in files if name.endswith("_common_metadata")} == {
        split for split, counted in metadata["rows"].items() if counted
    }
    assert without_files(json.loads(files[side_file])) == without_files(metadata)
