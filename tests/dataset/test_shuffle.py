from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msd_spark.catalogue.songs import read_songs
from msd_spark.core.delta import Destination, logical_name
from msd_spark.core.errors import UserError
from msd_spark.core.examples import ExampleForm
from msd_spark.core.schemas import GEOMETRY, SONGS, SPLITS
from msd_spark.core.warehouse import Warehouse
from msd_spark.dataset import shuffle as example_shuffle
from msd_spark.dataset.balance import BalanceRule
from msd_spark.dataset.job import check_written, planned_tables
from msd_spark.dataset.plan import FileRule, plan_examples
from msd_spark.dataset.selection import join
from msd_spark.dataset.settings import DatasetSettings
from msd_spark.dataset.shuffle import Target, bundle_files, read_task, reading_tasks, write_bundle, write_plan
from msd_spark.dataset.splits import SplitRule
from tests.support.decoded import decoded
from tests.support.song_tables import song, track, write_songs


def shuffled(
    warehouse: Warehouse, bundle_bytes: int, balance: BalanceRule, monkeypatch: pytest.MonkeyPatch
) -> tuple[pd.DataFrame, pd.DataFrame, Path]:
    """Plan and write a dataset without Spark: pass the messages of each task to the bundles."""
    monkeypatch.setattr(example_shuffle, "BUNDLE_BYTES", bundle_bytes)
    monkeypatch.setattr(example_shuffle, "SONGS_PER_TASK", (5, 5))
    monkeypatch.setattr(example_shuffle, "SONGS_PER_BATCH", 2)
    tracks, files = read_songs(warehouse)
    joined = join(warehouse, tracks["track_id"], DatasetSettings(warehouse.root))
    tracks = tracks.assign(
        genre=pd.Series(range(len(tracks))).mod(3).map({1: "Rap", 2: "Rap"}), number=np.arange(len(tracks))
    )
    plan = plan_examples(tracks, ["Rap"], SplitRule((0.5, 0.2, 0.3)), FileRule(4, 1), balance)
    folder = Path(warehouse.root, "examples")
    folder.mkdir()
    target = Target(
        warehouse.root, Destination(str(folder), "0123abcd"), str(folder / "_plan.parquet"), ExampleForm(GEOMETRY)
    )
    bundle, bundles = bundle_files(plan, 100)
    write_plan(warehouse, planned_tables(plan, bundle, joined), target.plan)
    messages = [message for task in reading_tasks(plan, bundle, files) for message in read_task(task, target)]
    written = [
        outcome
        for number, of_bundle in enumerate(bundles)
        for outcome in write_bundle(number, of_bundle, [one for one in messages if one[0] == number], target)
    ]
    return plan, pd.DataFrame(written), folder


