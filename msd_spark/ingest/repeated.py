"""Keep each track once: drop its other places from the files of their units."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
import pyarrow.parquet as pq

from msd_spark.core import schemas
from msd_spark.core.delta import DataFile, Destination
from msd_spark.core.rejections import Rejection
from msd_spark.core.warehouse import Warehouse
from msd_spark.ingest.settings import SONGS
from msd_spark.ingest.units import Kind
from msd_spark.ingest.work import DUPLICATE, SUPERSEDED
from msd_spark.songfile.batches import songs_writer

Ledger = list[dict[str, Any]]
"""Rows of ``ledger/``."""


def sort_key(place: Sequence[str]) -> tuple[list[tuple[int, str]], ...]:
    """Return the key that orders the places of a repeated track, of which the first is kept.

    Numbers within names are compared by value: ``row 5`` comes before ``row 1000``.
    """
    runs = ([run for run in re.split("([0-9]+)", part) if run] for part in place)
    return tuple([(int(run), "") if run.isdecimal() else (-1, run) for run in parts] for parts in runs)


def without_repeated_tracks(
    warehouse: Warehouse, units: Mapping[str, dict[str, Any]], destination: Destination
) -> Ledger:
    """Return the ledger's rows of units, by unit, each track in one of them.

    A song file takes the place of a row of metadata. Otherwise the first place is kept, in the order of `sort_key`.
    Files are rewritten without the others.
    """
    metadata = {unit: row for unit, row in units.items() if row["kind"] == Kind.METADATA}
    songs = {unit: row for unit, row in units.items() if unit not in metadata}
    drops, duplicates = _resolve_duplicates(warehouse, songs)
    superseded = _superseded_rows(warehouse, songs, metadata) if metadata else {}
    drops |= {file: rows.track_ids for file, rows in superseded.items()}
    rows = []
    for unit, row in sorted(units.items()):
        n_superseded, row = _with_superseded(row, superseded)
        files = [
            _rewrite(warehouse, file, drops[file.name], destination) if file.name in drops else file
            for file in files_of(row)
        ]
        n_dropped = len(duplicates.get(unit, ()))
        rows.append(
            row
            | {
                "files": [file.name for file in files],
                "file_sizes": [file.size for file in files],
                "file_rows": [file.rows for file in files],
                "songs": row["songs"] - n_dropped - n_superseded,
                "duplicates": row["duplicates"] + n_dropped,
                "rejections": [*row["rejections"], *map(asdict, duplicates.get(unit, ()))],
            }
        )
    return rows


class Superseded(NamedTuple):
    """Rows of metadata in a file that other rows replace: their track ids, and the place of one of them."""

    track_ids: set[str]
    example: str


def _with_superseded(row: dict[str, Any], superseded: Mapping[str, Superseded]) -> tuple[int, dict[str, Any]]:
    """Return the number of rows of a unit that are superseded now, and its row with them among the skips."""
    of_unit = [superseded[file] for file in row["files"] if file in superseded]
    if not of_unit:
        return 0, row
    count = sum(len(rows.track_ids) for rows in of_unit)
    before = next((one for one in row["skips"] if one["reason"] == SUPERSEDED), None)
    entry = {"reason": SUPERSEDED, "count": count, "example": of_unit[0].example}
    if before:
        entry |= {"count": count + before["count"], "example": before["example"]}
    skips = [*(one for one in row["skips"] if one["reason"] != SUPERSEDED), entry]
    return count, row | {"skips": skips, "skipped": row["skipped"] + count}


def _superseded_rows(
    warehouse: Warehouse, songs: Mapping[str, dict[str, Any]], metadata: Mapping[str, dict[str, Any]]
) -> dict[str, Superseded]:
    """Return the rows of metadata to drop, by file."""
    of_songs = set(chain.from_iterable(row["track_ids"] for row in songs.values()))
    counts = Counter(chain.from_iterable(row["track_ids"] for row in metadata.values()))
    repeated = {track_id for track_id, n_units in counts.items() if n_units > 1 or track_id in of_songs}
    rows = [row for row in metadata.values() if not repeated.isdisjoint(row["track_ids"])]
    table = _repeated_rows(warehouse, rows, repeated).to_pandas()
    sources = sorted(table["source"].unique(), key=lambda source: sort_key([source]))
    table["source_rank"] = table["source"].map({source: rank for rank, source in enumerate(sources)})
    table["row"] = table["member"].str.extract(r"(-?\d+)$", expand=False).astype(np.int64)
    table = table.sort_values(["source_rank", "row", "file"])
    table = table[table["track_id"].isin(of_songs) | table["track_id"].duplicated()]
    return {
        str(file): Superseded(set(of_file["track_id"]), " ".join(of_file.iloc[0][["source", "member"]]))
        for file, of_file in table.groupby("file")
    }


def _repeated_rows(warehouse: Warehouse, rows: Collection[dict[str, Any]], track_ids: Collection[str]) -> pa.Table:
    """Return track id, source, member (empty if there is none) and file of some tracks in the files of units."""
    columns = ["track_id", "source", "member", "__filename"]
    paths = [warehouse.path(SONGS, name) for row in rows for name in row["files"]]
    if not paths:
        return pa.table({name: pa.array([], pa.string()) for name in (*columns[:3], "file")})
    songs = pads.dataset(paths, filesystem=warehouse.filesystem, format="parquet", partitioning=None)
    table = songs.to_table(columns, filter=pc.field("track_id").isin(list(track_ids)))
    files = pc.replace_substring_regex(table["__filename"], ".*/", "")
    return table.set_column(2, "member", pc.fill_null(table["member"], "")).set_column(3, "file", files)


def unit_of(file: str) -> str:
    """Return the unit of a file of songs, given the file's name."""
    return file.split("-", 1)[0]


