"""Work on one unit: its song files, and the outcome that marks it as done."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from itertools import chain, islice
from typing import Any

import pyarrow as pa

from msd_spark.core.delta import DataFile, Destination
from msd_spark.core.rejections import Rejection
from msd_spark.ingest.archives import Item
from msd_spark.ingest.metadata import read_metadata
from msd_spark.ingest.names import Skipped
from msd_spark.ingest.reading import read_unit
from msd_spark.ingest.settings import IngestSettings
from msd_spark.ingest.units import Kind, Unit
from msd_spark.io.folders import printable
from msd_spark.songfile.batches import songs_to_batch, songs_writer
from msd_spark.songfile.parse import Song

DUPLICATE = "duplicate_track_id"

SUPERSEDED = "superseded"
"""Reason to skip a row of metadata: its track has a song file, or an earlier row of metadata."""

_computing = threading.Lock()
"""Held while a unit fills a file, not while it waits for its first song or uploads the file."""


@dataclass
class Outcome:
    """Result of a unit.

    `source` is the unit's first file, and `files` are its Parquet files. `track_ids` are in the order of these files,
    each once. `duplicates` are songs repeated within the unit. `skips` has the number of skipped files or members by
    reason, with the first of them.
    """

    unit: str
    kind: str
    location: str
    source: str
    files: list[DataFile] = field(default_factory=list)
    track_ids: list[str] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    duplicates: list[Rejection] = field(default_factory=list)
    skips: dict[str, tuple[int, str]] = field(default_factory=dict)
    seconds: float = 0.0

    def add(self, item: Rejection | Skipped) -> None:
        """Count an input that is no song."""
        if isinstance(item, Rejection):
            self.rejected.append(replace(item, unit=self.unit))
        else:
            count, example = self.skips.get(item.reason, (0, item.place))
            self.skips[item.reason] = (count + 1, example)

    @property
    def n_skipped(self) -> int:
        """Number of files or members that are not read."""
        return sum(count for count, _ in self.skips.values())

    @property
    def n_inputs(self) -> int:
        """Number of inputs accounted for."""
        return len(self.track_ids) + len(self.rejected) + len(self.duplicates) + self.n_skipped

    def ledger_row(self) -> dict[str, Any]:
        """Return the unit's row of ``ledger/``."""
        return {
            "unit": self.unit,
            "kind": self.kind,
            "location": self.location,
            "source": self.source,
            "inputs": self.n_inputs,
            "songs": len(self.track_ids),
            "rejected": len(self.rejected),
            "duplicates": len(self.duplicates),
            "skipped": self.n_skipped,
            "seconds": self.seconds,
            "files": [file.name for file in self.files],
            "file_sizes": [file.size for file in self.files],
            "file_rows": [file.rows for file in self.files],
            "track_ids": self.track_ids,
            "rejections": [asdict(one) for one in (*self.rejected, *self.duplicates)],
            "skips": [
                {"reason": reason, "count": count, "example": example}
                for reason, (count, example) in sorted(self.skips.items())
            ],
        }


def do_unit(unit: Unit, settings: IngestSettings, destination: Destination) -> Outcome:
    """Read a unit on a worker and write its files; return the outcome.

    The names of the files are unique to the attempt: a worker that dies leaves files that no outcome names.
    """
    started = time.monotonic()
    outcome = Outcome(unit.name, unit.kind.value, unit.location, printable(unit.inputs[0].source))
    if unit.kind is Kind.METADATA:
        _write_rows(unit, destination, outcome)
    else:
        _write_songs(unit, settings, destination, outcome)
    outcome.seconds = round(time.monotonic() - started, 3)
    return outcome


def _write_rows(unit: Unit, destination: Destination, outcome: Outcome) -> None:
    """Write the songs of a file of metadata, each track once, to one file."""
    seen: set[str] = set()
    n_rows, file, writer = 0, None, None
    with ExitStack() as upload, _computing:
        for item in read_metadata(unit):
            if isinstance(item, Rejection | Skipped):
                outcome.add(item)
                continue
            repeated = []
            for track_id, member in zip(item["track_id"].to_pylist(), item["member"].to_pylist(), strict=True):
                repeated.append(track_id in seen)
                if repeated[-1]:
                    outcome.add(Skipped(outcome.source, SUPERSEDED, member))
                seen.add(track_id)
            songs = item.filter(pa.array([not one for one in repeated], pa.bool_())) if any(repeated) else item
            if not songs.num_rows:
                continue
            if file is None or writer is None:
                file = upload.enter_context(destination.create(f"{unit.name}-0000"))
                writer = upload.enter_context(songs_writer(file.sink))
            writer.write_batch(songs)
            outcome.track_ids += songs["track_id"].to_pylist()
            n_rows += songs.num_rows
    if file:
        outcome.files.append(DataFile(file.name, file.size, n_rows))


def _write_songs(unit: Unit, settings: IngestSettings, destination: Destination, outcome: Outcome) -> None:
    """Write the songs of a unit, each track once, to files of some row groups."""
    songs = read_unit(unit)
    songs = chain(list(islice(songs, 1)), songs)  # request songs before waiting for the lock
    groups = _row_groups(songs, settings.songs_per_row_group, outcome)
    group: list[Song] | None = []
    while group is not None:
        sizes: list[int] = []
        with ExitStack() as upload, _computing:  # the lock is released before the file is uploaded
            group = group or next(groups, None)
            if group:
                file = upload.enter_context(destination.create(f"{unit.name}-{len(outcome.files):04d}"))
                with songs_writer(file.sink) as writer:
                    while group and len(sizes) < settings.row_groups_per_file:
                        writer.write_batch(songs_to_batch(group))
                        sizes.append(len(group))
                        group = next(groups, None)
        if sizes:
            outcome.files.append(DataFile(file.name, file.size, sum(sizes)))


def _row_groups(items: Iterable[Item], size: int, outcome: Outcome) -> Iterator[list[Song]]:
    """Yield songs in lists of at most `size`, each track once; others go to the outcome."""
    songs: list[Song] = []
    seen: set[str] = set()
    for item in items:
        if isinstance(item, Rejection | Skipped):
            outcome.add(item)
            continue
        track_id = item["track_id"]
        if track_id in seen:
            detail = f"{track_id} occurs earlier in the same unit"
            outcome.duplicates.append(Rejection(item["source"], DUPLICATE, detail, item["member"], outcome.unit))
            continue
        seen.add(track_id)
        outcome.track_ids.append(track_id)
        songs.append(item)
        if len(songs) == size:
            yield songs
            songs = []
    if songs:
        yield songs