@pytest.mark.parametrize("bundle_bytes", [1, 1000, 10**9])
@pytest.mark.parametrize("balance", [BalanceRule(), BalanceRule("counts", 30, 1)])
def test_every_row_reaches_its_place(
    tmp_path: Path, bundle_bytes: int, balance: BalanceRule, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse = Warehouse(str(tmp_path))
    lengths = {number: 1 + 37 * number % 400 for number in range(40)}
    write_songs(
        warehouse, [song(number, lengths[number]) for number in np.random.default_rng(0).permutation(40).tolist()]
    )
    plan, written, folder = shuffled(warehouse, bundle_bytes, balance, monkeypatch)
    check_written(plan, written)
    names: dict[Any, str] = {(row["split"], row["file"]): row["written"].name for row in written.to_dict("records")}
    for file, rows in plan.groupby(["split", "file"]):
        examples = decoded(pq.read_table(folder / names[file])).to_dict("records")
        assert [row["track_id"] for row in examples] == rows["track_id"].tolist()
        assert [row["genre_index"] for row in examples] == rows["genre_index"].tolist()
        for row in examples:
            number = int(row["track_id"][2:])
            length = min(lengths[number], 300)
            assert row["n_segments"] == length
            chroma = np.zeros(3600)
            chroma[: length * 12] = np.arange(length * 12) + number * 100
            assert row["chroma"].ravel().tolist() == (chroma / 1000).astype(np.float32).tolist()
            assert row["timbre"].ravel().tolist() == (-chroma).tolist()
    n_files = len(plan[["split", "file"]].drop_duplicates())
    assert len(list(folder.rglob("part-*.parquet"))) == n_files
    # Only the train split is measured for the normalisation, each track once.
    train = written[written["split"] == "train"]
    tracks = plan[(plan["split"] == "train") & (plan["copy"] == 0)]["track_id"]
    assert sum(moments.count for moments in train["chroma"]) == sum(min(lengths[int(name[2:])], 300) for name in tracks)
    assert written[written["split"] != "train"]["chroma"].isna().all()


def replace_table(warehouse: Warehouse, paths: list[str]) -> None:
    write_songs(warehouse, [song(number) for number in range(20)])


def replace_a_file(warehouse: Warehouse, paths: list[str]) -> None:
    Path(paths[1]).unlink()


def replace_a_song(warehouse: Warehouse, paths: list[str]) -> None:
    rows = pq.read_table(paths[1]).to_pylist()
    pq.write_table(pa.Table.from_pylist([rows[0] | {"track_id": track(99)}, *rows[1:]], SONGS), paths[1])


@pytest.mark.parametrize(("change", "left"), [(replace_table, 0), (replace_a_file, 13), (replace_a_song, 19)])
def test_songs_that_changed_meanwhile_are_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Warehouse, list[str]], None], left: int
) -> None:
    warehouse = Warehouse(str(tmp_path))
    write_songs(warehouse, [song(number) for number in range(20)], per_group=7)
    tracks, files = read_songs(warehouse)
    change(warehouse, files)
    monkeypatch.setattr("tests.dataset.test_shuffle.read_songs", lambda _: (tracks, files))
    plan, written, _ = shuffled(warehouse, 10**9, BalanceRule(), monkeypatch)
    with pytest.raises(UserError, match=f"20 rows planned and {left} written: songs/ changed meanwhile"):
        check_written(plan, written)


@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=20),
    splits=st.lists(st.sampled_from(SPLITS), min_size=20, max_size=20),
    row_bytes=st.sampled_from([1, 10**7, 10**9]),
)
def test_bundles_hold_whole_files_in_order(sizes: list[int], splits: list[str], row_bytes: int) -> None:
    names = sorted(splits[: len(sizes)])
    numbers = [names[:place].count(name) for place, name in enumerate(names)]
    plan = pd.DataFrame({"split": np.repeat(names, sizes), "file": np.repeat(numbers, sizes)})
    bundle, bundles = bundle_files(plan, row_bytes)
    assert [(file.split, file.number) for files in bundles for file in files] == list(zip(names, numbers, strict=True))
    assert [file.stop - file.start for files in bundles for file in files] == sizes
    assert np.bincount(bundle).tolist() == [files[-1].stop for files in bundles]
    assert (np.diff(bundle) >= 0).all()
    for files in bundles:
        assert files[0].start == 0
        assert len(files) == 1 or files[-1].stop * row_bytes <= example_shuffle.BUNDLE_BYTES


def test_row_groups_without_examples_are_not_read(tmp_path: Path) -> None:
    warehouse = Warehouse(str(tmp_path))
    write_songs(warehouse, [song(number) for number in range(14)], per_group=2, per_file=7)
    tracks, files = read_songs(warehouse)
    plan = tracks[tracks["track_id"].isin([track(5), track(13)])].assign(split="test", file=0)
    tasks = reading_tasks(plan, np.zeros(2, int), files)
    rows_read = [(logical_name(Path(one.path).name), one.row_group, one.track_ids) for task in tasks for one in task]
    assert rows_read == [("part-00000.parquet", 2, [track(5)]), ("part-00007.parquet", 3, [track(13)])]


@pytest.mark.parametrize(
    ("n_songs", "cores", "largest"), [(1_000, 1, 512), (6_000, 1, 2_048), (6_000, 2, 1_024), (20_000, 64, 512)]
)
def test_tasks_are_large_unless_cores_would_have_none(n_songs: int, cores: int, largest: int) -> None:
    numbers = np.arange(n_songs)
    columns = {"source_file": 0, "row_group": numbers // 128, "source_row": numbers % 128, "track_id": "TRACK"}
    tasks = reading_tasks(pd.DataFrame(columns), np.zeros(n_songs, int), ["songs.parquet"], cores)
    sizes = [sum(len(reading.rows) for reading in task) for task in tasks]
    assert sum(sizes) == n_songs
    assert max(sizes) == largest
