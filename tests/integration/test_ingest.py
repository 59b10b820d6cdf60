from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from msd_spark.ingest import IngestSettings, ingest
from msd_spark.schema import ROUNDED_TO_THREE_DECIMALS, SENTINELS, SONGS
from msd_spark.warehouse import Warehouse


def tables(uri: Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    read = [pq.read_table(uri / name).to_pandas() for name in ("songs", "rejected", "ledger")]
    return read[0], read[1], read[2]


@pytest.fixture(scope="module")
def real(
    spark: SparkSession, sample: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    uri = tmp_path_factory.mktemp("real")
    ingest(spark, IngestSettings((str(sample / "songs"), str(sample / "broken")), str(uri))).finish(Warehouse(str(uri)))
    return tables(uri)


def test_every_input_of_the_sample_is_accounted_for(
    real: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame], sample: Path
) -> None:
    songs, rejected, ledger = real
    assert (len(songs), len(rejected)) == (317, 2)
    assert ledger[["inputs", "songs", "rejected", "duplicates"]].sum().to_dict() == {
        "inputs": 319,
        "songs": 317,
        "rejected": 2,
        "duplicates": 0,
    }
    assert (ledger["inputs"] == ledger["songs"] + ledger["rejected"] + ledger["duplicates"]).all()
    manifest = pd.read_csv(sample / "manifest.tsv", sep="\t")
    assert set(songs["track_id"]) == set(manifest["track_id"])
    found = songs.set_index("track_id")["n_segments"].sort_index()
    assert found.tolist() == manifest.set_index("track_id")["n_segments"].sort_index().tolist()


def test_songs_equal_a_plain_reading_field_by_field(
    real: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame],
) -> None:
    """The reference reads with h5py's high level and spells the rules out again."""
    songs = real[0]
    compared = 0
    for row in songs.to_dict("records"):
        with h5py.File(row["source"], "r") as file:
            seen = {"n_segments", "source"}
            for group in ("analysis", "metadata", "musicbrainz"):
                record = file[group]["songs"][0]
                for name in record.dtype.names:
                    if not name.startswith("idx_"):
                        assert_scalar(name, row[name], record[name])
                        seen.add(name)
                for name, dataset in file[group].items():
                    if name != "songs":
                        assert_array(name, row[name], dataset[...])
                        seen.add(name)
            assert seen == set(SONGS.names)
        compared += len(seen)
    assert compared == 317 * 58


def assert_scalar(name: str, found: object, source: np.generic) -> None:
    missing = found is None or (isinstance(found, float) and np.isnan(found))
    if isinstance(source, bytes):
        assert (None if missing else found) == (source.decode("utf-8") or None), name
    elif np.isnan(source) or source.item() in SENTINELS.get(name, ()):
        assert missing, name
    else:
        assert found == source.item(), name


def assert_array(name: str, found: np.ndarray, source: np.ndarray) -> None:
    if source.dtype.kind == "S":
        assert list(found) == [value.decode("utf-8") for value in source]
    elif name in ROUNDED_TO_THREE_DECIMALS:
        assert found.dtype == np.float32
        # float32 loses nothing: rounded back to the source's three decimals it is the source's number.
        np.testing.assert_array_equal(np.round(found.astype(np.float64), 3), np.round(source.reshape(-1), 3))
        np.testing.assert_array_equal(np.round(source, 3), source)
    else:
        np.testing.assert_array_equal(found, source.reshape(-1))


def test_generated_songs_and_broken_files_add_up(warehouse: Warehouse) -> None:
    songs, rejected, ledger = tables(Path(warehouse.root))
    assert len(songs) == 160
    rejected = rejected[rejected["stage"] == "ingest"]
    assert len(rejected) == 3
    assert rejected["reason"].isin(["missing_data", "not_hdf5", "truncated"]).all()
    assert ledger["inputs"].tolist() == [50, 50, 50, 13]
    assert ledger["fingerprint"].is_unique


def test_a_track_that_comes_twice_is_kept_once_and_listed(spark: SparkSession, generated: Path, tmp_path: Path) -> None:
    files = sorted((generated / "songs").rglob("*.h5"))[:5]
    for folder in ("b", "a"):
        (tmp_path / folder).mkdir()
        for file in files if folder == "b" else files[:2]:
            shutil.copy(file, tmp_path / folder / file.name)
    uri = tmp_path / "warehouse"
    summary = ingest(spark, IngestSettings((str(tmp_path / "b"), str(tmp_path / "a")), str(uri), inputs_per_unit=2))
    songs, rejected, ledger = tables(uri)
    assert summary.facts["songs"] == len(songs) == songs["track_id"].nunique() == 5
    assert summary.facts["duplicates"] == ledger["duplicates"].sum() == 2
    kept = songs[songs["track_id"].isin([file.stem for file in files[:2]])]
    assert {Path(source).parent.name for source in kept["source"]} == {"a"}
    assert rejected["reason"].tolist() == ["duplicate_track_id"] * 2
    assert {Path(source).parent.name for source in rejected["source"]} == {"b"}


def test_a_rerun_gives_the_same_table(spark: SparkSession, generated: Path, tmp_path: Path) -> None:
    settings = IngestSettings((str(generated / "songs" / "A"),), str(tmp_path))
    ingest(spark, settings)
    first = tables(tmp_path)
    ingest(spark, settings)
    for before, after in zip(first, tables(tmp_path), strict=True):
        pd.testing.assert_frame_equal(before, after)


def test_a_file_that_cannot_be_read_is_rejected(spark: SparkSession, generated: Path, tmp_path: Path) -> None:
    (tmp_path / "songs").mkdir()
    file = sorted((generated / "songs").rglob("*.h5"))[0]
    shutil.copy(file, tmp_path / "songs" / file.name)
    (tmp_path / "songs" / "TRZZZZZ128F0000000.h5").symlink_to(tmp_path / "nowhere")
    shutil.copy(file, tmp_path / "songs" / "TRYYYYY128F0000000.h5")
    ingest(spark, IngestSettings((str(tmp_path / "songs"),), str(tmp_path / "w")))
    songs, rejected, ledger = tables(tmp_path / "w")
    assert len(songs) == 1
    assert "track_id_mismatch" in set(rejected["reason"])
    assert ledger["inputs"].sum() == len(songs) + len(rejected)
