"""Compare the ledger with the units found now: which stay, and which are dropped or read again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from msd_spark.core.errors import UserError
from msd_spark.ingest.listing import Task
from msd_spark.ingest.loose import TEMPORARY
from msd_spark.ingest.repeated import Ledger
from msd_spark.ingest.settings import IngestSettings
from msd_spark.ingest.units import Kind, Unit


@dataclass(frozen=True)
class Unnamed:
    """Units of the ledger that stay although the command does not name their location.

    Songs stay if the command names only metadata, and metadata if it names only songs: neither is missed.
    """

    is_metadata: bool
    named: Collection[str] = ()

    def stays(self, row: Mapping[str, Any]) -> bool:
        """Return whether a row of the ledger stays."""
        return (row["kind"] == Kind.METADATA) is self.is_metadata and row["location"] not in self.named


def unnamed(units: Sequence[Unit], tasks: Sequence[Task], settings: IngestSettings) -> Unnamed | None:
    """Return which unnamed units stay; None if the command names songs and metadata, and with ``--replace``."""
    kinds = {unit.kind is Kind.METADATA for unit in units if unit.kind is not Kind.SKIPPED}
    if settings.replace or len(kinds) != 1:
        return None
    return Unnamed(not kinds.pop(), {task.location for task in tasks})


def split_ledger(
    ledger: Ledger,
    units: Sequence[Unit],
    damaged: Collection[str] = frozenset(),
    others: Unnamed | None = None,
) -> tuple[Ledger, Ledger]:
    """Split the ledger into units that stay and units that are dropped or read again.

    A unit is dropped if its inputs changed. It is read again if one of its inputs could not be read, or if it is one of
    `damaged`. If anything changed except skipped files, each unit that left out a track in favour of another unit is
    read again too; one of metadata only if another unit is dropped or read again, or was dropped before. `others` stay.
    """
    staying = [row for row in ledger if others and others.stays(row) and row["unit"] not in damaged]
    ledger = _without(ledger, staying)
    names = {unit.name for unit in units if unit.name not in damaged}
    unchanged = [row for row in ledger if row["unit"] in names and not may_be_retried(row)]
    n_units = sum(unit.kind not in (Kind.SKIPPED, Kind.METADATA) for unit in units)
    if not n_units == len(_of_songs(unchanged)) == len(_of_songs(ledger)):
        unchanged = [row for row in unchanged if row["kind"] == Kind.METADATA or _has_all_tracks(row)]
    if any(row["kind"] != Kind.SKIPPED for row in _without(ledger, unchanged)):
        unchanged = [row for row in unchanged if row["kind"] != Kind.METADATA or _has_all_tracks(row)]
    missing = missing_tracks([*unchanged, *staying])
    unchanged = [row for row in unchanged if row["unit"] not in missing]
    stale = _without(ledger, unchanged)
    return [*unchanged, *staying], stale


def _of_songs(ledger: Ledger) -> Ledger:
    return [row for row in ledger if row["kind"] not in (Kind.SKIPPED, Kind.METADATA)]


def _without(ledger: Ledger, rows: Ledger) -> Ledger:
    units = {row["unit"] for row in rows}
    return [row for row in ledger if row["unit"] not in units]


def _has_all_tracks(row: Mapping[str, Any]) -> bool:
    """Return whether all tracks of a unit are in ``songs/`` from it."""
    return len(row["track_ids"]) == row["songs"]


def missing_tracks(ledger: Ledger) -> dict[str, int]:
    """Return how many tracks of a unit of metadata were superseded by a song file that is gone, by unit."""
    left_out = [row for row in ledger if row["kind"] == Kind.METADATA and not _has_all_tracks(row)]
    counts = Counter(chain.from_iterable(row["track_ids"] for row in ledger)) if left_out else Counter()
    missing = {
        row["unit"]: sum(counts[track_id] == 1 for track_id in row["track_ids"]) - row["songs"] for row in left_out
    }
    return {unit: count for unit, count in missing.items() if count > 0}


def check_locations(stale: Ledger, units: Sequence[Unit], settings: IngestSettings) -> None:
    """Check that songs are dropped only with ``--replace``.

    A location that has only files to skip counts as one that is not named: its disk may not be mounted.
    """
    if settings.replace:
        return
    stale = [row for row in stale if row["inputs"] > row["skipped"]]
    missing = sorted(
        {row["location"] for row in stale} - {unit.location for unit in units if unit.kind != Kind.SKIPPED}
    )
    listed = {unit.name for unit in units}
    if settings.limit is not None and (dropped := [row for row in stale if row["unit"] not in listed]):
        n_songs = sum(row["songs"] for row in dropped)
        raise UserError(
            f"--limit {settings.limit} would drop {n_songs:,} songs of songs/; use another --warehouse, or --replace"
        )
    if missing:
        n_songs = sum(row["songs"] for row in stale if row["location"] in missing)
        raise UserError(
            f"songs/ has {n_songs:,} songs from {missing[0]}, but --songs does not name it or it has no song file now; "
            "name it and check that it is mounted, or add --replace to drop them"
        )


def may_be_retried(row: dict[str, Any]) -> bool:
    """Return whether a unit has an unreadable input whose reason may not apply next time."""
    return any(one["reason"] in TEMPORARY for one in row["rejections"])
