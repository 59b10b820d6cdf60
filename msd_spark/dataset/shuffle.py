"""The examples' way from the files of ``songs/`` to the files of a dataset, in one shuffle.

A worker reads row groups of ``songs/`` and takes of each song what its example needs. Rows that go to the
same bundle of files travel as one message of raw bytes through Spark's shuffle, which so moves a few large
values instead of lists of floats. The worker at the other end puts them in their places and writes the
bundle's files. All it needs besides stands in the plan, a file beside them with a row group a bundle. Both
read and write through the warehouse's own filesystem. Neither holds more than a batch or a bundle.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from msd_spark.core.features import segment_columns, song_columns
from msd_spark.core.schemas import SPLITS, Geometry
from msd_spark.core.warehouse import UNFINISHED, TableFiles, Warehouse
from msd_spark.dataset.files import PLANNED, assemble, feature_moments, part_name, write_file

BUNDLE_BYTES = 64 << 20
"""What the segments of a bundle of files take at most in a worker, unless one file takes more."""

SONGS_PER_TASK = 512
SONGS_PER_BATCH = 64
"""Songs that a worker reads, and that it holds at a time while it does."""

PLAN = f"{UNFINISHED}plan.parquet"
"""The plan's name in the staging folder; it goes when the dataset is whole."""


@dataclass(frozen=True)
class Target:
    """Where examples go, and their form.

    Attributes
    ----------
    warehouse : str
        Address of the warehouse.
    staging : str
        Folder, on the warehouse's filesystem, with a folder a split.
    geometry : Geometry
    schema : pyarrow.Schema
        Of the examples.
    """

    warehouse: str
    staging: str
    geometry: Geometry
    schema: pa.Schema


@dataclass(frozen=True)
class File:
    """A file of a bundle: the rows `start` to `stop` of it."""

    split: str
    number: int
    start: int
    stop: int


@dataclass(frozen=True)
class Wanted:
    """What a task takes from a row group of ``songs/``.

    Attributes
    ----------
    path : str
    row_group : int
    track_ids : list of str
        Of each row that is to be made, with repeats; in the order of the rows.
    rows : numpy.ndarray
        Where it stands in the row group, increasing.
    bundles, slots : numpy.ndarray
        Where it goes: the bundle, and the row within it.
    """

    path: str
    row_group: int
    track_ids: list[str]
    rows: np.ndarray
    bundles: np.ndarray
    slots: np.ndarray


Message = tuple[int, tuple[bytes, bytes, bytes, bytes]]
"""A bundle, and rows for it: their slots, their lengths, their chroma and timbre."""


