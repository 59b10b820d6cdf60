"""Publish the tables from the outcomes of the units.

All changes are first saved as a plan (`Publication`) and then carried out, in steps that may be repeated. If the driver
dies in between, the next ingest completes the plan. Until the last step ``songs/`` has no completion marker, so that no
stage reads an unfinished change.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from msd_spark.core.errors import UserError
from msd_spark.core.rejections import Rejection, write_rejections
from msd_spark.core.schemas import LEDGER, SONGS
from msd_spark.core.warehouse import COMPLETE, Warehouse
from msd_spark.ingest.settings import OUTCOMES, PARTS, VERB, WORK
from msd_spark.ingest.work import DUPLICATE, Outcome
from msd_spark.songfile.batches import songs_writer

TABLE = "songs"
PLAN = "publication.json"
EMPTY = "nothing.parquet"

Place = tuple[str, str, str]
"""Source, member and unit of a song."""


@dataclass(frozen=True)
class Rewrite:
    """A file of songs to rewrite under a new name without some track ids."""

    name: str
    becomes: str
    drop: list[str]


@dataclass
class Publication:
    """All changes of the tables.

    `moves` are files to move from the work folder to ``songs/``; `ledger` has rows of `msd_spark.core.schemas.LEDGER`,
    and files of ``songs/`` that they do not name are removed.
    """

    moves: list[str] = field(default_factory=list)
    rewrites: list[Rewrite] = field(default_factory=list)
    ledger: list[dict[str, Any]] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Publication:
        """Return the publication from the content of `dataclasses.asdict`."""
        rewrites = [Rewrite(**item) for item in content["rewrites"]]
        rejected = [Rejection(**item) for item in content["rejected"]]
        return cls(**{**content, "rewrites": rewrites, "rejected": rejected})


def repeated_tracks(units: Sequence[str], track_ids: Sequence[Sequence[str]]) -> dict[str, list[str]]:
    """Return the units of each track that several units have, from the tracks of each unit."""
    owners = np.repeat(np.array(units, object), np.array([len(ids) for ids in track_ids], int))
    songs = pd.DataFrame({"track_id": pd.Series(list(chain(*track_ids)), dtype=object), "unit": owners})
    songs = songs[songs.duplicated("track_id", keep=False)]
    repeated: dict[str, list[str]] = {}
    for track_id, unit in zip(songs["track_id"], songs["unit"], strict=True):
        repeated.setdefault(track_id, []).append(unit)
    return repeated


def sort_key(place: Place) -> tuple[list[tuple[int, str]], ...]:
    """Return the key that orders the places of a repeated track, of which the first is kept.

    Numbers within names are compared by value: ``row 5`` comes before ``row 1000``.
    """
    runs = ([run for run in re.split("([0-9]+)", part) if run] for part in place)
    return tuple([(int(run), "") if run.isdecimal() else (-1, run) for run in parts] for parts in runs)


def plan_publication(
    warehouse: Warehouse,
    unchanged: Sequence[dict[str, Any]],
    outcomes: Sequence[Outcome],
    rejected: Sequence[Rejection],
) -> Publication:
    """Plan the changes after which the tables have exactly the unchanged and new units.

    `unchanged` has the present ledger's rows of the units that stay, and `rejected` their rejections; `outcomes` are
    those of new units.
    """
    files = {row["unit"]: list(row["files"]) for row in unchanged} | {item.unit: list(item.files) for item in outcomes}
    track_ids = {row["unit"]: row["track_ids"] for row in unchanged} | {item.unit: item.track_ids for item in outcomes}
    new = {item.unit for item in outcomes}
    drops, duplicates = _resolve_duplicates(warehouse, files, track_ids, new)
    plan = Publication(rejected=[*rejected, *(one for item in outcomes for one in (*item.rejected, *item.duplicates))])
    plan.rejected += [one for unit in sorted(duplicates) for one in duplicates[unit]]
    rows = {row["unit"]: dict(row) for row in unchanged} | {item.unit: _ledger_row(item) for item in outcomes}
    for unit, row in sorted(rows.items()):
        drop = drops.get(unit, {})
        row["files"] = []
        for name in files[unit]:
            if name in drop:
                becomes = f"{name.removesuffix('.parquet')}-without-{len(drop[name])}.parquet"
                plan.rewrites.append(Rewrite(name, becomes, sorted(drop[name])))
                row["files"].append(becomes)
            else:
                row["files"].append(name)
                if unit in new:
                    plan.moves.append(name)
        n_dropped = sum(map(len, drop.values()))
        row["songs"] -= n_dropped
        row["duplicates"] += n_dropped
        plan.ledger.append(row)
    return plan


def _ledger_row(outcome: Outcome) -> dict[str, Any]:
    return vars(outcome) | {
        "inputs": outcome.n_inputs,
        "songs": len(outcome.track_ids),
        "rejected": len(outcome.rejected),
        "duplicates": len(outcome.duplicates),
        "files": list(outcome.files),
    }


def _resolve_duplicates(
    warehouse: Warehouse, files: Mapping[str, Sequence[str]], track_ids: Mapping[str, Sequence[str]], new: set[str]
) -> tuple[dict[str, dict[str, set[str]]], dict[str, list[Rejection]]]:
    """Return the tracks to drop, by unit and file, and their rejections, by unit."""
    units = sorted(files)
    repeated = repeated_tracks(units, [track_ids[unit] for unit in units])
    places: dict[str, list[Place]] = {}
    file_of: dict[tuple[str, str], str] = {}
    for unit in sorted({unit for owners in repeated.values() for unit in owners}):
        for name in files[unit]:
            table = pq.read_table(
                warehouse.path(PARTS if unit in new else TABLE, name),
                columns=["track_id", "source", "member"],
                filesystem=warehouse.filesystem,
                filters=pc.field("track_id").isin(list(repeated)),
            )
            for row in table.to_pylist():
                places.setdefault(row["track_id"], []).append((row["source"], row["member"] or "", unit))
                file_of[unit, row["track_id"]] = name
    drops: dict[str, dict[str, set[str]]] = {}
    duplicates: dict[str, list[Rejection]] = {}
    for track_id, candidates in sorted(places.items()):
        first, *others = sorted(candidates, key=sort_key)
        for source, member, unit in others:
            drops.setdefault(unit, {}).setdefault(file_of[unit, track_id], set()).add(track_id)
            detail = f"{track_id} is kept from {' '.join(part for part in first[:2] if part)}"
            duplicates.setdefault(unit, []).append(Rejection(source, DUPLICATE, detail, member or None, unit))
    return drops, duplicates


def publish(warehouse: Warehouse, plan: Publication) -> None:
    """Save the plan and carry it out."""
    warehouse.write_json(asdict(plan), WORK, PLAN)
    finish_publication(warehouse)


def finish_publication(warehouse: Warehouse) -> bool:
    """Carry out the saved plan; return whether there was one."""
    if not warehouse.exists(WORK, PLAN):
        return False
    plan = Publication.from_json(warehouse.read_json(WORK, PLAN))
    filesystem = warehouse.filesystem
    filesystem.create_dir(warehouse.path(TABLE), recursive=True)
    warehouse.remove(TABLE, COMPLETE)
    for rewrite in plan.rewrites:
        _rewrite(warehouse, rewrite)
    for name in plan.moves:
        if warehouse.exists(PARTS, name):
            filesystem.move(warehouse.path(PARTS, name), warehouse.path(TABLE, name))
        elif not warehouse.exists(TABLE, name):
            raise UserError(
                f"no {name} in {warehouse.path(PARTS)}; remove {warehouse.path(WORK)} and run msd-spark ingest again"
            )
    named = {name for row in plan.ledger for name in row["files"]}
    for info in warehouse.list_files(warehouse.path(TABLE)):
        if info.base_name not in named:
            filesystem.delete_file(info.path)
    if not named:  # keeps ``songs/`` a table with a schema
        pq.write_table(SONGS.empty_table(), warehouse.path(TABLE, EMPTY), filesystem=filesystem)
    write_rejections(warehouse, VERB, plan.rejected)
    warehouse.write_arrow(pa.Table.from_pylist(plan.ledger, LEDGER), "ledger")
    warehouse.touch(TABLE, COMPLETE)
    # The plan is removed first: without a plan, any files that remain are known to be unused.
    filesystem.delete_file(warehouse.path(WORK, PLAN))
    for name in (PARTS, OUTCOMES):
        warehouse.remove(name)
    return True


def _rewrite(warehouse: Warehouse, rewrite: Rewrite) -> None:
    if warehouse.exists(TABLE, rewrite.becomes):
        return
    folder = PARTS if warehouse.exists(PARTS, rewrite.name) else TABLE
    drop = pa.array(rewrite.drop, pa.string())
    with (
        warehouse.finished_file(warehouse.path(TABLE, rewrite.becomes)) as unfinished,
        pq.ParquetFile(warehouse.filesystem.open_input_file(warehouse.path(folder, rewrite.name))) as file,
        songs_writer(unfinished, warehouse.filesystem) as writer,
    ):
        for group in range(file.num_row_groups):
            rows = file.read_row_group(group)
            rows = rows.filter(pc.invert(pc.is_in(rows["track_id"], value_set=drop)))
            if rows.num_rows:
                writer.write_table(rows.cast(SONGS))
