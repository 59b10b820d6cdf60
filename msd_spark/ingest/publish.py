"""Put the tables in place from the units' outcomes.

First everything that is to happen is written down (`Publication`), then it is done, each step
so that doing it twice does no harm. A driver that dies in between leaves the list, and the
next ingest goes on with it. Until the last step ``songs/`` has no marker of completeness, so
no stage reads half a change.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from msd_spark.core.errors import UserError
from msd_spark.core.rejections import Rejection, write_rejections
from msd_spark.core.schemas import LEDGER, SONGS
from msd_spark.core.warehouse import COMPLETE, Warehouse
from msd_spark.ingest.settings import OUTCOMES, PARTS, STAGE, WORK
from msd_spark.ingest.work import DUPLICATE, Outcome
from msd_spark.songfile.batches import songs_writer

TABLE = "songs"
PLAN = "publication.json"
NOTHING = "nothing.parquet"


@dataclass(frozen=True)
class Rewrite:
    """A file of songs that is written again without some tracks.

    Attributes
    ----------
    name, becomes : str
        Its name, and the new one.
    drop : list of str
        Track ids.
    """

    name: str
    becomes: str
    drop: list[str]


@dataclass
class Publication:
    """Everything that putting the tables in place consists of.

    Attributes
    ----------
    moves : list of str
        Files that go from the work folder to ``songs/`` as they are.
    rewrites : list of Rewrite
    ledger : list of dict
        Rows of `msd_spark.core.schemas.LEDGER`; other files of ``songs/`` than theirs are no longer part of it.
    rejected : list of Rejection
    """

    moves: list[str] = field(default_factory=list)
    rewrites: list[Rewrite] = field(default_factory=list)
    ledger: list[dict[str, Any]] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Publication:
        """Return what `dataclasses.asdict` made of a publication."""
        rewrites = [Rewrite(**item) for item in content["rewrites"]]
        rejected = [Rejection(**item) for item in content["rejected"]]
        return cls(**{**content, "rewrites": rewrites, "rejected": rejected})


def repeated_tracks(units: Sequence[str], track_ids: Sequence[Sequence[str]]) -> dict[str, list[str]]:
    """Return the tracks that several units have, with these units.

    Parameters
    ----------
    units : sequence of str
    track_ids : sequence of sequences of str
        Of each unit; none twice in one unit.
    """
    if not units:
        return {}
    together = np.concatenate([np.asarray([name.encode() for name in ids], dtype="S") for ids in track_ids])
    owners = np.repeat(np.arange(len(units)), [len(ids) for ids in track_ids])
    order = np.argsort(together, kind="stable")
    ordered = together[order]
    equal = ordered[1:] == ordered[:-1]
    repeated = np.zeros(len(ordered), bool)
    repeated[1:] |= equal
    repeated[:-1] |= equal
    found: dict[str, list[str]] = {}
    for place in np.flatnonzero(repeated):
        found.setdefault(ordered[place].decode(), []).append(units[owners[order[place]]])
    return found


def choose_kept(places: Iterable[tuple[str, str, str]]) -> tuple[str, str, str]:
    """Return which of a track's places (source, member, unit) is kept: the one that sorts first, numbers as numbers."""
    return min(places, key=in_order)


def in_order(place: tuple[str, str, str]) -> tuple[list[tuple[int, str]], ...]:
    """Return what a place is sorted by: ``row 5`` comes before ``row 1000``."""
    runs = ([run for run in re.split("([0-9]+)", part) if run] for part in place)
    return tuple([(int(run), "") if run.isdecimal() else (-1, run) for run in parts] for parts in runs)


def plan_publication(
    warehouse: Warehouse,
    kept: Sequence[dict[str, Any]],
    outcomes: Sequence[Outcome],
    rejected: Sequence[Rejection],
) -> Publication:
    """Write down how the tables come to hold the kept and the new units, and no others.

    Parameters
    ----------
    warehouse : Warehouse
    kept : sequence of dict
        Rows of the ledger as it is, of the units that stay.
    outcomes : sequence of Outcome
        Of new units.
    rejected : sequence of Rejection
        What the kept units have in ``rejected/``.
    """
    files = {row["unit"]: list(row["files"]) for row in kept} | {item.unit: list(item.files) for item in outcomes}
    track_ids = {row["unit"]: row["track_ids"] for row in kept} | {item.unit: item.track_ids for item in outcomes}
    new = {item.unit for item in outcomes}
    drops, duplicates = _settle(warehouse, files, track_ids, new)
    plan = Publication(rejected=[*rejected, *(one for item in outcomes for one in (*item.rejected, *item.duplicates))])
    plan.rejected += [one for unit in sorted(duplicates) for one in duplicates[unit]]
    rows = {row["unit"]: dict(row) for row in kept} | {item.unit: _ledger_row(item) for item in outcomes}
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
    return {
        "unit": outcome.unit,
        "kind": outcome.kind,
        "location": outcome.location,
        "source": outcome.source,
        "inputs": outcome.n_inputs,
        "songs": len(outcome.track_ids),
        "rejected": len(outcome.rejected),
        "duplicates": len(outcome.duplicates),
        "seconds": outcome.seconds,
        "files": list(outcome.files),
        "track_ids": outcome.track_ids,
    }