def bundle_files(plan: pd.DataFrame, row_bytes: int) -> tuple[np.ndarray, list[list[File]]]:
    """Put files that follow each other into bundles of at most `BUNDLE_BYTES`.

    Parameters
    ----------
    plan : pandas.DataFrame
        ``split`` and ``file`` of every example, sorted.
    row_bytes : int
        What the segments of an example take.

    Returns
    -------
    bundle : numpy.ndarray
        Shape ``(n_examples,)``: the bundle of each.
    files : list of lists of File
        Of each bundle.
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


def reading_tasks(plan: pd.DataFrame, bundle: np.ndarray, files: TableFiles) -> list[list[Wanted]]:
    """Return what each task reads: row groups in the order of the files, about `SONGS_PER_TASK` songs each.

    Parameters
    ----------
    plan : pandas.DataFrame
        ``track_id``, ``source_file``, ``row_group`` and ``source_row`` of every example, in its order.
    bundle : numpy.ndarray
        Of each.
    files : TableFiles
    """
    slots = np.arange(len(plan)) - np.searchsorted(bundle, bundle)
    places = plan[["source_file", "row_group", "source_row"]].to_numpy()
    order = np.lexsort(places.T[::-1])
    places, bundle, slots = places[order], bundle[order].astype(np.int32), slots[order].astype(np.int32)
    track_ids = plan["track_id"].to_numpy(object)[order]
    starts = np.flatnonzero(np.r_[True, (places[1:, :2] != places[:-1, :2]).any(axis=1)])
    tasks: list[list[Wanted]] = []
    held = SONGS_PER_TASK
    for start, stop in zip(starts, [*starts[1:], len(places)], strict=True):
        if held >= SONGS_PER_TASK:
            tasks.append([])
            held = 0
        file, row_group, _ = places[start]
        inside = slice(start, stop)
        rows = places[inside, 2].astype(np.int32)
        wanted = Wanted(
            files.paths[file], int(row_group), track_ids[inside].tolist(), rows, bundle[inside], slots[inside]
        )
        tasks[-1].append(wanted)
        held += stop - start
    return tasks


def write_plan(warehouse: Warehouse, planned: Iterable[pa.Table], staging: str) -> None:
    """Write the planned rows, in the schema `PLANNED`, with a row group for each of the bundles given in turn."""
    with pq.ParquetWriter(f"{staging}/{PLAN}", PLANNED, filesystem=warehouse.filesystem) as writer:
        for bundle in planned:
            writer.write_table(bundle, row_group_size=max(1, bundle.num_rows))


def write_examples(
    session: SparkSession, tasks: list[list[Wanted]], bundles: list[list[File]], target: Target
) -> pd.DataFrame:
    """Write every planned example to its file.

    Returns
    -------
    pandas.DataFrame
        A row a file: ``split``, ``file``, ``rows`` (those that came) and, for the train split, the
        moments of its features, as `msd_spark.dataset.files.normalisation` takes them.
    """
    context = session.sparkContext
    messages = context.parallelize(tasks, max(1, len(tasks))).flatMap(lambda task: read_task(task, target))
    # A bundle's number is the partition that it goes to.
    arrived = messages.partitionBy(len(bundles), int)
    shared = context.broadcast(bundles)
    written = arrived.mapPartitionsWithIndex(
        lambda number, found: write_bundle(number, shared.value[number], found, target)
    ).collect()
    return pd.DataFrame(written)


def read_task(task: list[Wanted], target: Target) -> Iterator[Message]:
    """Make the segments of a task's examples; give them as messages to the bundles that they go to.

    A row that does not hold the track that it held when the plan was made gives nothing: the job
    finds it missing.
    """
    warehouse = Warehouse(target.warehouse)
    columns = ["track_id", *song_columns(target.geometry)]
    path, file = "", None
    for wanted in task:
        if file is None or wanted.path != path:
            path = wanted.path
            file = pq.ParquetFile(path, filesystem=warehouse.filesystem, pre_buffer=not warehouse.is_local)
        start = 0
        for batch in file.iter_batches(SONGS_PER_BATCH, [wanted.row_group], columns, use_threads=False):
            first, last = np.searchsorted(wanted.rows, [start, start + batch.num_rows])
            if first < last:
                yield from _messages(batch, wanted, slice(first, last), start, target.geometry)
            start += batch.num_rows


def _messages(
    batch: pa.RecordBatch, wanted: Wanted, inside: slice, start: int, geometry: Geometry
) -> Iterator[Message]:
    rows, bundles, slots = wanted.rows[inside] - start, wanted.bundles[inside], wanted.slots[inside]
    there = batch.column("track_id").to_numpy(zero_copy_only=False)
    same = there[rows] == np.array(wanted.track_ids[inside], object)
    rows, bundles, slots = rows[same], bundles[same], slots[same]
    if not len(rows):
        return
    once, back = np.unique(rows, return_inverse=True)
    songs = batch if len(once) == batch.num_rows else batch.take(pa.array(once))
    made = segment_columns(songs, geometry)
    order = np.argsort(bundles, kind="stable")
    for places in np.split(order, np.flatnonzero(np.diff(bundles[order])) + 1):
        parts = (slots[places], *(made[name][back[places]] for name in ("n_segments", "chroma", "timbre")))
        yield int(bundles[places[0]]), tuple(part.tobytes() for part in parts)


def write_bundle(
    number: int, files: list[File], messages: Iterable[Message], target: Target
) -> Iterator[dict[str, Any]]:
    """Put the rows that came into their places and write the bundle's files; say what each holds.

    A file to which not all of its rows came is not written.
    """
    warehouse, geometry = Warehouse(target.warehouse), target.geometry
    n_rows = files[-1].stop
    segments = {
        "chroma": np.zeros((n_rows, *geometry.segments_shape), np.float32),
        "timbre": np.zeros((n_rows, *geometry.segments_shape), np.float32),
        "n_segments": np.zeros(n_rows, np.int32),
    }
    came = np.zeros(n_rows, np.int32)
    for _, (slots, lengths, chroma, timbre) in messages:
        places = np.frombuffer(slots, np.int32)
        came[places] += 1
        segments["n_segments"][places] = np.frombuffer(lengths, np.int32)
        for name, content in (("chroma", chroma), ("timbre", timbre)):
            segments[name][places] = np.frombuffer(content, np.float32).reshape(-1, *geometry.segments_shape)
    plan = pq.ParquetFile(f"{target.staging}/{PLAN}", filesystem=warehouse.filesystem).read_row_group(number)
    for file in files:
        rows = slice(file.start, file.stop)
        said: dict[str, Any] = {"split": file.split, "file": file.number, "rows": int((came[rows] == 1).sum())}
        if (came[rows] == 1).all():
            planned = plan.slice(file.start, file.stop - file.start)
            examples = assemble(
                planned, {name: values[rows] for name, values in segments.items()}, target.schema, geometry
            )
            write_file(warehouse, examples, f"{target.staging}/{file.split}/{part_name(file.number)}")
            if file.split == SPLITS[0]:
                first_copies = planned["copy"].to_numpy() == 0
                said |= feature_moments(
                    examples if first_copies.all() else examples.filter(pa.array(first_copies)), geometry
                )
        yield said
