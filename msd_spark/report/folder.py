"""Files of a report, written into a new folder of the warehouse."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.resources import files as package_files

from plotly.offline import get_plotlyjs

from msd_spark.core.warehouse import Warehouse
from msd_spark.report.scripts import as_script

PLOTLY = "assets/plotly.min.js"
STYLE = "assets/report.css"
SCRIPTS = (
    "base", "songs", "colours", "points", "labels", "map", "gestures", "search", "song", "legend", "filters", "lassoed",
    "recommenders", "recommendations", "charts", "address", "start",
)  # fmt: skip
"""Scripts of ``assets/``, in the order in which the report runs them."""

ON_DEMAND = (
    "data/details-", "data/heatmap-", "data/ids-", "data/names-", "data/recommend", "data/search-", "data/trait-",
    "figures/", "tables/", "metrics.json",
)  # fmt: skip
"""Prefixes of files that a browser does not read to open the report."""


@dataclass
class Folder:
    """A folder with the sizes of the files written so far, in bytes by name."""

    warehouse: Warehouse
    path: str
    sizes: dict[str, int] = field(default_factory=dict)

    def write(self, name: str, content: bytes) -> None:
        """Write a file and the folders in its name."""
        self.write_pieces(name, [content])

    def write_pieces(self, name: str, pieces: Iterable[bytes]) -> None:
        """Write a file piece by piece, and the folders in its name."""
        if "/" in name:
            self.warehouse.make_folder(f"{self.path}/{name.rsplit('/', 1)[0]}")
        self.sizes[name] = 0
        with self.warehouse.filesystem.open_output_stream(f"{self.path}/{name}") as sink:
            for piece in pieces:
                sink.write(piece)
                self.sizes[name] += len(piece)

    def write_data(self, name: str, content: object) -> None:
        """Write a data file for the report's scripts."""
        self.write(f"data/{name}.js", as_script(name, content))

    def write_assets(self, *data: str) -> list[str]:
        """Write scripts, style and Plotly; return the scripts that open the report, in order, with some data files."""
        assets = package_files("msd_spark.report") / "assets"
        scripts = [f"assets/{name}.js" for name in SCRIPTS]
        for name in (STYLE, *scripts):
            self.write(name, (assets / name.removeprefix("assets/")).read_bytes())
        self.write(PLOTLY, get_plotlyjs().encode())
        # The five megabytes of Plotly are loaded after the map.
        return [scripts[0], *(f"data/{name}.js" for name in data), *scripts[1:]]

    def opening_bytes(self) -> int:
        """Return the bytes that a browser reads to open the report."""
        return sum(size for name, size in self.sizes.items() if not name.startswith(ON_DEMAND))
