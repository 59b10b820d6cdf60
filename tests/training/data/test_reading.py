from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from msd_spark.core.errors import UserError
from msd_spark.core.model_inputs import to_float32
from msd_spark.core.schemas import GEOMETRY, Geometry
from tests.support.decoded import decoded
from tests.support.tiny_dataset import LABELS, examples, write_tiny_dataset
from training.data.assembly import Columns, Tally
from training.data.dataset import Dataset
from training.data.plan import plan_epoch
from training.data.reading import Batch, batches, columns_for, read_row_groups, to_batch, to_numpy
from training.data.targets import make_target

SMALL = Geometry(n_segments=3, n_pitches=2, lyric_size=2)
ROWS = [5, 5, 5, 3, 1]
GENRE = make_target("genre", tuple(LABELS))


def small_columns(n: int) -> Columns:
    return {
        "track_id": np.array([f"TR{number}" for number in range(n)]),
        "artist_group": np.array([f"AR{number}" for number in range(n)]),
        "chroma": np.full((n, 6), 0.5, np.float32),
        "timbre": np.full((n, 6), -4, np.float32),
        "n_segments": np.array([2] * n, np.int32),
        "lyric_vector": np.full((n, 2), 0.25, np.float32),
        "has_lyrics": np.ones(n, np.float32),
        "genre_index": np.arange(n, dtype=np.int32),
        "has_genre": np.arange(n, dtype=np.float32) % 2,
        "weight": np.full(n, 0.5, np.float32),
    }


def test_a_short_batch_is_padded_with_examples_of_no_weight() -> None:
    batch = to_batch(small_columns(2), 4, SMALL, GENRE)
    assert batch.track_ids.tolist() == ["TR0", "TR1", "", ""]
    assert batch.weights.tolist() == [0.5, 0.5, 0, 0]
    assert batch.artist_groups.tolist() == ["AR0", "AR1", "", ""]
    assert batch.truth.tolist() == [0, 1, 0, 0]
    assert batch.present.tolist() == [False, True, False, False]
    assert batch.inputs["mask"].tolist() == [[1, 1, 0], [1, 1, 0], [1, 0, 0], [1, 0, 0]]
    assert batch.inputs["chroma"][:2].tolist() == [[[0.5, 0.5]] * 3] * 2
    for name in ("chroma", "timbre", "lyric_vector", "has_lyrics"):
        assert batch.inputs[name].shape[0] == 4
        assert not batch.inputs[name][2:].any()


def test_a_full_batch_has_no_padding_and_an_empty_one_nothing_else() -> None:
    full, empty = to_batch(small_columns(3), 3, SMALL, GENRE), to_batch(None, 3, SMALL, GENRE)
    assert full.track_ids.tolist() == ["TR0", "TR1", "TR2"]
    assert full.inputs["mask"].tolist() == [[1, 1, 0]] * 3
    assert empty.track_ids.tolist() == [""] * 3
    assert not empty.weights.any()
    assert empty.inputs["mask"].tolist() == [[1, 0, 0]] * 3
    assert {name: values.shape for name, values in empty.inputs.items()} == {
        name: values.shape for name, values in full.inputs.items()
    }


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("reading") / "a b"
    return Dataset.open(write_tiny_dataset(folder, {"train": ROWS, "validation": [], "test": []}), "tiny")


def read(dataset: Dataset, ranks: int, batch: int, **options: object) -> list[list[Batch]]:
    rows = dataset.rows("train")
    plan = plan_epoch(rows, ranks=ranks, global_batch=batch * ranks, streams=ranks, seed=1, epoch=2)
    made = [
        list(batches(dataset.addresses("train"), rows, mine, dataset.geometry, GENRE, **options))  # type: ignore[arg-type]
        for mine in plan
    ]
    assert [len(steps) for steps in made] == [mine.steps for mine in plan]
    return made


@pytest.mark.parametrize(("ranks", "batch", "window"), [(1, 4, 0), (2, 5, 2), (3, 64, 1), (7, 1, 9)])
def test_every_example_is_read_once_over_all_ranks(dataset: Dataset, ranks: int, batch: int, window: int) -> None:
    made = [step for steps in read(dataset, ranks, batch, window=window) for step in steps]
    assert {len(step.track_ids) for step in made} == {batch}
    real = np.concatenate([step.track_ids for step in made])
    weights = np.concatenate([step.weights for step in made])
    tables = [pq.read_table(address.removeprefix("file://")) for address in dataset.addresses("train")]
    assert sorted(real[real != ""]) == sorted(track for table in tables for track in table["track_id"].to_pylist())
    assert weights[real != ""].tolist() == [1] * sum(ROWS)
    assert not weights[real == ""].any()


