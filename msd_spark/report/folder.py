"""Files of a report, written into a new folder of the warehouse."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.resources import files as package_files

from plotly.offline import get_plotlyjs

from msd_spark.core.warehouse import Warehouse
from msd_spark.report.scripts import as_script

PLOTLY = "assets/plotly.min.js"
STYLE = "assets/report.css"
SCRIPTS = (
    "base", "colours", "points", "map", "gestures", "search", "song", "legend", "lassoed", "recommenders",
    "recommendations", "charts", "start",
)  # fmt: skip
"""Scripts of ``assets/``, in the order in which the report runs them."""

ON_DEMAND = ("data/details-", "data/heatmap-", "data/recommend", "figures/", "tables/", "metrics.json")
"""Prefixes of files that a browser does not read to open the report."""


@dataclass
class Folder:
    """A folder with the sizes of the files written so far, in bytes by name."""

    warehouse: Warehouse
    path: str
    sizes: dict[str, int] = field(default_factory=dict)

    def write(self, name: str, content: bytes) -> None:
        """Write a file and the folders in its name."""
        if "/" in name:
            self.warehouse.make_folder(f"{self.path}/{name.rsplit('/', 1)[0]}")
        with self.warehouse.filesystem.open_output_stream(f"{self.path}/{name}") as sink:
            sink.write(content)
        self.sizes[name] = len(content)

    def write_data(self, name: str, content: object) -> None:
        """Write a data file for the report's scripts."""
        self.write(f"data/{name}.js", as_script(name, content))

    def write_assets(self) -> list[str]:
        """Write scripts, style and Plotly; return the scripts that the report loads first, in order."""
        assets = package_files("msd_spark.report") / "assets"
        scripts = [f"assets/{name}.js" for name in SCRIPTS]
        for name in (STYLE, *scripts):
            self.write(name, (assets / name.removeprefix("assets/")).read_bytes())
        self.write(PLOTLY, get_plotlyjs().encode())
        # The five megabytes of Plotly are loaded after the map.
        return [scripts[0], "data/report.js", "data/songs.js", *scripts[1:]]

    def opening_bytes(self) -> int:
        """Return the bytes that a browser reads to open the report."""
        return sum(size for name, size in self.sizes.items() if not name.startswith(ON_DEMAND))
