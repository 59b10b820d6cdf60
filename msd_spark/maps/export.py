"""Export a map for Embedding Atlas, and a run's vectors for TensorBoard's projector."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from msd_spark.catalogue.embeddings import Embedded
from msd_spark.catalogue.genres import displayed_genres
from msd_spark.core.schemas import NEIGHBOURS
from msd_spark.core.warehouse import Warehouse
from msd_spark.maps import atlas, projector
from msd_spark.maps.saved_map import PlacedSongs
from msd_spark.maps.settings import ATLAS, PROJECTOR, ExportSettings

ROWS_AT_ONCE = 65_536


def export_map(
    warehouse: Warehouse, run_name: str, embedded: Embedded, placed: PlacedSongs, settings: ExportSettings
) -> dict[str, Any]:
    """Write the files of the requested viewers; return facts for the summary."""
    facts: dict[str, Any] = {}
    if settings.folder is None:
        return facts
    target = Warehouse(settings.folder)
    target.filesystem.create_dir(target.root, recursive=True)
    songs = describe(warehouse, run_name, embedded, placed)
    if ATLAS in settings.viewers:
        neighbours = warehouse.read_table(NEIGHBOURS.names, "neighbours", run_name)
        column, left_out = atlas.neighbours_column(pa.array(songs["track_id"]), neighbours)
        table = atlas.atlas_table(songs, column)
        pq.write_table(table, target.path(atlas.ATLAS_FILE), filesystem=target.filesystem, compression="zstd")
        facts |= {
            "neighbours": neighbours.num_rows - left_out,
            "neighbours not on the map": left_out,
            "for Embedding Atlas": target.path(atlas.ATLAS_FILE),
        }
    if PROJECTOR in settings.viewers:
        pieces = [slice(start, start + ROWS_AT_ONCE) for start in range(0, len(songs), ROWS_AT_ONCE)]
        _write(target, projector.VECTORS_FILE, (projector.vector_lines(embedded.vectors[piece]) for piece in pieces))
        lines = (projector.metadata_lines(songs.iloc[piece], header=not piece.start) for piece in pieces)
        _write(target, projector.METADATA_FILE, lines)
        _write(target, projector.CONFIG_FILE, [projector.config(run_name)])
        facts["for TensorBoard's projector"] = target.path(projector.CONFIG_FILE)
    return facts


def viewer_commands(settings: ExportSettings) -> Iterator[str]:
    """Yield the command that opens each exported viewer."""
    folder = (settings.folder or "").rstrip("/")
    if ATLAS in settings.viewers:
        yield shlex.join(atlas.viewer_command(f"{folder}/{atlas.ATLAS_FILE}"))
    if PROJECTOR in settings.viewers:
        yield shlex.join(["tensorboard", "--logdir", folder])


def describe(warehouse: Warehouse, run_name: str, embedded: Embedded, placed: PlacedSongs) -> pd.DataFrame:
    """Return places, names, genres, year and popularity of songs; null if unknown."""
    ids = pd.Index(embedded.track_ids, name="track_id")
    x, y = placed.places.T
    songs = pd.DataFrame({"x": x, "y": y, "fitted": placed.fitted}, index=ids)
    predicted = pd.Series(embedded.predicted_genre, ids, dtype=object)
    songs["predicted_genre"] = predicted.mask(predicted == "")
    names = warehouse.read_table(["track_id", "title", "artist_name", "year"], "songs").to_pandas()
    names = names.drop_duplicates("track_id").set_index("track_id").rename(columns={"artist_name": "artist"})
    songs = songs.join(names)
    songs["year"] = songs["year"].astype("Int32")
    songs["genre"] = displayed_genres(warehouse, run_name).reindex(ids)
    counts = ["plays", "popularity_decile"]
    popularity = pd.DataFrame(columns=["track_id", *counts])
    if warehouse.is_complete("popularity"):
        popularity = warehouse.read_table(["track_id", *counts], "popularity").to_pandas()
    songs[counts] = popularity.set_index("track_id").reindex(ids).astype("Int64")
    return songs.reset_index()


def _write(target: Warehouse, name: str, pieces: Iterable[bytes]) -> None:
    with target.filesystem.open_output_stream(target.path(name)) as sink:
        for piece in pieces:
            sink.write(piece)
