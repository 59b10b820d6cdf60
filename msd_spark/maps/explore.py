"""Open a map in Embedding Atlas, which runs a server and a page in a browser."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

import numpy as np

from msd_spark.catalogue.embeddings import EMBEDDINGS_TABLE
from msd_spark.core.errors import UserError
from msd_spark.core.filesystems import is_local, local_path
from msd_spark.core.runs import newest_run
from msd_spark.core.summary import Summary
from msd_spark.core.warehouse import Warehouse
from msd_spark.maps.atlas import ATLAS_FILE, COMMAND, viewer_command
from msd_spark.maps.export import export_map
from msd_spark.maps.job import read_songs
from msd_spark.maps.saved_map import SavedMap
from msd_spark.maps.settings import ATLAS, TABLE, ExploreSettings, ExportSettings


def run(settings: ExploreSettings) -> None:
    """Run ``msd-spark explore``: write the map's file and open it until Ctrl-C."""
    if shutil.which(COMMAND) is None:
        raise UserError(
            f"{COMMAND} is not on the PATH; run uv tool install {COMMAND} (its packages conflict with ours, so give it "
            "an environment of its own), or run msd-spark report, which needs no other program"
        )
    warehouse = Warehouse(settings.warehouse)
    run_name = settings.run or newest_run(warehouse)
    for names in ((EMBEDDINGS_TABLE, run_name), (TABLE, run_name), ("neighbours", run_name), ("songs",)):
        warehouse.require(*names)
    if not is_local(settings.output):
        raise UserError(f"--output is {settings.output}; name a local folder")
    folder = Path(local_path(settings.output)) / run_name
    if any(place.exists() and not place.is_dir() for place in (folder.parent, folder)):
        raise UserError(f"--output {settings.output} is a file, or has a file {run_name}; name another folder")
    summary = Summary("explore")
    summary.facts |= write_atlas(warehouse, run_name, folder)
    command = viewer_command(str(folder / ATLAS_FILE), "--port", str(settings.port))
    summary.finish(warehouse)
    print(f"\n{shlex.join(command)}", flush=True)
    status = subprocess.run(command).returncode
    if status:
        raise UserError(f"{COMMAND} ended with exit status {status}; see its messages above")


def write_atlas(warehouse: Warehouse, run_name: str, folder: Path) -> dict[str, object]:
    """Write the file that Embedding Atlas reads; return facts for the summary."""
    saved = SavedMap.read(warehouse, run_name)
    embedded, _ = read_songs(warehouse, run_name)
    if saved is None or not np.array_equal(saved.songs.track_ids, embedded.track_ids):
        raise UserError(f"maps/{run_name} is not of the songs in embeddings/{run_name}; run msd-spark maps")
    facts = export_map(warehouse, run_name, embedded, saved.songs, ExportSettings(str(folder), ATLAS))
    return {"run": run_name, "songs": len(embedded), **facts}
