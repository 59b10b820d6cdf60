"""Read a rank's files of an epoch into batches of one size, and count every row.

Petastorm reads row groups in the plan's order (`make_batch_reader` with the pool that loses
nothing); `training.data.assembly` shuffles and cuts them into batches, which are padded at
the end with rows that carry no weight. `training.data.feed` hands them to TensorFlow.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from msd_spark.core.errors import UserError
from msd_spark.core.model_inputs import input_shapes, model_inputs
from msd_spark.core.schemas import PRESENCE, Geometry
from training.data.assembly import Columns, assemble
from training.data.petastorm_files import petastorm_paths
from training.data.plan import RankPlan
from training.data.targets import Target


@dataclass(frozen=True)
class Batch:
    """Examples of one step on one rank, always of the same number.

    Attributes
    ----------
    track_ids : numpy.ndarray
        Shape ``(batch,)``, str; empty strings in the padding.
    artist_groups : numpy.ndarray
        Shape ``(batch,)``, str.
    inputs : dict
        What the model is fed.
    truth : numpy.ndarray
        Shape ``(batch,)``, int32, or ``(batch, size)``, float32: the target's column.
    present : numpy.ndarray
        Shape ``(batch,)``, bool: whether an example has the target; padding has not.
    weights : numpy.ndarray
        Shape ``(batch,)``; the weights of padding are 0.
    """

    track_ids: np.ndarray
    artist_groups: np.ndarray
    inputs: dict[str, np.ndarray]
    truth: np.ndarray
    present: np.ndarray
    weights: np.ndarray


INPUT_COLUMNS = (
    "track_id",
    "artist_group",
    "chroma",
    "timbre",
    "n_segments",
    "lyric_vector",
    PRESENCE["lyric_vector"],
    "weight",
)
"""Columns of an example that training reads whatever the target."""


def columns_for(target: Target) -> tuple[str, ...]:
    """Return the columns of an example that training for a target reads."""
    return (*INPUT_COLUMNS, target.column, target.presence)


def read_row_groups(addresses: Sequence[str], columns: Sequence[str]) -> Iterator[Columns]:
    """Give each row group of some files, in order.

    Parameters
    ----------
    addresses : sequence of str
        Parquet files of examples.
    columns : sequence of str
        What to read of them.
    """
    if not addresses:
        return
    # Petastorm speaks to pyarrow through names that pyarrow has marked as old; the pins are chosen so that they work.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning, module=r"petastorm")
        yield from _read_row_groups(addresses, columns)


def _read_row_groups(addresses: Sequence[str], columns: Sequence[str]) -> Iterator[Columns]:
    from petastorm import make_batch_reader

    filesystem, places = petastorm_paths(addresses)
    # The dummy pool keeps the list's order, is repeatable and loses no row.
    reader = make_batch_reader(
        places,
        schema_fields=list(columns),
        reader_pool_type="dummy",
        shuffle_row_groups=False,
        num_epochs=1,
        filesystem=filesystem,
    )
    # The reader's own conversion makes an array of each list, and of these a matrix. The pin keeps this name valid.
    reader._results_queue_reader = _RowGroups(reader._results_queue_reader)
    with reader:
        for group in reader:
            yield {name: getattr(group, name) for name in columns}


class _RowGroups:
    """Petastorm's results as arrays that share Arrow's memory where they can.

    Parameters
    ----------
    replaced : object
        What Petastorm would convert results with.
    """

    def __init__(self, replaced: Any) -> None:
        self.batched_output = replaced.batched_output

    def read_next(self, pool: Any, schema: Any, ngram: Any) -> Any:
        """Return the next row group as a named tuple of arrays."""
        from petastorm.workers_pool import EmptyResultError

        try:
            table = pool.get_results()
        except EmptyResultError:
            raise StopIteration from None
        return schema.make_namedtuple(**{name: to_numpy(table[name]) for name in table.column_names})


def to_numpy(column: pa.ChunkedArray) -> np.ndarray:
    """Return a column as an array ``(n,)``, or ``(n, width)`` for lists of one width, without a copy where possible.

    Raises
    ------
    UserError
        When the lists are not of one width.
    """
    if not pa.types.is_list(column.type):
        values = column.to_numpy()
        return values.astype(str) if pa.types.is_string(column.type) else values
    array = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    n_rows, flat = len(array), array.flatten()
    width = len(flat) // max(n_rows, 1)
    if array.null_count or not np.array_equal(np.diff(array.offsets.to_numpy()), np.full(n_rows, width)):
        raise UserError("a column of lists has rows of several lengths; write the dataset again")
    return flat.to_numpy(zero_copy_only=False).reshape(n_rows, width)


def to_batch(columns: Columns | None, size: int, geometry: Geometry, target: Target) -> Batch:
    """Return a batch of `size` examples, the missing ones padded with zeros that carry no weight.

    Raises
    ------
    UserError
        When an example's truth is none of the target's.
    """
    n_rows = 0 if columns is None else len(columns["track_id"])
    track_ids, artist_groups = (np.full(size, "", dtype="U32") for _ in range(2))
    truth = np.zeros((size, target.size), np.float32) if target.is_vector else np.zeros(size, np.int32)
    present, weights = np.zeros(size, bool), np.zeros(size, np.float32)
    inputs = {} if columns is None else model_inputs(columns, geometry)
    if columns is not None:
        track_ids[:n_rows] = columns["track_id"]
        artist_groups[:n_rows] = columns["artist_group"]
        truth[:n_rows] = _truth(columns, target)
        present[:n_rows], weights[:n_rows] = columns[target.presence] > 0, columns["weight"]
    if n_rows < size:
        for name, shape in input_shapes(geometry).items():
            padded = np.zeros((size, *shape), np.float32)
            padded[:n_rows] = inputs.get(name, padded[:0])
            inputs[name] = padded
        # Padding is fed as one segment of zeros: a mean over no segment at all would not be a number.
        inputs["mask"][n_rows:, :1] = 1.0
    return Batch(track_ids, artist_groups, inputs, truth, present, weights)


def _truth(columns: Columns, target: Target) -> np.ndarray:
    values, present = columns[target.column], columns[target.presence] > 0
    if target.is_vector:
        fits = values.ndim == 2 and values.shape[1] == target.size and bool(np.isfinite(values).all())
    else:
        fits = bool(((values >= 0) & (values < target.size))[present].all())
    if not fits:
        raise UserError(
            f"column {target.column} holds other values than {target.size} {target.name} outputs can stand for; "
            "write the dataset again with jobs/dataset.py",
        )
    return values


@dataclass
class Tally:
    """The rows of a plan that were read.

    Attributes
    ----------
    read : int
    """

    read: int = 0


def batches(
    addresses: Sequence[str],
    plan: RankPlan,
    batch: int,
    geometry: Geometry,
    target: Target,
    *,
    window: int = 0,
    seed: Sequence[int] = (0,),
    tally: Tally | None = None,
) -> Iterator[Batch]:
    """Give a rank's batches of one epoch: `plan.steps` of them, whatever its files hold.

    Parameters
    ----------
    addresses : sequence of str
        All files of the split, in the order that the plan numbers.
    plan : RankPlan
    batch : int
    geometry : Geometry
    target : Target
    window : int
        Row groups within which rows are shuffled; 0 leaves them in order.
    seed : sequence of int
        Of the shuffling: seed, epoch and rank.
    tally : Tally, optional
        Counts the rows. The caller compares them with the plan, with those of all ranks: a rank that
        stopped alone would leave the others waiting. Rows beyond the plan's last step are counted, not given.

    Raises
    ------
    UserError
        Without a tally, when the reader gave other rows than the plan says: it lost some, or the files changed.
    """
    groups = read_row_groups([addresses[file] for file in plan.files], columns_for(target))
    generator = np.random.default_rng(list(seed))
    counted, steps = Tally() if tally is None else tally, 0
    for columns in assemble(groups, batch, window, generator):
        counted.read, steps = counted.read + len(columns["track_id"]), steps + 1
        if steps <= plan.steps:
            yield to_batch(columns, batch, geometry, target)
    if tally is None and counted.read != plan.rows:
        raise UserError(
            f"{plan.rows} rows planned and {counted.read} read from {len(plan.files)} files; was the dataset replaced?",
        )
    for _ in range(steps, plan.steps):
        yield to_batch(None, batch, geometry, target)