def test_examples_are_those_of_the_files(dataset: Dataset) -> None:
    rows = {
        row["track_id"]: row
        for address in dataset.addresses("train")
        for row in decoded(pq.read_table(address.removeprefix("file://"))).to_dict("records")
    }
    seen = 0
    for step in read(dataset, 2, 4, window=3, seed=(1, 2, 3))[1]:
        for place, track in enumerate(step.track_ids):
            if not track:
                continue
            row, seen = rows[track], seen + 1
            for name in ("chroma", "timbre", "lyric_vector"):
                assert step.inputs[name][place].tolist() == to_float32(row[name]).tolist()
            assert step.inputs["has_lyrics"][place].tolist() == [row["has_lyrics"]]
            assert step.inputs["mask"][place].sum() == row["n_segments"]
            assert step.truth[place] == row["genre_index"]
    assert seen > 5


def test_the_order_is_that_of_the_plan_and_the_seed(dataset: Dataset) -> None:
    def order(**options: object) -> list[str]:
        return [track for step in read(dataset, 1, 4, **options)[0] for track in step.track_ids.tolist()]

    assert order(window=2, seed=(1, 0)) == order(window=2, seed=(1, 0))
    assert order(window=2, seed=(1, 0)) != order(window=2, seed=(1, 1))
    (plan,) = plan_epoch(ROWS, ranks=1, global_batch=4, seed=1, epoch=2)
    paths = [address.removeprefix("file://") for address in dataset.addresses("train")]
    planned = [
        track for piece in plan.shares[0].pieces for track in pq.read_table(paths[piece.file])["track_id"].to_pylist()
    ]
    assert [track for track in order() if track] == planned


def test_a_rank_without_examples_gives_padding_alone(dataset: Dataset) -> None:
    last = read(dataset, 20, 2)[-1]
    assert len(last) == 1
    assert not any(step.weights.any() for step in last)


def test_row_groups_have_the_columns_asked_for_in_rows(tmp_path: Path) -> None:
    path = tmp_path / "part.parquet"
    table = examples(4, np.random.default_rng(0), "X")
    pq.write_table(table, path, row_group_size=1)
    columns = columns_for(GENRE)
    groups = list(read_row_groups([f"file://{path}"], columns))
    assert [group["track_id"].tolist() for group in groups] == [[track] for track in table["track_id"].to_pylist()]
    assert all(set(group) == set(columns) for group in groups)
    assert groups[0]["chroma"].shape == (1, *GEOMETRY.segments_shape)
    assert groups[0]["lyric_vector"].shape == (1, GEOMETRY.lyric_size)


def test_no_files_give_no_row_groups() -> None:
    assert list(read_row_groups([], ["track_id"])) == []


def test_a_damaged_column_of_arrays_is_one_clear_line() -> None:
    column = pa.chunked_array([pa.array([b"half"])])
    with pytest.raises(UserError, match=r"damaged column of arrays: .*; run msd-spark dataset again"):
        to_numpy(column)


def test_a_dataset_of_an_earlier_version_is_refused(tmp_path: Path) -> None:
    warehouse = write_tiny_dataset(tmp_path, {"train": [2], "validation": [], "test": []})
    lists = pa.schema([pa.field("track_id", pa.string()), pa.field("chroma", pa.list_(pa.float32()))])
    with warehouse.overwriting(lists, "dataset", "old", partition_by="split"):
        pass
    with pytest.raises(
        UserError, match=r"dataset old was written by an earlier version.*; run msd-spark dataset again"
    ):
        Dataset.open(warehouse, "old")


def test_a_tally_counts_what_was_read_and_leaves_the_judging_to_others(dataset: Dataset) -> None:
    tally = Tally()
    rows = [5, 3]  # 10 rows are there
    (plan,) = plan_epoch(rows, ranks=1, global_batch=2)
    given = list(batches(dataset.addresses("train"), rows, plan, dataset.geometry, GENRE, tally=tally))
    assert len(given) == 4
    assert tally == Tally(8, 10)
