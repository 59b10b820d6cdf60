"""Data folders with empty files of every source."""

from __future__ import annotations

from pathlib import Path

EVERYTHING = (
    "songs/",
    "truth.tsv",
    "broken/",
    "musixmatch/mxm_dataset_train.txt",
    "musixmatch/mxm_dataset_test.truncated.txt",
    "musixmatch/mxm_reverse_mapping.txt",
    "tagtraum/msd_tagtraum_cd1.cls",
    "tagtraum/msd_tagtraum_cd2.cls",
    "tagtraum/msd_tagtraum_cd2c.cls",
    "magd/msd-MAGD-genreAssignment.cls",
    "magd/msd-topMAGD-genreAssignment.cls",
    "magd/msd-MASD-styleAssignment.cls",
    "lastfm/lastfm_train.zip",
    "lastfm/lastfm_test.zip",
    "tasteprofile/train_triplets.txt",
    "tasteprofile/train_triplets.first2000.txt",
    "tasteprofile/sid_mismatches.txt",
)


def lay_out(folder: Path, *names: str) -> Path:
    """Make empty files, and folders where a name ends with a slash."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            path.mkdir(exist_ok=True)
        else:
            path.touch()
    return folder