def _settle(
    warehouse: Warehouse, files: Mapping[str, Sequence[str]], track_ids: Mapping[str, Sequence[str]], new: set[str]
) -> tuple[dict[str, dict[str, set[str]]], dict[str, list[Rejection]]]:
    """Return the tracks to drop, by unit and file, and the rejections that list them, by unit."""
    units = sorted(files)
    repeated = repeated_tracks(units, [track_ids[unit] for unit in units])
    places: dict[str, list[tuple[str, str, str]]] = {}
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
    for track_id, found in sorted(places.items()):
        best = choose_kept(found)
        for source, member, unit in sorted(found, key=in_order):
            if (source, member, unit) != best:
                drops.setdefault(unit, {}).setdefault(file_of[unit, track_id], set()).add(track_id)
                where = " ".join(part for part in best[:2] if part)
                rejection = Rejection(source, DUPLICATE, f"{track_id} is kept from {where}", member or None, unit)
                duplicates.setdefault(unit, []).append(rejection)
    return drops, duplicates


def publish(warehouse: Warehouse, plan: Publication) -> None:
    """Write the plan down and carry it out."""
    warehouse.write_json(asdict(plan), WORK, PLAN)
    finish_publication(warehouse)


def finish_publication(warehouse: Warehouse) -> bool:
    """Carry out the plan that is written down, if there is one; return whether there was.

    Raises
    ------
    UserError
        When a file that the plan names is nowhere.
    """
    if not warehouse.exists(WORK, PLAN):
        return False
    plan = Publication.from_json(warehouse.read_json(WORK, PLAN))
    filesystem = warehouse.filesystem
    filesystem.create_dir(warehouse.path(TABLE), recursive=True)
    if warehouse.exists(TABLE, COMPLETE):
        filesystem.delete_file(warehouse.path(TABLE, COMPLETE))
    for rewrite in plan.rewrites:
        _rewrite(warehouse, rewrite)
    for name in plan.moves:
        if warehouse.exists(PARTS, name):
            filesystem.move(warehouse.path(PARTS, name), warehouse.path(TABLE, name))
        elif not warehouse.exists(TABLE, name):
            raise UserError(f"{name} is lost from {warehouse.path(PARTS)}; remove {warehouse.path(WORK)} and run again")
    _remove_others(warehouse, plan)
    _fill_if_empty(warehouse, plan)
    write_rejections(warehouse, STAGE, plan.rejected)
    warehouse.write_arrow(pa.Table.from_pylist(plan.ledger, LEDGER), "ledger")
    warehouse.touch(TABLE, COMPLETE)
    # The list goes first: what is left behind it is known to be of no use.
    filesystem.delete_file(warehouse.path(WORK, PLAN))
    for name in (PARTS, OUTCOMES):
        warehouse.remove(name)
    return True


def _remove_others(warehouse: Warehouse, plan: Publication) -> None:
    """Remove the files of units that went, files that were rewritten, and what a driver that died was writing."""
    named = {name for row in plan.ledger for name in row["files"]}
    for info in warehouse.list_files(warehouse.path(TABLE)):
        if info.base_name not in named:
            warehouse.filesystem.delete_file(info.path)


def _fill_if_empty(warehouse: Warehouse, plan: Publication) -> None:
    """Keep ``songs/`` a table with a schema where no input gave a song."""
    path = warehouse.path(TABLE, NOTHING)
    if not any(row["files"] for row in plan.ledger):
        pq.write_table(SONGS.empty_table(), path, filesystem=warehouse.filesystem)


def _rewrite(warehouse: Warehouse, rewrite: Rewrite) -> None:
    if warehouse.exists(TABLE, rewrite.becomes):
        return
    where = PARTS if warehouse.exists(PARTS, rewrite.name) else TABLE
    drop = pa.array(rewrite.drop, pa.string())
    with (
        warehouse.finished_file(warehouse.path(TABLE, rewrite.becomes)) as unfinished,
        pq.ParquetFile(warehouse.filesystem.open_input_file(warehouse.path(where, rewrite.name))) as file,
        songs_writer(unfinished, warehouse.filesystem) as writer,
    ):
        for group in range(file.num_row_groups):
            rows = file.read_row_group(group)
            rows = rows.filter(pc.invert(pc.is_in(rows["track_id"], value_set=drop)))
            if rows.num_rows:
                writer.write_table(rows.cast(SONGS))
