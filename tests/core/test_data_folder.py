from __future__ import annotations

from pathlib import Path

import pytest

from msd_spark.core.data_folder import DataFolder
from tests.support.data_folders import EVERYTHING, lay_out
from tests.support.object_store import ObjectStore


def everything(folder: str) -> DataFolder:
    """The sources of a folder laid out with `EVERYTHING`."""
    lyrics, tagtraum, magd = f"{folder}/musixmatch", f"{folder}/tagtraum", f"{folder}/magd"
    return DataFolder(
        folder,
        (f"{folder}/songs", f"{folder}/broken"),
        f"{lyrics}/mxm_dataset_train.txt",
        f"{lyrics}/mxm_dataset_test.truncated.txt",
        f"{lyrics}/mxm_reverse_mapping.txt",
        {
            "cd1": f"{tagtraum}/msd_tagtraum_cd1.cls",
            "cd2": f"{tagtraum}/msd_tagtraum_cd2.cls",
            "cd2c": f"{tagtraum}/msd_tagtraum_cd2c.cls",
            "magd": f"{magd}/msd-MAGD-genreAssignment.cls",
            "topmagd": f"{magd}/msd-topMAGD-genreAssignment.cls",
            "masd": f"{magd}/msd-MASD-styleAssignment.cls",
        },
        (f"{folder}/lastfm/lastfm_test.zip", f"{folder}/lastfm/lastfm_train.zip"),
        f"{folder}/tasteprofile/train_triplets.txt",
        f"{folder}/tasteprofile/sid_mismatches.txt",
    )


def test_every_source_is_found(tmp_path: Path) -> None:
    assert DataFolder.find(lay_out(tmp_path, *EVERYTHING)) == everything(str(tmp_path))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("lastfm_tags.db", "lastfm_train.zip", "lastfm_train/A/"), ("lastfm_tags.db",)),
        (("lastfm_train.zip", "lastfm_train/A/"), ("lastfm_train.zip",)),
        (("lastfm_train/A/", "readme.txt"), ("",)),
        (("readme.txt",), ()),
    ],
)
def test_tags_come_from_one_of_their_forms(tmp_path: Path, names: tuple[str, ...], expected: tuple[str, ...]) -> None:
    lay_out(tmp_path, *(f"lastfm/{name}" for name in names))
    assert DataFolder.find(tmp_path).tags == tuple(str(tmp_path / "lastfm" / name) for name in expected)


def test_names_of_the_sample_and_the_generator(tmp_path: Path) -> None:
    lay_out(tmp_path, "magd/msd_magd_genreassignment.tsv", "tasteprofile/train_triplets.txt.zip")
    data = DataFolder.find(tmp_path)
    assert data.labels == {"magd": f"{tmp_path}/magd/msd_magd_genreassignment.tsv"}
    assert data.triplets == f"{tmp_path}/tasteprofile/train_triplets.txt.zip"
    (tmp_path / "magd" / "msd_magd_genreassignment.tsv").rename(tmp_path / "magd" / "magd_subset_4011.tsv")
    assert DataFolder.find(tmp_path).labels == {"magd": f"{tmp_path}/magd/magd_subset_4011.tsv"}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("track_metadata.db", "msd_summary_file.h5", "subset_track_metadata.db"), "msd_summary_file.h5"),
        (("Track_Metadata.db", "subset_msd_summary_file.h5"), "Track_Metadata.db"),
        (("track_metadata.parquet",), "track_metadata.parquet"),
        (("subset_track_metadata.db", "artist_term.db", "unique_tracks.txt"), "subset_track_metadata.db"),
        (("track_metadata.db.gz", "artist_term.db"), None),
    ],
)
def test_metadata_comes_from_one_file(tmp_path: Path, names: tuple[str, ...], expected: str | None) -> None:
    lay_out(tmp_path, *(f"additional/{name}" for name in names))
    found = DataFolder.find(tmp_path)
    assert found.metadata == (f"{tmp_path}/additional/{expected}" if expected else None)
    assert found.unrecognised() == []


def test_missing_sources(tmp_path: Path) -> None:
    assert DataFolder.find(tmp_path / "nowhere") == DataFolder(f"{tmp_path}/nowhere")
    error = DataFolder.find(tmp_path).missing("song files", "subset", "--songs")
    assert str(error) == f"no song files in {tmp_path}; run msd-spark fetch subset --to {tmp_path}, or give --songs"


def test_sources_in_a_bucket(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in store.environment().items():
        monkeypatch.setenv(name, value)
    store.create("sources")
    names = [f"{name}x.h5" if name.endswith("/") else name for name in EVERYTHING]
    store.put("sources", {f"data/{name}": b"x" for name in [*names, "tagtraum/tagtraum_cd2.zip", "Magd/x"]})
    folder = "s3://sources/data"
    assert DataFolder.find(f"{folder}/") == everything(folder)
    assert DataFolder.find(folder).unrecognised() == [f"{folder}/Magd", f"{folder}/tagtraum/tagtraum_cd2.zip"]
    assert "run msd-spark fetch subset --to ./data and upload it" in str(DataFolder(folder).missing("x", "subset", "y"))
