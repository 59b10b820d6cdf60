"""Settings of the dataset job."""

from __future__ import annotations

from dataclasses import dataclass, replace

from msd_spark.catalogue.requirements import FACTORS, GENRE, LISTENS, LYRICS, REQUIREMENTS, TAGS
from msd_spark.core.options import (
    NAME,
    SEED,
    Check,
    OptionError,
    Settings,
    at_least,
    between,
    keep_versions_option,
    option,
    warehouse_option,
)
from msd_spark.core.schemas import SEGMENT_MODES, Geometry
from msd_spark.core.warehouse import Warehouse
from msd_spark.dataset.balance import RULE, RULES, BalanceRule
from msd_spark.dataset.plan import FileRule
from msd_spark.dataset.splits import SplitRule

TABLES_OF = {LYRICS: "lyrics", GENRE: "labels", TAGS: "tags", LISTENS: "popularity", FACTORS: "factors"}
"""Table of each name in ``--require``."""

STAGE = "dataset"

MOST_ROWS_PER_FILE = 100_000
"""A column of arrays in a file has at most 2 GiB, enough for 147,000 arrays of 300 x 12 float32 numbers."""

DEFAULT_TAGS = 50
"""Tags of a dataset by default, if the warehouse has as many."""

PER_SPLIT = "TRAIN VALIDATION TEST"


@dataclass(frozen=True)
class DatasetSettings(Settings):
    """Settings of the dataset; each field is an option of ``msd-spark dataset``."""

    warehouse: str = warehouse_option()
    name: str = option("genre", "the dataset is written to dataset/NAME", check=NAME)
    require: tuple[str, ...] = option(
        (),
        "data that a song must have besides segments, separated by commas; data not listed may be missing",
        metavar="LIST",
        check=Check(lambda names: set(names.split(",")) <= {*REQUIREMENTS, ""}, ", ".join(REQUIREMENTS)),
    )
    label_set: str = option("cd1", "label set of the genres in labels/", check=NAME)
    min_examples: int = option(10, "remove genres with fewer songs", check=at_least(0))
    tags: int | None = option(
        None,
        f"add columns for the N most frequent tags; 0: none; by default {DEFAULT_TAGS}, or all if tags/ has fewer",
        metavar="N",
        check=at_least(0),
    )
    factors: bool = option(False, "add a column with the ALS factors of each track")
    most_popular: int | None = option(
        None,
        "use only the N most played tracks; popularity deciles are then those among the songs of the dataset",
        metavar="N",
        check=at_least(1),
    )
    segments: str = option(
        "first", "part of a song in its example: first segments, centre, or beats", choices=SEGMENT_MODES
    )
    chroma: str | None = option(
        None,
        "type of the stored chroma: uint16 for thousandths, which is what song files have, or float32; by default "
        "float32 with --segments beats, else uint16",
        choices=("uint16", "float32"),
    )
    split: str = option(
        "artist", "keep all tracks of an artist in one split, or split by track", choices=("artist", "track")
    )
    shares: tuple[float, float, float] = option(SplitRule.shares, "fraction of each split", metavar=PER_SPLIT)
    split_lists: tuple[str, str, str] | None = option(
        None,
        "text or CSV files with the track, song or artist ids of each split, one per line, instead of --split and "
        "--shares; tracks in no file are left out",
        metavar=PER_SPLIT,
    )
    duplicates: str | None = option(
        None,
        "list of duplicate tracks (msd_duplicates.txt): keep the tracks of each group in one split, unless "
        "--split-lists is given",
        metavar="FILE",
    )
    balance: str = option(
        "none",
        "resample the train split by genre; N is the number of rows of the largest genre, M of every other",
        metavar="RULE",
        check=Check(lambda rule: RULE.fullmatch(rule) is not None, RULES),
    )
    rows_per_file: int = option(
        FileRule.rows_per_file, "examples per file, one row group each", check=between(1, MOST_ROWS_PER_FILE)
    )
    min_files: int = option(
        FileRule.min_files, "minimum number of files per split, so that ranks read different files", check=at_least(1)
    )
    seed: int = option(0, "random seed of the split, the order of the examples and --balance", check=SEED)
    keep_versions: int = keep_versions_option()

    def __post_init__(self) -> None:
        """Check each option, and that the shares add up to 1."""
        super().__post_init__()
        if len(self.shares) != 3 or min(self.shares) < 0 or not abs(sum(self.shares) - 1) <= 1e-9:
            raise OptionError(f"--shares is {self.shares}; allowed: three fractions that add up to 1")
        if (self.chroma, self.segments) == ("uint16", "beats"):
            raise OptionError("--chroma is uint16, which cannot hold the means of --segments beats; choose float32")

    @property
    def requirements(self) -> tuple[str, ...]:
        """What a song needs, sorted; an option that is typed once can name several."""
        return tuple(sorted({name for names in self.require for name in names.split(",") if name}))

    @property
    def stored_chroma(self) -> str:
        """Type of the stored chroma."""
        return self.chroma or ("float32" if self.segments == "beats" else "uint16")

    @property
    def split_rule(self) -> SplitRule:
        """How tracks are assigned to splits."""
        return SplitRule(self.shares, self.seed, "lists" if self.split_lists else self.split)

    @property
    def file_rule(self) -> FileRule:
        """How a split is divided into files."""
        return FileRule(self.rows_per_file, self.min_files, self.seed)

    @property
    def balance_rule(self) -> BalanceRule:
        """How the train split is resampled."""
        return BalanceRule.parse(self.balance, self.seed)

    def geometry(self, lyric_size: int) -> Geometry:
        """Return the shape of the features of an example, given the length of the lyric vectors."""
        return Geometry(lyric_size=lyric_size, segments=self.segments)

    def resolved(self, warehouse: Warehouse) -> DatasetSettings:
        """Return the settings with the default number of tags in a warehouse."""
        if self.tags is not None:
            return self
        exist = warehouse.is_complete("tags") and warehouse.is_complete("tag_counts")
        n_tags = warehouse.read_table(["tag"], "tag_counts").num_rows if exist else 0
        return replace(self, tags=min(DEFAULT_TAGS, n_tags))

    def needed_tables(self) -> frozenset[str]:
        """Return the tables besides ``songs/`` that the settings need."""
        needed = {TABLES_OF[name] for name in self.requirements}
        needed |= {"tags", "tag_counts"} if self.tags else set()
        needed |= {"factors"} if self.factors else set()
        needed |= {"popularity"} if self.most_popular is not None else set()
        return frozenset(needed)
