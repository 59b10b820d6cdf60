"""Score one slice in a worker, and write its file of ``embeddings/RUN``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from msd_spark.core.arrow import one_row_group
from msd_spark.core.delta import DataFile, Destination
from msd_spark.core.errors import UserError
from msd_spark.core.features import lyric_columns, song_columns
from msd_spark.core.rejections import Rejection
from msd_spark.core.schemas import EMBEDDING_FLAGS, EMBEDDINGS
from msd_spark.core.warehouse import Warehouse
from msd_spark.io.ahead import ahead
from msd_spark.scoring.model import Scores, ScoringModel, embedding_rows, model_of_process
from msd_spark.scoring.plan import rejection
from msd_spark.scoring.settings import ScoreSettings
from msd_spark.scoring.slices import SONGS_PER_SLICE, Slice
from msd_spark.scoring.song_features import song_features
from msd_spark.scoring.trained_run import TrainedRun

NOT_FINITE_SCORES = "not_finite_scores"
"""Reason for which a song with features has no row: the output of the model is not finite."""

BATCHES_AHEAD = 4
"""Batches of songs that are fetched from a store before they are scored."""


@dataclass(frozen=True)
class Work:
    """What all tasks share.

    Attributes
    ----------
    destination : Destination
        The new files of the table.
    plan : str
        Path of the plan, with one row group per task.
    earlier : mapping
        Path of each file of the existing table, by the name of its slice.
    """

    destination: Destination
    plan: str
    earlier: Mapping[str, str]


@dataclass(frozen=True)
class ScoredSlice:
    """Counts of rows scored now, kept from before, and with lyrics; the refused songs; the file, None without rows."""

    scored: int
    kept: int
    with_lyrics: int
    refused: list[Rejection]
    file: DataFile | None

    @property
    def songs(self) -> int:
        """Number of planned songs."""
        return self.scored + self.kept + len(self.refused)


def score_slice(number: int, item: Slice, run: TrainedRun, paths: Work, settings: ScoreSettings) -> ScoredSlice:
    """Score the planned songs of a slice and write its file, in the order of ``songs/``.

    `number` is the row group of the plan. `settings` has the number of threads, and an address of the warehouse that is
    valid in a worker. It is an error if ``songs/`` changed after the plan was made.
    """
    warehouse = Warehouse(settings.warehouse)
    with warehouse.filesystem.open_input_file(paths.plan) as source:
        plan = pq.ParquetFile(source).read_row_group(number)
    keep = plan["keep"].to_numpy()
    to_keep, to_score = plan.filter(pa.array(keep)), plan.filter(pa.array(~keep))
    tables: list[pa.Table] = []
    refused: list[Rejection] = []
    if to_keep.num_rows:
        tables.append(_kept_rows(warehouse, paths.earlier[item.name], to_keep))
    if to_score.num_rows:
        model = model_of_process(run, settings.batch, settings.threads or 1)
        scored, refused = _scored_rows(warehouse, item, run, to_score, model)
        tables.append(scored)
    rows = pa.concat_tables(tables)
    rows = rows.take(pc.index_in(plan["track_id"], value_set=rows["track_id"].combine_chunks()).drop_null())
    file = None
    if rows.num_rows:
        file = paths.destination.write(item.name.removesuffix(".parquet"), rows, **file_options(rows))
    n_with_lyrics = int(pc.sum(rows["has_lyrics"]).as_py() or 0)
    return ScoredSlice(to_score.num_rows - len(refused), to_keep.num_rows, n_with_lyrics, refused, file)


def file_options(rows: pa.Table) -> dict[str, Any]:
    """Return the options of `pyarrow.parquet.write_table` for rows of ``embeddings/RUN``."""
    # Outputs of tanh and softmax hardly ever repeat, so a dictionary of them would be discarded.
    return one_row_group(rows, compression="zstd", dictionary=["predicted_genre", "run", *EMBEDDING_FLAGS])


def _kept_rows(warehouse: Warehouse, path: str, plan: pa.Table) -> pa.Table:
    """Return rows of the existing table, with the flags of the plan."""
    with warehouse.filesystem.open_input_file(path) as source:
        rows = pq.ParquetFile(source).read().cast(EMBEDDINGS)
    rows = rows.take(pc.index_in(plan["track_id"], value_set=rows["track_id"].combine_chunks()))
    for name in EMBEDDING_FLAGS:
        rows = rows.set_column(rows.schema.get_field_index(name), EMBEDDINGS.field(name), plan[name])
    return rows


def _scored_rows(
    warehouse: Warehouse, item: Slice, run: TrainedRun, plan: pa.Table, model: ScoringModel
) -> tuple[pa.Table, list[Rejection]]:
    """Score the songs of a plan; return their rows, and the songs without one."""
    tables, refused = [EMBEDDINGS.empty_table()], list[Rejection]()
    parts: list[dict[str, np.ndarray]] = []
    places: list[np.ndarray] = []

    def score() -> None:
        """Score the songs in `parts`."""
        scores = model({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})
        rows, finite = plan.take(pa.array(np.concatenate(places))), scores.finite
        for track_id in rows["track_id"].filter(pa.array(~finite)).to_pylist():
            refused.append(rejection(item, track_id, NOT_FINITE_SCORES, "the output of the model is not finite"))
        rows = rows.filter(pa.array(finite))
        flags = {name: rows[name].to_numpy() for name in EMBEDDING_FLAGS}
        scores = Scores(scores.embeddings[finite], scores.outputs[finite])
        tables.append(embedding_rows(run, rows["track_id"].combine_chunks(), scores, flags))
        parts.clear()
        places.clear()

    songs = _planned_songs(warehouse, item, run, plan, model.batch)
    for batch, first in songs if warehouse.is_local else ahead(songs, BATCHES_AHEAD):
        features = song_features(batch, run.geometry)
        refused += [
            rejection(item, batch.column("track_id")[row].as_py(), reason, detail)
            for row, reason, detail in features.refused
        ]
        if len(features.rows):
            places.append(first + features.rows)
            vectors = plan["lyric_vector"].take(pa.array(places[-1])).combine_chunks()
            parts.append(features.columns | lyric_columns(vectors, run.geometry))
        if sum(map(len, places)) >= SONGS_PER_SLICE:
            score()
    if parts:
        score()
    return pa.concat_tables(tables), refused


def _planned_songs(
    warehouse: Warehouse, item: Slice, run: TrainedRun, plan: pa.Table, size: int
) -> Iterator[tuple[pa.RecordBatch, int]]:
    """Yield the planned songs of a slice in batches, with the place of the first in the plan."""
    rows = plan["row"].to_numpy()
    columns = ["track_id", *song_columns(run.geometry)]
    with warehouse.filesystem.open_input_file(warehouse.path("songs", item.file)) as source:
        file = pq.ParquetFile(source, pre_buffer=not warehouse.is_local)
        start = 0
        for group, n_rows in zip(item.row_groups, item.rows, strict=True):
            first, last = np.searchsorted(rows, [start, start + n_rows])
            batch_start = start
            # Row groups without a planned song are not read.
            for batch in file.iter_batches(size, [group], columns, use_threads=False) if first < last else ():
                first, last = np.searchsorted(rows, [batch_start, batch_start + batch.num_rows])
                if first < last:
                    inside = pa.array(rows[first:last] - batch_start)
                    songs = batch if len(inside) == batch.num_rows else batch.take(inside)
                    _check_tracks(item, songs, plan.slice(first, last - first))
                    yield songs, int(first)
                batch_start += batch.num_rows
            start += n_rows


def _check_tracks(item: Slice, songs: pa.RecordBatch, plan: pa.Table) -> None:
    if songs.column("track_id").to_pylist() != plan["track_id"].to_pylist():
        raise UserError(f"songs/{item.file} changed meanwhile; run msd-spark score again when nothing writes to it")
