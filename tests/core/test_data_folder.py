from __future__ import annotations

from pathlib import Path

import pytest

from msd_spark.core.data_folder import DataFolder
from tests.support.data_folders import EVERYTHING, lay_out


def test_every_source_is_found(tmp_path: Path) -> None:
    lyrics, tagtraum, magd = tmp_path / "musixmatch", tmp_path / "tagtraum", tmp_path / "magd"
    assert DataFolder.find(lay_out(tmp_path, *EVERYTHING)) == DataFolder(
        tmp_path,
        (tmp_path / "songs", tmp_path / "broken"),
        lyrics / "mxm_dataset_train.txt",
        lyrics / "mxm_dataset_test.truncated.txt",
        lyrics / "mxm_reverse_mapping.txt",
        {
            "cd1": tagtraum / "msd_tagtraum_cd1.cls",
            "cd2": tagtraum / "msd_tagtraum_cd2.cls",
            "cd2c": tagtraum / "msd_tagtraum_cd2c.cls",
            "magd": magd / "msd-MAGD-genreAssignment.cls",
            "topmagd": magd / "msd-topMAGD-genreAssignment.cls",
            "masd": magd / "msd-MASD-styleAssignment.cls",
        },
        (tmp_path / "lastfm" / "lastfm_test.zip", tmp_path / "lastfm" / "lastfm_train.zip"),
        tmp_path / "tasteprofile" / "train_triplets.txt",
        tmp_path / "tasteprofile" / "sid_mismatches.txt",
    )


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
    assert DataFolder.find(tmp_path).tags == tuple(tmp_path / "lastfm" / name for name in expected)


def test_names_of_the_sample_and_the_generator(tmp_path: Path) -> None:
    lay_out(tmp_path, "magd/msd_magd_genreassignment.tsv", "tasteprofile/train_triplets.txt.zip")
    data = DataFolder.find(tmp_path)
    assert data.labels == {"magd": tmp_path / "magd" / "msd_magd_genreassignment.tsv"}
    assert data.triplets == tmp_path / "tasteprofile" / "train_triplets.txt.zip"
    (tmp_path / "magd" / "msd_magd_genreassignment.tsv").rename(tmp_path / "magd" / "magd_subset_4011.tsv")
    assert DataFolder.find(tmp_path).labels == {"magd": tmp_path / "magd" / "magd_subset_4011.tsv"}


def test_missing_sources(tmp_path: Path) -> None:
    assert DataFolder.find(tmp_path / "nowhere") == DataFolder(tmp_path / "nowhere")
    error = DataFolder.find(tmp_path).missing("song files", "subset", "--songs")
    assert str(error) == f"no song files in {tmp_path}; run msd-spark fetch subset --to {tmp_path}, or give --songs"
