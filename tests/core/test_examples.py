"""Petastorm reads a dataset: all examples, in the documented shapes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from msd_spark.core.cells import from_cells
from msd_spark.core.examples import ExampleForm
from msd_spark.core.provenance import running
from msd_spark.core.schemas import EXAMPLES, GEOMETRY
from tests.support.decoded import decoded
from tests.support.tiny_dataset import FACTOR_SIZE, TAGS, write_tiny_dataset

pytestmark = [pytest.mark.filterwarnings("ignore::FutureWarning"), pytest.mark.filterwarnings("ignore::UserWarning")]
ONCE = {"reader_pool_type": "dummy", "num_epochs": 1, "shuffle_row_groups": False}
FORM = ExampleForm(GEOMETRY, len(TAGS), FACTOR_SIZE)
SHAPES = {name: kind.shape for name, kind in FORM.arrays.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The train split of a dataset that was replaced once; its older version is kept."""
    place = tmp_path_factory.mktemp("examples")
    for rows in ([4], [5, 3]):
        with running("dataset", [], keep_versions=1):
            warehouse = write_tiny_dataset(place, {"train": rows, "validation": [2], "test": []}, targets=True)
    return Path(warehouse.path("dataset", "tiny", "train"))


@pytest.fixture(scope="module")
def written(folder: Path) -> pd.DataFrame:
    """The examples of the current version, sorted by track."""
    schema = next(folder.glob("_*_common_metadata"))
    names = pq.read_schema(schema).metadata[b"dataset-toolkit.num_row_groups_per_file.v1"]
    tables = [pq.read_table(path) for path in folder.glob("*.parquet") if f'"{path.name}": 1'.encode() in names]
    assert sum(map(len, tables)) == 8 < sum(len(pq.read_table(path)) for path in folder.glob("*.parquet"))
    return decoded(pa.concat_tables(tables)).sort_values("track_id").reset_index(drop=True)


def test_make_reader_yields_arrays_of_the_current_version(folder: Path, written: pd.DataFrame) -> None:
    from petastorm import make_reader

    assert len(list(folder.glob("_*_common_metadata"))) == 1
    with make_reader(f"file://{folder}", **ONCE) as reader:
        rows = sorted((row._asdict() for row in reader), key=lambda row: row["track_id"])
    assert [row["track_id"] for row in rows] == written["track_id"].tolist()
    for row, (_, example) in zip(rows, written.iterrows(), strict=True):
        assert set(row) == set(written.columns) > set(EXAMPLES.names)
        assert {name: row[name].shape for name in SHAPES} == SHAPES
        for name, value in row.items():
            np.testing.assert_array_equal(value, example[name])
            assert np.asarray(value).dtype.kind == np.asarray(example[name]).dtype.kind


def test_make_batch_reader_yields_cells(folder: Path, written: pd.DataFrame) -> None:
    from petastorm import make_batch_reader

    with make_batch_reader(f"file://{folder}", schema_fields=["track_id", "timbre"], **ONCE) as reader:
        groups = [(group.track_id, from_cells(pa.array(group.timbre))) for group in reader]
    assert {timbre.shape[1:] for _, timbre in groups} == {(300, 12)}
    tracks, timbre = (np.concatenate(parts) for parts in zip(*groups, strict=True))
    np.testing.assert_array_equal(timbre[np.argsort(tracks)], np.stack(written["timbre"].tolist()))


def test_tensorflow_has_tensors_of_known_shapes(folder: Path, written: pd.DataFrame) -> None:
    from petastorm import make_reader
    from petastorm.tf_utils import make_petastorm_dataset

    with make_reader(f"file://{folder}", **ONCE) as reader:
        dataset = make_petastorm_dataset(reader)
        assert {name: tuple(getattr(dataset.element_spec, name).shape) for name in SHAPES} == SHAPES
        batches = [(batch.track_id.numpy().astype(str), batch.chroma.numpy()) for batch in dataset.batch(3)]
    tracks, chroma = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    np.testing.assert_array_equal(chroma[np.argsort(tracks)], np.stack(written["chroma"].tolist()))


def test_pytorch_has_batches_of_tensors(folder: Path, written: pd.DataFrame) -> None:
    pytest.importorskip("torch", reason="torch: it is not a dependency")
    from petastorm import make_reader
    from petastorm.pytorch import DataLoader

    with DataLoader(make_reader(f"file://{folder}", schema_fields=["timbre", "weight"], **ONCE), 3) as loader:
        batches = [batch["timbre"].numpy() for batch in loader]
    assert [batch.shape for batch in batches] == [(3, 300, 12), (3, 300, 12), (2, 300, 12)]
    total = np.stack(written["timbre"].tolist()).sum(dtype=float)
    assert sum(batch.sum(dtype=float) for batch in batches) == pytest.approx(total)
