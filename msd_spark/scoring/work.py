"""What a worker does with a slice: read its songs, score them, write its file of ``embeddings/RUN``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from msd_spark.core.errors import UserError
from msd_spark.core.features import lyric_columns, song_columns
from msd_spark.core.rejections import Rejection
from msd_spark.core.schemas import EMBEDDING_FLAGS, EMBEDDINGS
from msd_spark.core.warehouse import UNFINISHED, Warehouse
from msd_spark.scoring.embedding_rows import embedding_rows
from msd_spark.scoring.model import Scores, ScoringModel, model_of_process
from msd_spark.scoring.plan import rejection
from msd_spark.scoring.settings import TABLE
from msd_spark.scoring.slices import Slice
from msd_spark.scoring.song_features import song_features
from msd_spark.scoring.trained_run import TrainedRun

PLAN = f"{UNFINISHED}plan.parquet"
"""The plan's name in the staging folder, a row group a task; it goes when the table is whole."""

NOT_FINITE_SCORES = "not_finite_scores"
"""Reason for which a song with features has no row: the model gives no numbers for it."""


@dataclass(frozen=True)
class ScoreTarget:
    """Where rows come from and go to.

    Attributes
    ----------
    warehouse : str
        Its address.
    staging : str
        Folder of the table, on the warehouse's filesystem.
    batch, threads : int
    """

    warehouse: str
    staging: str
    batch: int
    threads: int


@dataclass(frozen=True)
class ScoredSlice:
    """What became of a slice.

    Attributes
    ----------
    scored, kept : int
        Rows that the model made, and rows that stay as they were.
    with_lyrics : int
        Rows of both kinds whose song has lyrics.
    refused : list of Rejection
    """

    scored: int
    kept: int
    with_lyrics: int
    refused: list[Rejection]


def score_slice(number: int, item: Slice, run: TrainedRun, target: ScoreTarget) -> ScoredSlice:
    """Score the planned songs of a slice and write its file, in the order of ``songs/``.

    Parameters
    ----------
    number : int
        Of the task: its row group of the plan.
    item : Slice
    run : TrainedRun
    target : ScoreTarget

    Raises
    ------
    UserError
        When ``songs/`` does not hold what it held when the plan was made.
    """
    warehouse = Warehouse(target.warehouse)
    with warehouse.filesystem.open_input_file(f"{target.staging}/{PLAN}") as source:
        plan = pq.ParquetFile(source).read_row_group(number)
    keep = plan["keep"].to_numpy()
    kept, wanted = plan.filter(pa.array(keep)), plan.filter(pa.array(~keep))
    tables: list[pa.Table] = []
    refused: list[Rejection] = []
    if kept.num_rows:
        tables.append(_kept_rows(warehouse, item, run, kept))
    if wanted.num_rows:
        model = model_of_process(run, target.batch, target.threads)
        made, refused = _scored_rows(warehouse, item, run, wanted, model)
        tables.append(made)
    rows = pa.concat_tables(tables)
    order = pc.index_in(plan["track_id"], value_set=rows["track_id"].combine_chunks()).drop_null()
    rows = rows.take(order)
    if rows.num_rows:
        write_rows(warehouse, rows, f"{target.staging}/{item.name}")
    n_scored = wanted.num_rows - len(refused)
    return ScoredSlice(n_scored, kept.num_rows, int(pc.sum(rows["has_lyrics"]).as_py() or 0), refused)


def write_rows(warehouse: Warehouse, rows: pa.Table, path: str) -> None:
    """Write rows of ``embeddings/RUN`` to a file of one row group; it appears whole."""
    with warehouse.finished_file(path) as unfinished:
        pq.write_table(
            rows,
            unfinished,
            filesystem=warehouse.filesystem,
            row_group_size=max(1, rows.num_rows),
            compression="zstd",
            # Floats of a tanh or a softmax repeat nowhere; a dictionary of them would be thrown away.
            use_dictionary=["predicted_genre", "run", *EMBEDDING_FLAGS],
            write_statistics=["track_id"],
        )


