"""Move the examples' segments from ``songs/`` to the dataset's files in one Spark shuffle.

A task reads row groups of ``songs/`` and computes the features of each example. Rows for the same bundle of files
travel as one message of numpy arrays, so Spark moves a few large values. The receiving worker puts the rows in order
and writes the files of the bundle; the other columns come from the plan, a Parquet file with one row group per bundle.
Workers hold one bundle, or a few batches and, from a store, a few compressed row groups.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from operator import attrgetter
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from msd_spark.core.delta import Destination
from msd_spark.core.examples import ExampleForm, InexactError, targets_of, write_file
from msd_spark.core.features import segment_columns, segment_shapes, song_columns
from msd_spark.core.model_inputs import ALL_INPUTS
from msd_spark.core.normalisation import feature_moments
from msd_spark.core.row_groups import RowGroups
from msd_spark.core.schemas import SPLITS, Geometry
from msd_spark.core.warehouse import Warehouse
from msd_spark.dataset.files import PLANNED, assemble
from msd_spark.io.ahead import ahead
from msd_spark.io.folders import UNITS_AT_ONCE, in_order

BUNDLE_BYTES = 64 << 20
"""Maximum bytes of the segments of a bundle, unless one file has more."""

SONGS_PER_TASK = 512, 2048
"""Minimum and maximum songs that a task reads: Spark pauses between tasks, and all cores should have some."""

TASKS_PER_CORE = 3
"""Tasks of each core, if they have few songs."""

SONGS_PER_BATCH = 64
"""Songs per batch that a worker decodes."""

ROW_GROUPS_AT_ONCE = 2
"""Row groups of a file in a store that a worker fetches together, of 6 MB each, while it decodes the ones before."""

_computing = threading.Lock()
"""Held while a worker computes a file, not while it uploads the file: otherwise all would compute, then all upload."""

BATCHES_AHEAD = 4
"""Batches of a file in a store that are decoded in advance."""


@dataclass(frozen=True)
class Target:
    """Form of the examples, where they are written, and the path of the plan."""

    warehouse: str
    destination: Destination
    plan: str
    form: ExampleForm


@dataclass(frozen=True)
class File:
    """A file of a bundle: its rows `start` to `stop`."""

    split: str
    number: int
    start: int
    stop: int


@dataclass(frozen=True)
class Reading:
    """Rows to read from a row group of ``songs/``.

    The arrays have one entry per example, with repeats: `rows` of the row group, in increasing order, and the bundle
    and the row within the bundle (slot) that each example goes to.
    """

    path: str
    row_group: int
    track_ids: list[str]
    rows: np.ndarray
    bundles: np.ndarray
    slots: np.ndarray


Message = tuple[int, tuple[np.ndarray, dict[str, np.ndarray]]]
"""A bundle, and the slots and segments of rows for it."""


def bundle_files(plan: pd.DataFrame, row_bytes: int) -> tuple[np.ndarray, list[list[File]]]:
    """Group consecutive files into bundles of at most `BUNDLE_BYTES`.

    `plan` has the sorted ``split`` and ``file`` of every example, whose segments take `row_bytes`. Return the bundle of
    each example and the files of each bundle.
    """
    sizes = plan.groupby(["split", "file"], sort=False).size()
    bundles: list[list[File]] = []
    rows_of_bundle: list[int] = []
    for split, number, rows in sizes.rename("rows").reset_index().itertuples(index=False, name=None):
        if not bundles or (rows_of_bundle[-1] + rows) * row_bytes > BUNDLE_BYTES:
            bundles.append([])
            rows_of_bundle.append(0)
        start = rows_of_bundle[-1]
        bundles[-1].append(File(split, number, start, start + rows))
        rows_of_bundle[-1] += rows
    return np.repeat(np.arange(len(bundles)), rows_of_bundle), bundles


def reading_tasks(plan: pd.DataFrame, bundle: np.ndarray, paths: Sequence[str], cores: int = 1) -> list[list[Reading]]:
    """Return the consecutive row groups that each task reads.

    Their songs are within `SONGS_PER_TASK`. `plan` has ``track_id``, ``source_file``, ``row_group`` and ``source_row``
    of every example, `bundle` its bundle. `paths` are those of the source files.
    """
    slots = np.arange(len(plan)) - np.searchsorted(bundle, bundle)
    places = plan[["source_file", "row_group", "source_row"]].to_numpy()
    order = np.lexsort(places.T[::-1])
    places, bundle, slots = places[order], bundle[order].astype(np.int32), slots[order].astype(np.int32)
    track_ids = plan["track_id"].to_numpy(object)[order]
    starts = np.flatnonzero(np.r_[True, (places[1:, :2] != places[:-1, :2]).any(axis=1)])
    songs_per_task = int(np.clip(len(plan) // (TASKS_PER_CORE * cores), *SONGS_PER_TASK))
    tasks: list[list[Reading]] = []
    n_songs = songs_per_task
    for start, stop in zip(starts, [*starts[1:], len(places)], strict=True):
        if n_songs >= songs_per_task:
            tasks.append([])
            n_songs = 0
        file, row_group, _ = places[start]
        part = slice(start, stop)
        rows = places[part, 2].astype(np.int32)
        tasks[-1].append(
            Reading(paths[file], int(row_group), track_ids[part].tolist(), rows, bundle[part], slots[part])
        )
        n_songs += stop - start
    return tasks


def write_plan(warehouse: Warehouse, planned: Iterable[pa.Table], path: str) -> None:
    """Write the planned rows of each bundle, in the schema `PLANNED`, as one row group."""
    with pq.ParquetWriter(path, PLANNED, filesystem=warehouse.filesystem) as writer:
        for bundle in planned:
            writer.write_table(bundle, row_group_size=max(1, bundle.num_rows))


def write_examples(
    session: SparkSession, tasks: list[list[Reading]], bundles: list[list[File]], target: Target
) -> pd.DataFrame:
    """Write every planned example to its file; return one row per file.

    It has ``split``, ``file``, ``rows`` (the number received), ``written`` (the `DataFile`), ``targets`` (those of its
    examples, as an Arrow stream), ``refused`` (why it could not be written) and, for the train split, the moments that
    `msd_spark.core.normalisation.normalisation` takes.
    """
    context = session.sparkContext
    messages = context.parallelize(tasks, max(1, len(tasks))).flatMap(lambda task: read_task(task, target))
    # The number of a bundle is also the partition it is sent to.
    by_bundle = messages.partitionBy(len(bundles), int)
    shared = context.broadcast(bundles)
    written = by_bundle.mapPartitionsWithIndex(
        lambda number, rows: write_bundle(number, shared.value[number], rows, target)
    ).collect()
    return pd.DataFrame(written)


def read_task(task: list[Reading], target: Target) -> Iterator[Message]:
    """Compute the segments of a task's examples, and yield them as messages to their bundles.

    Rows of a file that is gone, or that no longer hold the planned track, are skipped; the job reports them as missing.
    """
    warehouse, geometry = Warehouse(target.warehouse), target.form.geometry
    batches = _read_batches(warehouse, task, ["track_id", *song_columns(geometry, ALL_INPUTS)])
    for reading, batch, start in batches if warehouse.is_local else ahead(batches, BATCHES_AHEAD):
        first, last = np.searchsorted(reading.rows, [start, start + batch.num_rows])
        if first < last:
            yield from _messages(batch, reading, slice(first, last), start, geometry)


def _read_batches(
    warehouse: Warehouse, task: list[Reading], columns: list[str]
) -> Iterator[tuple[Reading, pa.RecordBatch, int]]:
    """Yield each batch of songs with its row group and its first row there."""
    files = (list(of_file) for _, of_file in groupby(task, attrgetter("path")))
    parts = (
        of_file[first : first + ROW_GROUPS_AT_ONCE]
        for of_file in files
        for first in range(0, len(of_file), ROW_GROUPS_AT_ONCE)
    )
    opened = lru_cache(1)(lambda path: RowGroups(warehouse.filesystem, path))

    def fetch(part: list[Reading]) -> pq.ParquetFile | None:
        try:
            return opened(part[0].path).fetch(columns, [reading.row_group for reading in part])
        except FileNotFoundError:
            return None

    for part, file in in_order(fetch, parts, 1):
        for reading in part:
            if file is None:
                continue
            start = 0
            for batch in file.iter_batches(SONGS_PER_BATCH, [reading.row_group], columns, use_threads=False):
                yield reading, batch, start
                start += batch.num_rows


def _messages(
    batch: pa.RecordBatch, reading: Reading, part: slice, start: int, geometry: Geometry
) -> Iterator[Message]:
    rows, bundles, slots = reading.rows[part] - start, reading.bundles[part], reading.slots[part]
    track_ids = batch.column("track_id").to_numpy(zero_copy_only=False)
    as_planned = track_ids[rows] == np.array(reading.track_ids[part], object)
    rows, bundles, slots = rows[as_planned], bundles[as_planned], slots[as_planned]
    if not len(rows):
        return
    unique, inverse = np.unique(rows, return_inverse=True)
    songs = batch if len(unique) == batch.num_rows else batch.take(pa.array(unique))
    segments = segment_columns(songs, geometry, ALL_INPUTS)
    order = np.argsort(bundles, kind="stable")
    for places in np.split(order, np.flatnonzero(np.diff(bundles[order])) + 1):
        rows_of_bundle = {name: values[inverse[places]] for name, values in segments.items()}
        yield int(bundles[places[0]]), (slots[places], rows_of_bundle)


def write_bundle(
    number: int, files: list[File], messages: Iterable[Message], target: Target
) -> Iterator[dict[str, Any]]:
    """Write the files of a bundle; yield one row of `write_examples` per file.

    A file with missing rows is not written.
    """
    warehouse, geometry = Warehouse(target.warehouse), target.form.geometry
    n_rows = files[-1].stop
    segments = {name: np.zeros((n_rows, *shape), np.float32) for name, shape in segment_shapes(geometry).items()}
    segments["n_segments"] = np.zeros(n_rows, np.int32)
    received = np.zeros(n_rows, np.int32)

    def read_plan() -> pa.Table:
        return RowGroups(warehouse.filesystem, target.plan).fetch(None, [number]).read_row_group(number)

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read_plan)
        for _, (slots, rows_of_bundle) in messages:
            received[slots] += 1
            for name, values in rows_of_bundle.items():
                segments[name][slots] = values
        plan = reading.result()

    def write(file: File) -> dict[str, Any]:
        rows = slice(file.start, file.stop)
        complete = received[rows] == 1
        outcome: dict[str, Any] = {"split": file.split, "file": file.number, "rows": int(complete.sum())}
        if complete.all():
            planned = plan.slice(file.start, file.stop - file.start)
            with _computing:
                try:
                    examples = assemble(planned, {name: values[rows] for name, values in segments.items()}, target.form)
                except InexactError as error:
                    return outcome | {"refused": str(error)}
                if file.split == SPLITS[0]:
                    first_copies = pa.array(planned["copy"].to_numpy() == 0)
                    outcome |= feature_moments(examples.filter(first_copies), geometry)
            outcome["targets"] = _as_bytes(targets_of(examples))
            outcome["written"] = write_file(target.destination, examples, file.split, file.number, _computing)
        return outcome

    yield from (outcome for _, outcome in in_order(write, files, 1 if warehouse.is_local else UNITS_AT_ONCE))


def _as_bytes(table: pa.Table) -> bytes:
    """Return a table as a compressed Arrow stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as stream:
        stream.write_table(table)
    return sink.getvalue().to_pybytes()
