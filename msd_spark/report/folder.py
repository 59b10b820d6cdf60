"""The files of a page's folder, as they are written into the warehouse's staging folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.resources import files as package_files

from plotly.offline import get_plotlyjs

from msd_spark.core.warehouse import Warehouse
from msd_spark.report.scripts import as_script

PLOTLY = "assets/plotly.min.js"
SCRIPTS = (
    "page",
    "colours",
    "points",
    "map",
    "gestures",
    "search",
    "song",
    "legend",
    "lassoed",
    "recommenders",
    "recommendations",
    "charts",
    "start",
)
"""Of ``assets/``, in the order in which the page runs them."""


@dataclass
class Folder:
    """A folder that is being written.

    Attributes
    ----------
    warehouse : Warehouse
    path : str
        For its filesystem.
    sizes : dict
        Bytes of each file written, by name.
    """

    warehouse: Warehouse
    path: str
    sizes: dict[str, int] = field(default_factory=dict)

    def write(self, name: str, content: bytes) -> None:
        """Write a file; the folders in its name are made."""
        if "/" in name:
            self.warehouse.filesystem.create_dir(f"{self.path}/{name.rsplit('/', 1)[0]}", recursive=True)
        with self.warehouse.filesystem.open_output_stream(f"{self.path}/{name}") as sink:
            sink.write(content)
        self.sizes[name] = len(content)

    def write_data(self, name: str, content: object) -> None:
        """Write what the page's scripts read under a name."""
        self.write(f"data/{name}.js", as_script(name, content))

    def write_assets(self) -> list[str]:
        """Write the page's scripts, its style and Plotly; return the scripts that the page loads, in order."""
        ours = package_files("msd_spark.report") / "assets"
        self.write("assets/page.css", (ours / "page.css").read_bytes())
        for name in SCRIPTS:
            self.write(f"assets/{name}.js", (ours / f"{name}.js").read_bytes())
        self.write(PLOTLY, get_plotlyjs().encode())
        first, *others = [f"assets/{name}.js" for name in SCRIPTS]
        # Plotly, five megabytes of it, is read when the map is there.
        return [first, "data/page.js", "data/songs.js", *others]

    def data_bytes(self) -> int:
        """Return the bytes that a browser reads to show the page, before anything is clicked."""
        later = ("data/details-", "data/heatmap-", "data/recommend", "figures/", "tables/", "metrics.json")
        return sum(size for name, size in self.sizes.items() if not name.startswith(later))
