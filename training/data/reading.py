"""Read the files of a rank in one epoch as batches of equal size, and count every row.

`training.data.readers` read row groups in the planned order, `training.data.assembly` shuffles them into batches, and
`training.data.feed` converts those to tensors.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from msd_spark.core.cells import from_cells
from msd_spark.core.errors import UserError
from msd_spark.core.model_inputs import BASIC_INPUTS, columns_of_inputs, input_shapes, model_inputs
from msd_spark.core.schemas import Geometry
from training.data.assembly import Columns, StreamRows, Tally
from training.data.plan import RankPlan
from training.data.prefetch import prefetched
from training.data.readers.choice import DIRECT, Reading
from training.data.targets.target import Target


@dataclass(frozen=True)
class Batch:
    """Examples of one step on one rank, padded to the batch size.

    Attributes
    ----------
    track_ids, artist_groups : numpy.ndarray
        Shape ``(batch,)``, str; empty strings in the padding.
    truth : numpy.ndarray
        Shape ``(batch,)``, int32, or ``(batch, size)``, float32: the target's column.
    present : numpy.ndarray
        Shape ``(batch,)``, bool: whether the example has the target; False in the padding.
    weights : numpy.ndarray
        Shape ``(batch,)``; 0 in the padding.
    also : tuple of numpy.ndarray, optional
        Truth and presence of a second target.
    """

    track_ids: np.ndarray
    artist_groups: np.ndarray
    inputs: dict[str, np.ndarray]
    truth: np.ndarray
    present: np.ndarray
    weights: np.ndarray
    also: tuple[np.ndarray, np.ndarray] | None = None


INPUT_COLUMNS = ("track_id", "artist_group", *columns_of_inputs(BASIC_INPUTS), "weight")
"""Columns that models with `BASIC_INPUTS` read for every target."""


def columns_for(target: Target, inputs: Collection[str] = BASIC_INPUTS, also: Target | None = None) -> tuple[str, ...]:
    """Return the columns to read for one or two targets and a model with these inputs."""
    truths = [name for one in (target, also) if one is not None for name in (one.column, one.presence)]
    return tuple(dict.fromkeys(("track_id", "artist_group", *columns_of_inputs(inputs), "weight", *truths)))


def read_row_groups(addresses: Sequence[str], columns: Sequence[str], reading: Reading = DIRECT) -> Iterator[Columns]:
    """Yield the row groups of Parquet files, in order."""
    for table in reading.row_groups(addresses, columns):
        yield {name: to_numpy(table[name]) for name in columns}


def to_numpy(column: pa.ChunkedArray) -> np.ndarray:
    """Return a column as an array ``(n,)``, or ``(n, …)`` for cells (see `from_cells`)."""
    if pa.types.is_binary(column.type):
        try:
            return from_cells(column)
        except ValueError as error:
            raise UserError(
                f"a dataset has a damaged column of arrays: {error}; run msd-spark dataset again"
            ) from error
    values = column.to_numpy()
    return values.astype(str) if pa.types.is_string(column.type) else values


def to_batch(
    columns: Columns | None,
    size: int,
    geometry: Geometry,
    target: Target,
    names: Collection[str] = BASIC_INPUTS,
    also: Target | None = None,
) -> Batch:
    """Return a batch of `size` examples with the named inputs, padded with zeros of weight 0."""
    n_rows = 0 if columns is None else len(columns["track_id"])
    inputs = {} if columns is None else model_inputs(columns, geometry, names)
    track_ids, artist_groups, weights = (
        _padded(None if columns is None else columns[name], size, kind)
        for name, kind in (("track_id", "U32"), ("artist_group", "U32"), ("weight", "float32"))
    )
    if n_rows < size:
        for name, shape in input_shapes(geometry, names).items():
            padded = np.zeros((size, *shape), np.float32)
            padded[:n_rows] = inputs.get(name, padded[:0])
            inputs[name] = padded
        # Padding has one segment of zeros: the mean over no segment is not finite.
        if "mask" in inputs:
            inputs["mask"][n_rows:, :1] = 1.0
    truth, present = _truth(columns, size, target)
    second = None if also is None else _truth(columns, size, also)
    return Batch(track_ids, artist_groups, inputs, truth, present, weights, second)


def _padded(values: np.ndarray | None, size: int, dtype: str) -> np.ndarray:
    """Return an array with empty texts or zeros after its values."""
    if values is not None and len(values) == size and values.dtype == dtype:
        return values
    padded = np.zeros(size, dtype)
    if values is not None:
        padded[: len(values)] = values
    return padded


def _truth(columns: Columns | None, size: int, target: Target) -> tuple[np.ndarray, np.ndarray]:
    """Return truths and presence of `size` examples; padding has no target."""
    truth, all_present = target.empty_truth(size), np.zeros(size, bool)
    if columns is None:
        return truth, all_present
    values, present = columns[target.column], columns[target.presence] > 0
    if not target.fits(values, present):
        raise UserError(
            f"column {target.column} has values that do not fit the {target.size} outputs of {target.name}; "
            "run msd-spark dataset again"
        )
    truth[: len(values)], all_present[: len(values)] = values, present
    return truth, all_present


def batches(
    addresses: Sequence[str],
    rows: Sequence[int],
    plan: RankPlan,
    geometry: Geometry,
    target: Target,
    *,
    window: int = 0,
    seed: Sequence[int] = (0,),
    first_step: int = 0,
    tally: Tally | None = None,
    inputs: Collection[str] = BASIC_INPUTS,
    also: Target | None = None,
    reading: Reading = DIRECT,
) -> Iterator[Batch]:
    """Yield a rank's batches of one epoch, always as many as the plan has from `first_step` on.

    Parameters
    ----------
    addresses, rows : sequence
        All files of the split and their numbers of rows; the plan has indices of these lists.
    window : int
        Row groups to shuffle together; 0 keeps the order.
    seed : sequence of int
        Seed and epoch, for shuffling: the same on all ranks.
    first_step : int
        Number of steps to leave out.
    tally : Tally, optional
        Counts the rows. The caller compares the counts of all ranks with the plan: if only one rank stopped, the
        others would wait for it. Without a tally, another number of rows than planned is an error.
    inputs : collection of str
        Names of the model's inputs; other columns are not read.
    also : Target, optional
        A second target.
    """
    columns = columns_for(target, inputs, also)

    def read(files: list[int]) -> Iterator[Columns]:
        # Arrow reads without Python's lock, so that another thread can assemble batches meanwhile.
        return prefetched(lambda: read_row_groups([addresses[file] for file in files], columns, reading), ahead=window)

    counted = Tally() if tally is None else tally
    streams = [
        StreamRows(share, read, rows, window=window, seed=seed, tally=counted, first_step=first_step)
        for share in plan.shares
    ]
    for _ in range(first_step, plan.steps):
        current = next((found for stream in streams if (found := stream.window) is not None), None)
        taken, n_rows = None, 0
        if current is not None:
            taken = current.empty(plan.batch)
            for stream in streams:
                n_rows = stream.fill(taken, n_rows)
            if n_rows < plan.batch:
                taken = {name: values[:n_rows] for name, values in taken.items()}
        yield to_batch(taken, plan.batch, geometry, target, inputs, also)
    for stream in streams:
        stream.drain()
    if tally is None and counted.read != counted.planned:
        raise UserError(
            f"the files of this rank have {counted.read} rows instead of {counted.planned}; run msd-spark dataset again"
        )
