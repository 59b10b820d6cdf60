"""Song files into ``songs/``, ``rejected/`` and ``ledger/``, every input accounted for.

The work is cut into units. A worker parses a unit's files and writes its songs as one
Parquet file; the driver learns from each unit which songs it holds and which inputs gave
none, settles track ids that occur twice, checks that the counts add up, and only then puts
the tables in place.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from msd_spark.errors import StageError
from msd_spark.rejections import Rejection, write_rejections
from msd_spark.schema import LEDGER, SONGS
from msd_spark.songfile.batches import songs_to_batch
from msd_spark.songfile.parse import Song, SongFileError, parse_song
from msd_spark.sources import SongInput, Unit, cut_into_units, list_song_files, read_input
from msd_spark.spark import progress
from msd_spark.summary import Summary
from msd_spark.warehouse import Warehouse

STAGE = "ingest"
DUPLICATE = "duplicate_track_id"


@dataclass(frozen=True)
class IngestSettings:
    """What to ingest, and how the work is cut.

    Attributes
    ----------
    locations : tuple of str
        Folders and files.
    warehouse : str
        Address of the warehouse.
    inputs_per_unit : int
        Song files a unit, and so at most songs a file of ``songs/``.
    songs_per_row_group : int
        Songs that a worker holds in memory at a time.
    """

    locations: tuple[str, ...]
    warehouse: str
    inputs_per_unit: int = 256
    songs_per_row_group: int = 64


@dataclass(frozen=True)
class UnitOutcome:
    """What became of a unit.

    Attributes
    ----------
    unit : str
    fingerprint : str
    songs : tuple of (str, str)
        Track id and source of each song in the file.
    rejected : tuple of Rejection
    duplicates : tuple of Rejection
        Songs left out because another input has the same track id.
    """

    unit: str
    fingerprint: str
    songs: tuple[tuple[str, str], ...]
    rejected: tuple[Rejection, ...]
    duplicates: tuple[Rejection, ...] = ()


def ingest(session: SparkSession, settings: IngestSettings) -> Summary:
    """Ingest song files; return the summary.

    Raises
    ------
    StageError
        When there is nothing to ingest, or the counts do not add up.
    """
    summary = Summary(STAGE)
    warehouse = Warehouse(settings.warehouse)
    inputs = list_song_files(settings.locations)
    units = cut_into_units(inputs, settings.inputs_per_unit)
    done = session.sparkContext.accumulator(0)
    with warehouse.replacing("songs") as staging:
        work = _unit_worker(settings, staging, done.add)
        tasks = session.sparkContext.parallelize(units, len(units))
        with progress(session, "ingest: songs", lambda: done.value, len(inputs)):
            outcomes = tasks.map(work).collect()
        outcomes = settle_duplicates(outcomes)
        check_sums(units, outcomes)
        affected = [outcome for outcome in outcomes if outcome.duplicates]
        if affected:
            drop = _duplicate_dropper(settings, staging)
            session.sparkContext.parallelize(affected, len(affected)).foreach(drop)
    write_rejections(
        warehouse, STAGE, (item for outcome in outcomes for item in (*outcome.rejected, *outcome.duplicates))
    )
    warehouse.write_arrow(ledger_table(outcomes), "ledger")
    summary.facts |= {
        "inputs": len(inputs),
        "songs": sum(len(outcome.songs) for outcome in outcomes),
        "rejected": sum(len(outcome.rejected) for outcome in outcomes),
        "duplicates": sum(len(outcome.duplicates) for outcome in outcomes),
        "units": len(units),
    }
    return summary


def _unit_worker(settings: IngestSettings, staging: str, count: Callable[[int], None]) -> Callable[[Unit], UnitOutcome]:
    """Return the function that a worker runs for each unit."""

    def work(unit: Unit) -> UnitOutcome:
        warehouse = Warehouse(settings.warehouse)
        songs: list[tuple[str, str]] = []
        rejected: list[Rejection] = []
        with (
            warehouse.finished_file(part_path(staging, unit.name)) as unfinished,
            pq.ParquetWriter(unfinished, SONGS, filesystem=warehouse.filesystem, compression="zstd") as writer,
        ):
            for batch in _batches(unit.inputs, settings.songs_per_row_group, rejected):
                writer.write_batch(songs_to_batch(batch))
                songs += [(song["track_id"], song["source"]) for song in batch]
        count(len(unit.inputs))
        return UnitOutcome(unit.name, unit.fingerprint, tuple(songs), tuple(rejected))

    return work


def part_path(staging: str, unit: str) -> str:
    """Return the path of the Parquet file with a unit's songs."""
    return f"{staging}/part-{unit}.parquet"


