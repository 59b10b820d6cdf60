"""Settings of labels, and the names of the label sets."""

from __future__ import annotations

from dataclasses import dataclass

from msd_spark.core.data_folder import DEFAULT_DATA
from msd_spark.core.options import (
    NAME,
    Check,
    OptionError,
    Settings,
    at_least,
    keep_versions_option,
    option,
    warehouse_option,
)

LABEL_SETS = ("cd1", "cd2", "cd2c", "magd", "topmagd", "masd")
"""Label sets with an option of their own."""

UNION = "2019"
"""The label set that is computed from the others."""


@dataclass(frozen=True)
class LabelsSettings(Settings):
    """Settings of labels; each field is an option of ``msd-spark labels``."""

    cd1: str | None = option(None, "tagtraum CD1 (msd_tagtraum_cd1.cls)", metavar="FILE")
    cd2: str | None = option(None, "tagtraum CD2 (msd_tagtraum_cd2.cls)", metavar="FILE")
    cd2c: str | None = option(
        None, "tagtraum CD2C, the consensus labels of CD2 (msd_tagtraum_cd2c.cls)", metavar="FILE"
    )
    magd: str | None = option(None, "MSD Allmusic Genre Dataset (msd-MAGD-genreAssignment.cls)", metavar="FILE")
    topmagd: str | None = option(
        None, "the 13 largest genres of MAGD (msd-topMAGD-genreAssignment.cls)", metavar="FILE"
    )
    masd: str | None = option(None, "MSD Allmusic Style Dataset (msd-MASD-styleAssignment.cls)", metavar="FILE")
    source: tuple[str, ...] = option(
        (),
        "name and file of a further label set, in the same format, plain or compressed; repeatable",
        metavar="NAME=FILE",
        check=Check(
            lambda text: all(text.partition("=")) and NAME.accepts(text.partition("=")[0]),
            f"NAME=FILE, where NAME is {NAME.allowed}",
        ),
        repeat=True,
    )
    min_examples: int = option(
        10, "leave genres with fewer than N tracks out of a label set, and list them", metavar="N", check=at_least(1)
    )
    tags: tuple[str, ...] = option(
        (), "Last.fm tags: folders of JSON files, .zip files of them, or lastfm_tags.db", metavar="LOCATION"
    )
    top_tags: int = option(50, "number of tags listed in the summary", metavar="N", check=at_least(1))
    data: str = option(
        DEFAULT_DATA,
        "data folder, as msd-spark fetch lays it out; read if no label file and no tags are named",
        metavar="DIR",
    )
    warehouse: str = warehouse_option()
    keep_versions: int = keep_versions_option()

    def __post_init__(self) -> None:
        super().__post_init__()
        names = [text.partition("=")[0] for text in self.source]
        for name in names:
            if name == UNION:
                raise OptionError(f"--source {name}=… names the label set computed from the others; rename it")
            if names.count(name) > 1 or (name in LABEL_SETS and getattr(self, name)):
                raise OptionError(f"two files for label set {name}; name one file, or rename a --source")

    @property
    def files(self) -> dict[str, str]:
        """The file of each label set named by an option."""
        files = {name: getattr(self, name) for name in LABEL_SETS if getattr(self, name)}
        return files | dict(text.split("=", 1) for text in self.source)