def _kept_rows(warehouse: Warehouse, item: Slice, run: TrainedRun, plan: pa.Table) -> pa.Table:
    """Return rows of the table that is there, with what is known of their tracks now."""
    with warehouse.filesystem.open_input_file(warehouse.path(TABLE, run.name, item.name)) as source:
        rows = pq.ParquetFile(source).read().cast(EMBEDDINGS)
    rows = rows.take(pc.index_in(plan["track_id"], value_set=rows["track_id"].combine_chunks()))
    for name in EMBEDDING_FLAGS:
        rows = rows.set_column(rows.schema.get_field_index(name), EMBEDDINGS.field(name), plan[name])
    return rows


def _scored_rows(
    warehouse: Warehouse, item: Slice, run: TrainedRun, plan: pa.Table, model: ScoringModel
) -> tuple[pa.Table, list[Rejection]]:
    """Return the rows that the model makes, and the songs for which it makes none."""
    parts, refused = [EMBEDDINGS.empty_table()], list[Rejection]()
    held: list[tuple[dict[str, np.ndarray], np.ndarray]] = []
    n_held = 0

    def flush() -> None:
        """Score what is held: whole batches but for the slice's last one."""
        columns = {name: np.concatenate([part[name] for part, _ in held]) for name in held[0][0]}
        places = np.concatenate([rows for _, rows in held])
        scores = model(columns)
        finite = np.isfinite(scores.embeddings).all(axis=1) & np.isfinite(scores.outputs).all(axis=1)
        for place in places[~finite]:
            track = plan["track_id"][int(place)].as_py()
            refused.append(rejection(item, track, NOT_FINITE_SCORES, "the model's output is not finite"))
        rows = plan.take(pa.array(places[finite]))
        flags = {name: rows[name].to_numpy() for name in EMBEDDING_FLAGS}
        kept = Scores(scores.embeddings[finite], scores.outputs[finite])
        parts.append(embedding_rows(run, rows["track_id"].combine_chunks(), kept, flags))
        held.clear()

    for batch, places in _wanted_songs(warehouse, item, run, plan, model.batch):
        found = song_features(batch, run.geometry)
        refused += [
            rejection(item, batch.column("track_id")[row].as_py(), reason, detail)
            for row, reason, detail in found.refused
        ]
        if not len(found.rows):
            continue
        here = places[found.rows]
        vectors = plan["lyric_vector"].take(pa.array(here)).combine_chunks()
        columns, start = found.columns | lyric_columns(vectors, run.geometry), 0
        while start < len(here):
            stop = min(len(here), start + model.batch - n_held)
            held.append(({name: values[start:stop] for name, values in columns.items()}, here[start:stop]))
            n_held, start = n_held + stop - start, stop
            if n_held == model.batch:
                flush()
                n_held = 0
    if held:
        flush()
    return pa.concat_tables(parts), refused


def _wanted_songs(
    warehouse: Warehouse, item: Slice, run: TrainedRun, plan: pa.Table, size: int
) -> Iterator[tuple[pa.RecordBatch, np.ndarray]]:
    """Give the planned songs of a slice in batches, and their places in the plan; nothing else is read."""
    rows = plan["row"].to_numpy()
    columns = ["track_id", *song_columns(run.geometry)]
    with warehouse.filesystem.open_input_file(item.path) as source:
        file = pq.ParquetFile(source, pre_buffer=not warehouse.is_local)
        start = 0
        for group, n_rows in zip(item.row_groups, item.rows, strict=True):
            first, last = np.searchsorted(rows, [start, start + n_rows])
            if first < last:
                for batch in file.iter_batches(size, [group], columns, use_threads=False):
                    first, last = np.searchsorted(rows, [start, start + batch.num_rows])
                    if first < last:
                        inside = pa.array(rows[first:last] - start)
                        songs = batch if len(inside) == batch.num_rows else batch.take(inside)
                        _check_tracks(item, songs, plan.slice(first, last - first))
                        yield songs, np.arange(first, last)
                    start += batch.num_rows
            else:
                start += n_rows


def _check_tracks(item: Slice, songs: pa.RecordBatch, plan: pa.Table) -> None:
    if songs.column("track_id").to_pylist() != plan["track_id"].to_pylist():
        raise UserError(f"songs/{item.file} changed meanwhile; run again when nothing writes to songs/")