def _batches(inputs: Iterable[SongInput], size: int, rejected: list[Rejection]) -> Iterator[list[Song]]:
    """Give the songs of `inputs` in lists of at most `size`; what is no song is appended to `rejected`."""
    batch: list[Song] = []
    for item in inputs:
        try:
            song = parse_song(read_input(item), item.expected_track_id)
        except SongFileError as error:
            rejected.append(Rejection(item.source, error.reason, error.detail))
            continue
        except OSError as error:
            rejected.append(Rejection(item.source, "cannot_be_read", " ".join(str(error).split())))
            continue
        song["source"] = item.source
        batch.append(song)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def settle_duplicates(outcomes: Sequence[UnitOutcome]) -> list[UnitOutcome]:
    """Keep one song of each track id: the one whose source sorts first.

    Returns
    -------
    list of UnitOutcome
        In the order given; the songs left out are among ``duplicates``, with what was kept.
    """
    sources: dict[str, list[str]] = defaultdict(list)
    for outcome in outcomes:
        for track_id, source in outcome.songs:
            sources[track_id].append(source)
    kept = {track_id: min(places) for track_id, places in sources.items() if len(places) > 1}
    settled = []
    for outcome in outcomes:
        left_out = [(track_id, source) for track_id, source in outcome.songs if kept.get(track_id, source) != source]
        duplicates = tuple(
            Rejection(source, DUPLICATE, f"{track_id} is kept from {kept[track_id]}") for track_id, source in left_out
        )
        songs = tuple(song for song in outcome.songs if kept.get(song[0], song[1]) == song[1])
        settled.append(replace(outcome, songs=songs, duplicates=duplicates))
    return settled


def check_sums(units: Sequence[Unit], outcomes: Sequence[UnitOutcome]) -> None:
    """Check that every input of every unit is a song, a rejection or a duplicate.

    Raises
    ------
    StageError
        With the first unit whose counts do not add up.
    """
    by_name = {outcome.unit: outcome for outcome in outcomes}
    for unit in units:
        outcome = by_name.get(unit.name)
        seen = len(outcome.songs) + len(outcome.rejected) + len(outcome.duplicates) if outcome else 0
        if seen != len(unit.inputs):
            raise StageError(
                STAGE,
                f"unit {unit.name} has {len(unit.inputs)} inputs, and {seen} are accounted for; nothing was written",
            )


def _duplicate_dropper(settings: IngestSettings, staging: str) -> Callable[[UnitOutcome], None]:
    """Return the function that writes a unit's file again without the duplicates."""

    def drop(outcome: UnitOutcome) -> None:
        warehouse = Warehouse(settings.warehouse)
        path = part_path(staging, outcome.unit)
        keep = pa.array([source for _, source in outcome.songs], pa.string())
        with (
            warehouse.finished_file(path) as unfinished,
            pq.ParquetFile(warehouse.filesystem.open_input_file(path)) as file,
            pq.ParquetWriter(unfinished, SONGS, filesystem=warehouse.filesystem, compression="zstd") as writer,
        ):
            for group in range(file.num_row_groups):
                rows = file.read_row_group(group)
                rows = rows.filter(pc.is_in(rows["source"], value_set=keep))
                if rows.num_rows:
                    writer.write_table(rows.cast(SONGS))

    return drop


def ledger_table(outcomes: Iterable[UnitOutcome]) -> pa.Table:
    """Return a row a unit as a table of `msd_spark.schema.LEDGER`."""
    rows = []
    for outcome in outcomes:
        counts = {name: len(getattr(outcome, name)) for name in ("songs", "rejected", "duplicates")}
        rows.append(
            {"unit": outcome.unit, "fingerprint": outcome.fingerprint, "inputs": sum(counts.values()), **counts}
        )
    return pa.Table.from_pylist(rows, LEDGER)
