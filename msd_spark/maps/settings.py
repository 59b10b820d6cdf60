"""Settings of maps, and the names of files in ``maps/RUN``."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from msd_spark.core.errors import UserError
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

TABLE = "maps"

TSNE, UMAP = METHODS = ("tsne", "umap")

MAP_FILE = "_map.json"
FITTED_FILE = "_fitted.parquet"
VECTORS_FILE = "_vectors.parquet"
"""Files in the table's folder; Spark, pandas and pyarrow skip them."""

FEWEST_SONGS = 4
"""With fewer songs, a perplexity of 1 is more than a third of the other songs."""

ATLAS, PROJECTOR = VIEWERS = ("embedding-atlas", "projector")


@dataclass(frozen=True)
class Layout:
    """Options that a map depends on besides its songs, as in `MapSettings`."""

    method: str = TSNE
    sample: int = 3000
    perplexity: float = 30.0
    seed: int = 0

    def effective_perplexity(self, n_songs: int) -> float:
        """Return the perplexity for a number of songs: at most a third of the other songs [1]_.

        References
        ----------
        .. [1] L. van der Maaten, "Accelerating t-SNE using tree-based algorithms", JMLR 15, 2014: affinities use three
           times as many neighbours as the perplexity.
        """
        return min(self.perplexity, (n_songs - 1) / 3)


def _of_layout(text: str, default: object) -> str:
    return f"{text} (default: that of the existing map, or {default})"


@dataclass(frozen=True)
class ExportSettings(Settings):
    """Files for viewers."""

    folder: str | None = option(
        None, "also write the map for Embedding Atlas and TensorBoard's projector", name="export", metavar="DIR"
    )
    viewer: str | None = option(None, "export for one viewer only", name="export-for", choices=VIEWERS)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.viewer and not self.folder:
            raise OptionError("--export-for needs a folder; add --export DIR")

    @property
    def viewers(self) -> tuple[str, ...]:
        """The viewers to write files for; none without a folder."""
        return () if self.folder is None else (self.viewer,) if self.viewer else VIEWERS


@dataclass(frozen=True)
class ExploreSettings(Settings):
    """Settings of ``msd-spark explore``."""

    warehouse: str = warehouse_option()
    run: str | None = option(None, "run whose map is opened; the newest by default", metavar="RUN", check=NAME)
    output: str = option(
        "explore", "local folder for the file that is opened, in a subfolder of the run", metavar="DIR"
    )
    port: int = option(5055, "port of the server of Embedding Atlas", check=between(1, 65535))


@dataclass(frozen=True)
class MapSettings(Settings):
    """Settings of maps."""

    warehouse: str = warehouse_option()
    run: str | None = option(None, "run to map; the newest by default", metavar="RUN", check=NAME)
    method: str | None = option(None, _of_layout("layout", Layout.method), choices=METHODS)
    sample: int | None = option(
        None, _of_layout("fit the map to N songs and place the others into it", Layout.sample), metavar="N",
        check=at_least(FEWEST_SONGS),
    )  # fmt: skip
    perplexity: float | None = option(
        None, _of_layout("effective number of neighbours in t-SNE", Layout.perplexity),
        check=Check(lambda value: 1 <= value < float("inf"), "finite numbers of 1 or more"),
    )  # fmt: skip
    seed: int | None = option(None, _of_layout("random seed for sampling and layout", Layout.seed), check=SEED)
    refit: bool = option(False, "make a new map even if there is one")
    block: int = option(8192, "songs placed at a time; limits the memory, not the result", check=at_least(1))
    threads: int = option(1, "threads; more speed up large samples on idle cores only", check=between(1, 1024))
    export: ExportSettings = ExportSettings()
    keep_versions: int = keep_versions_option()

    def layout(self, run_name: str, existing: Layout | None) -> Layout:
        """Return the existing map's layout, or a new one; raise UserError if an option differs."""
        current = asdict(existing or Layout())
        options = {name: getattr(self, name) for name in current if getattr(self, name) is not None}
        other = [f"{name} {current[name]}, not {value}" for name, value in options.items() if current[name] != value]
        if existing is not None and other:
            raise UserError(
                f"maps/{run_name} was made with {'; '.join(other)}; omit these options, or make a new map by --refit"
            )
        return Layout(**current | options)
