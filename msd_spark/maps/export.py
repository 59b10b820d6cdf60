"""Write a run's map for Embedding Atlas, and its vectors for TensorBoard's projector.

``python -m msd_spark.maps.export --warehouse W --run RUN --to DIR``
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from msd_spark.catalogue.genres import displayed_genres
from msd_spark.core.errors import UserError
from msd_spark.core.legacy import exit_with, job_parser
from msd_spark.core.schemas import MAPS, NEIGHBOURS
from msd_spark.core.summary import Summary
from msd_spark.core.warehouse import Warehouse
from msd_spark.maps import atlas, projector
from msd_spark.maps.job import read_songs
from msd_spark.maps.settings import TABLE

STAGE = "map_export"

ATLAS, PROJECTOR = "embedding-atlas", "projector"
VIEWERS = (ATLAS, PROJECTOR)

ROWS_AT_ONCE = 65_536


@dataclass(frozen=True)
class ExportSettings:
    """What is written where.

    Attributes
    ----------
    warehouse, run : str
    to : str
        Folder for the files, local or remote.
    viewers : tuple of str
        Of `VIEWERS`.
    """

    warehouse: str
    run: str
    to: str
    viewers: tuple[str, ...] = VIEWERS


def export_map(settings: ExportSettings) -> Summary:
    """Write the files; return the summary. The warehouse is left as it is.

    Raises
    ------
    UserError
        When the map, the embeddings, the songs, or the neighbours for Embedding Atlas are missing.
    """
    summary = Summary(STAGE)
    warehouse, target = Warehouse(settings.warehouse), Warehouse(settings.to)
    songs, vectors, not_mapped = read_mapped_songs(warehouse, settings.run)
    summary.facts |= {"run": settings.run, "songs": len(songs), "songs that are not on the map": not_mapped}
    if ATLAS in settings.viewers:
        warehouse.require("neighbours", settings.run)
        found = warehouse.read_table(NEIGHBOURS.names, "neighbours", settings.run)
        column, left_out = atlas.neighbours_column(pa.array(songs["track_id"]), found)
        target.filesystem.create_dir(target.root, recursive=True)
        with target.finished_file(target.path(atlas.ATLAS_FILE)) as unfinished:
            table = atlas.atlas_table(songs, column)
            pq.write_table(table, unfinished, filesystem=target.filesystem, compression="zstd")
        summary.facts |= {
            "neighbours": found.num_rows - left_out,
            "neighbours that are not on the map": left_out,
            "for Embedding Atlas": target.path(atlas.ATLAS_FILE),
        }
    if PROJECTOR in settings.viewers:
        starts = range(0, len(songs), ROWS_AT_ONCE)
        pieces = [slice(start, start + ROWS_AT_ONCE) for start in starts]
        _write(target, projector.VECTORS_FILE, (projector.vector_lines(vectors[piece]) for piece in pieces))
        _write(
            target,
            projector.METADATA_FILE,
            (projector.metadata_lines(songs.iloc[piece], header=not piece.start) for piece in pieces),
        )
        _write(target, projector.CONFIG_FILE, [projector.config(settings.run)])
        summary.facts["for TensorBoard's projector"] = target.path(projector.CONFIG_FILE)
    summary.facts["seconds"] = round(time.monotonic() - summary.started, 1)
    return summary


def read_mapped_songs(warehouse: Warehouse, run: str) -> tuple[pd.DataFrame, np.ndarray, int]:
    """Return the songs of ``maps/RUN`` with what is known of them, their embeddings, and the songs that it lacks.

    Raises
    ------
    UserError
        When a table is missing, or the map and the embeddings have no song in common.
    """
    warehouse.require(TABLE, run)
    warehouse.require("songs")
    embedded, _ = read_songs(warehouse, run)
    places = warehouse.read_table(MAPS.names, TABLE, run).to_pandas().set_index("track_id")
    mapped = np.isin(embedded.track_ids, places.index.to_numpy().astype(str))
    if not mapped.any():
        raise UserError(f"maps/{run} and embeddings/{run} have no song in common; run jobs/maps.py again")
    ids = pd.Index(embedded.track_ids[mapped], name="track_id")
    named = ["track_id", "title", "artist_name", "year"]
    known = warehouse.read_table(named, "songs").to_pandas().drop_duplicates("track_id").set_index("track_id")
    songs = places.reindex(ids).join(known.rename(columns={"artist_name": "artist"}))
    songs["year"] = songs["year"].astype("Int32")
    songs["genre"] = displayed_genres(warehouse, run).reindex(ids)
    predicted = pd.Series(embedded.predicted_genre[mapped], ids, dtype=object)
    songs["predicted_genre"] = predicted.mask(predicted == "")
    songs[["plays", "popularity_decile"]] = _popularity(warehouse).reindex(ids).astype("Int64")
    return songs.reset_index(), embedded.vectors[mapped], int((~mapped).sum())


def _popularity(warehouse: Warehouse) -> pd.DataFrame:
    columns = ["plays", "popularity_decile"]
    if not warehouse.is_complete("popularity"):
        return pd.DataFrame(columns=columns)
    return warehouse.read_table(["track_id", *columns], "popularity").to_pandas().set_index("track_id")


def _write(target: Warehouse, name: str, pieces: Iterable[bytes]) -> None:
    target.filesystem.create_dir(target.root, recursive=True)
    with (
        target.finished_file(target.path(name)) as unfinished,
        target.filesystem.open_output_stream(unfinished) as sink,
    ):
        for piece in pieces:
            sink.write(piece)


def main() -> None:
    """Run the command."""
    parser = job_parser(__doc__)
    add = parser.add_argument
    add("--run", required=True, metavar="NAME", help="the run of maps/NAME")
    add("--to", required=True, metavar="DIR", help="folder for the files")
    add("--for", dest="viewer", choices=VIEWERS, help="one viewer; left out: both")
    arguments = parser.parse_args()
    viewers = (arguments.viewer,) if arguments.viewer else VIEWERS
    settings = ExportSettings(arguments.warehouse, arguments.run, arguments.to, viewers)
    print(export_map(settings).table())
    folder = shlex.quote(arguments.to.rstrip("/"))
    if ATLAS in viewers:
        print(f"\nembedding-atlas {folder}/{atlas.ATLAS_FILE} --x x --y y --neighbors neighbors --text title")
    if PROJECTOR in viewers:
        print(f"\ntensorboard --logdir {folder}")


if __name__ == "__main__":
    exit_with(main)
