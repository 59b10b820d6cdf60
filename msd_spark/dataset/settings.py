"""What a dataset is made of, and how it is parted: the settings of the job."""

from __future__ import annotations

from dataclasses import dataclass, field

from msd_spark.catalogue.known_tracks import FACTORS, GENRE, LISTENS, LYRICS, REQUIREMENTS, TAGS
from msd_spark.core.schemas import GEOMETRY, Geometry
from msd_spark.dataset.balance import BalanceRule
from msd_spark.dataset.plan import FileRule
from msd_spark.dataset.splits import SplitRule

DEFAULT_NAME = "genre"

TABLES_OF = {LYRICS: "lyrics", GENRE: "labels", TAGS: "tags", LISTENS: "popularity", FACTORS: "factors"}
"""The table that says whether a track has what ``--require`` names."""


@dataclass(frozen=True)
class DatasetSettings:
    """What to join, and how to part it.

    Attributes
    ----------
    warehouse, name : str
        The dataset is written to ``dataset/NAME`` of the warehouse.
    label_set : str
    min_examples : int
        Genres with fewer songs are removed, and listed: their songs are left out where genres are
        required, and are songs without a genre where they are not.
    split_rule : SplitRule
    file_rule : FileRule
    geometry : Geometry
    require : tuple of str
        What a song must have, of `msd_spark.catalogue.known_tracks.REQUIREMENTS`, besides segments.
    balance : BalanceRule
        Of the train split.
    tags : int
        Tags of the vocabulary, those that most tracks have; 0 for no tag columns.
    factors : bool
        Whether examples have the factors of their listens.
    most_popular : int or None
        Only tracks of at most this popularity rank.
    split_lists : tuple of str or None
        A file of track ids or song ids for each split, instead of the split rule.
    """

    warehouse: str
    name: str = DEFAULT_NAME
    label_set: str = "cd1"
    min_examples: int = 10
    split_rule: SplitRule = field(default_factory=SplitRule)
    file_rule: FileRule = field(default_factory=FileRule)
    geometry: Geometry = GEOMETRY
    require: tuple[str, ...] = ()
    balance: BalanceRule = field(default_factory=BalanceRule)
    tags: int = 0
    factors: bool = False
    most_popular: int | None = None
    split_lists: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be asked for."""
        unknown = sorted(set(self.require) - set(REQUIREMENTS))
        if unknown:
            raise ValueError(f"what can be required is {', '.join(REQUIREMENTS)}, not {', '.join(unknown)}")
        if self.tags < 0 or (self.most_popular is not None and self.most_popular < 1):
            raise ValueError(
                f"--tags is at least 0 and --most-popular at least 1, not {self.tags}, {self.most_popular}"
            )
        if not self.name or "/" in self.name or self.name.startswith((".", "_")):
            raise ValueError(f"a dataset's name is one folder, not {self.name!r}")

    def needed_tables(self) -> frozenset[str]:
        """Return the tables beside ``songs/`` that must be there."""
        needed = {TABLES_OF[name] for name in self.require}
        needed |= {"tags", "tag_counts"} if self.tags else set()
        needed |= {"factors"} if self.factors else set()
        needed |= {"popularity"} if self.most_popular is not None else set()
        return frozenset(needed)