def files_of(row: Mapping[str, Any]) -> list[DataFile]:
    """Return the files of a unit."""
    return [DataFile(*file) for file in zip(row["files"], row["file_sizes"], row["file_rows"], strict=True)]


def _resolve_duplicates(
    warehouse: Warehouse, units: Mapping[str, dict[str, Any]]
) -> tuple[dict[str, set[str]], dict[str, list[Rejection]]]:
    """Return the tracks to drop, by file, and their rejections, by unit."""
    counts = Counter(chain.from_iterable(row["track_ids"] for row in units.values()))
    repeated = {track_id for track_id, n_units in counts.items() if n_units > 1}
    drops, duplicates, places = defaultdict(set), defaultdict(list), defaultdict(list)
    rows = [row for row in units.values() if not repeated.isdisjoint(row["track_ids"])]
    table = _repeated_rows(warehouse, rows, repeated)
    for track_id, source, member, file in zip(*(column.to_pylist() for column in table.columns), strict=True):
        places[track_id].append((source, member, unit_of(file), file))
    for track_id, candidates in sorted(places.items()):
        first, *others = sorted(candidates, key=sort_key)
        detail = f"{track_id} is kept from {' '.join(part for part in first[:2] if part)}"
        for source, member, unit, file in others:
            drops[file].add(track_id)
            duplicates[unit].append(Rejection(source, DUPLICATE, detail, member or None, unit))
    return drops, duplicates


def _rewrite(warehouse: Warehouse, file: DataFile, drop: Collection[str], destination: Destination) -> DataFile:
    """Write a file of songs again without some tracks, under a new name."""
    dropped, n_rows = pa.array(sorted(drop), pa.string()), 0
    with (
        pq.ParquetFile(warehouse.filesystem.open_input_file(warehouse.path(SONGS, file.name))) as source,
        destination.create(file.name.rsplit("-", 1)[0]) as new,
        songs_writer(new.sink) as writer,
    ):
        for group in range(source.num_row_groups):
            rows = source.read_row_group(group)
            rows = rows.filter(pc.invert(pc.is_in(rows["track_id"], value_set=dropped)))
            if rows.num_rows:
                writer.write_table(rows.cast(schemas.SONGS))
                n_rows += rows.num_rows
    return DataFile(new.name, new.size, n_rows)
