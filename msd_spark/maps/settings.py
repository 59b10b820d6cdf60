"""What is asked of a map, and the names of what lies in ``maps/RUN``."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from msd_spark.core.errors import UserError

STAGE = "maps"
TABLE = "maps"

TSNE, UMAP = "tsne", "umap"
METHODS = (TSNE, UMAP)

MAP_FILE = "_map.json"
FITTED_FILE = "_fitted.parquet"
VECTORS_FILE = "_vectors.parquet"
"""Files within the table's folder; Spark, pandas and pyarrow pass over them."""

FEWEST_SONGS = 4
"""With fewer, perplexity 1 (one neighbour that counts) is more than a third of the others."""


@dataclass(frozen=True)
class Layout:
    """How a map is made: two maps of the same songs and the same layout are the same.

    Attributes
    ----------
    method : str
        One of `METHODS`.
    sample : int
        Songs that the map is made of, at most; the others are placed into it.
    perplexity : float
        About how many neighbours of a song count. Fewer where the map is made of few songs.
    seed : int
    """

    method: str = TSNE
    sample: int = 3000
    perplexity: float = 30.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be made.

        Raises
        ------
        UserError
        """
        if self.method not in METHODS:
            raise UserError(f"the method is one of {', '.join(METHODS)}, not {self.method!r}")
        if self.sample < FEWEST_SONGS:
            raise UserError(f"a map is made of at least {FEWEST_SONGS} songs, not {self.sample} (--sample)")
        if not 1 <= self.perplexity < float("inf"):
            raise UserError(f"a perplexity is at least 1, not {self.perplexity} (--perplexity)")

    def effective_perplexity(self, n_songs: int) -> float:
        """Return the perplexity for a map of so many songs: at most a third of a song's others [1]_.

        References
        ----------
        .. [1] L. van der Maaten, "Accelerating t-SNE using tree-based algorithms", JMLR 15, 2014: affinities are
           taken over three times as many neighbours as the perplexity says.
        """
        return min(self.perplexity, (n_songs - 1) / 3)


@dataclass(frozen=True)
class MapSettings:
    """Which map is made.

    Attributes
    ----------
    warehouse, run : str
    method, sample, perplexity, seed : optional
        As of `Layout`; left out, those of the map that is there, or the defaults.
    refit : bool
        Make a new map even where there is one.
    block : int
        Songs that are placed at a time; where they come to lie does not depend on it.
    threads : int
        More of them help with samples of tens of thousands, on cores that nobody else uses: openTSNE's wait for each
        other so often that on busy cores two took eight times as long as one. The map does not depend on them.
    """

    warehouse: str
    run: str
    method: str | None = None
    sample: int | None = None
    perplexity: float | None = None
    seed: int | None = None
    refit: bool = False
    block: int = 8192
    threads: int = 1

    def __post_init__(self) -> None:
        """Refuse what cannot be asked for."""
        if self.block < 1 or self.threads < 1:
            raise UserError(f"--block and --threads are at least 1, not {self.block}, {self.threads}")

    @property
    def asked(self) -> dict[str, Any]:
        """The parts of the layout that were said."""
        said = {item.name: getattr(self, item.name) for item in fields(Layout)}
        return {name: value for name, value in said.items() if value is not None}
