"""Score slices in a worker, and write their files of ``embeddings/RUN``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from msd_spark.core.arrow import one_row_group
from msd_spark.core.delta import DataFile, Destination
from msd_spark.core.errors import UserError
from msd_spark.core.features import song_columns
from msd_spark.core.rejections import Rejection
from msd_spark.core.row_groups import RowGroups
from msd_spark.core.schemas import EMBEDDING_FLAGS, EMBEDDINGS
from msd_spark.core.warehouse import Warehouse
from msd_spark.io.ahead import ahead
from msd_spark.io.folders import in_order
from msd_spark.scoring.model import Scores, ScoringModel, embedding_rows, model_of_process
from msd_spark.scoring.plan import rejection
from msd_spark.scoring.settings import ScoreSettings
from msd_spark.scoring.slices import SONGS_PER_SLICE, Slice
from msd_spark.scoring.song_features import lyric_features, song_features
from msd_spark.scoring.trained_run import TrainedRun

NOT_FINITE_SCORES = "not_finite_scores"
"""Reason for which a song with features has no row: the output of the model is not finite."""

BATCHES_AHEAD = 4
"""Batches of songs that are read before they are scored."""


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
    """Numbers of rows of a slice, its refused songs, and its file, None without rows.

    Rows are scored now, or kept from before; either may be with lyrics.
    """

    scored: int
    kept: int
    with_lyrics: int
    refused: list[Rejection]
    file: DataFile | None

    @property
    def songs(self) -> int:
        """Number of planned songs."""
        return self.scored + self.kept + len(self.refused)


@dataclass(frozen=True, eq=False)
class PlannedSlice:
    """A slice, its track ids in order, the plan of the songs to score, and the rows to keep."""

    item: Slice
    track_ids: pa.Array
    to_score: pa.Table
    kept: pa.Table

    @property
    def row_groups(self) -> list[tuple[int, int]]:
        """Row groups with a song to score, each with the row of the slice at which it begins."""
        starts = np.cumsum([0, *self.item.rows])
        places = np.searchsorted(self.to_score["row"].to_numpy(), starts)
        groups = zip(self.item.row_groups, starts[:-1].tolist(), strict=True)
        return [group for group, n_songs in zip(groups, np.diff(places), strict=True) if n_songs]


Songs = tuple[pa.RecordBatch, int]
"""Songs to score, and the place of the first in the plan of its slice."""


def score_slices(
    task: Sequence[tuple[int, Slice]], run: TrainedRun, paths: Work, settings: ScoreSettings
) -> list[ScoredSlice]:
    """Score the planned songs of slices; write one file per slice, in the order of ``songs/``.

    The next songs are read, and the last file is written, while songs are scored. `task` has the row group of the plan
    and the slice. `settings` has the number of threads, and an address of the warehouse that is valid in a worker.
    It is an error if ``songs/`` changed after the plan was made.
    """
    slices = ahead(_fetch(Warehouse(settings.warehouse), task, run, paths), 1)
    songs = ahead(_read(slices, run, settings.batch_size), BATCHES_AHEAD)
    scored = (
        _score(planned, (of_slice for _, of_slice in group if of_slice), run, settings)
        for planned, group in groupby(songs, itemgetter(0))
    )
    return [result for _, result in in_order(lambda rows: _write(*rows, paths), scored, 1)]


def _fetch(
    warehouse: Warehouse, task: Sequence[tuple[int, Slice]], run: TrainedRun, paths: Work
) -> Iterator[tuple[PlannedSlice, pq.ParquetFile | None]]:
    """Yield each slice with its file of ``songs/``, in which the songs to score are fetched."""
    plans, songs, path = RowGroups(warehouse.filesystem, paths.plan), None, ""
    for number, item in task:
        plan = plans.fetch(None, [number]).read_row_group(number)
        to_keep, to_score = plan.filter(plan["keep"]), plan.filter(pc.invert(plan["keep"]))
        kept = _kept_rows(warehouse, paths.earlier[item.name], to_keep) if len(to_keep) else EMBEDDINGS.empty_table()
        planned, file = PlannedSlice(item, plan["track_id"].combine_chunks(), to_score, kept), None
        if planned.row_groups:
            if songs is None or item.file != path:
                songs, path = RowGroups(warehouse.filesystem, warehouse.path("songs", item.file)), item.file
            file = songs.fetch(_columns(run), [group for group, _ in planned.row_groups])
        yield planned, file


def _read(
    slices: Iterable[tuple[PlannedSlice, pq.ParquetFile | None]], run: TrainedRun, size: int
) -> Iterator[tuple[PlannedSlice, Songs | None]]:
    """Yield each slice once with None, then with its songs to score, at most `size` at a time."""
    for planned, file in slices:
        yield planned, None
        for songs in _planned_songs(planned, file, run, size) if file else ():
            yield planned, songs


def _score(
    planned: PlannedSlice, songs: Iterable[Songs], run: TrainedRun, settings: ScoreSettings
) -> tuple[PlannedSlice, pa.Table, list[Rejection]]:
    """Score songs; return their slice, its rows in order, and the refused songs."""
    rows, refused = planned.kept, list[Rejection]()
    if len(planned.to_score):
        model = model_of_process(run, settings.batch_size, settings.threads or 1)
        scored, refused = _scored_rows(songs, planned.item, run, planned.to_score, model)
        rows = pa.concat_tables([rows, scored])
    places = pc.index_in(planned.track_ids, value_set=rows["track_id"].combine_chunks()).drop_null()
    return planned, rows.take(places), refused


def _write(planned: PlannedSlice, rows: pa.Table, refused: list[Rejection], paths: Work) -> ScoredSlice:
    """Write the file of a slice; return its counts."""
    file = None
    if rows.num_rows:
        name = planned.item.name.removesuffix(".parquet")
        file = paths.destination.write(name, rows, **file_options(rows))
    n_scored, n_kept = len(planned.to_score) - len(refused), len(planned.kept)
    return ScoredSlice(n_scored, n_kept, int(pc.sum(rows["has_lyrics"]).as_py() or 0), refused, file)


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
    songs: Iterable[Songs], item: Slice, run: TrainedRun, plan: pa.Table, model: ScoringModel
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

    for batch, first in songs:
        features = song_features(batch, run.geometry, run.inputs)
        refused += [
            rejection(item, batch.column("track_id")[row].as_py(), reason, detail)
            for row, reason, detail in features.refused
        ]
        if len(features.rows):
            places.append(first + features.rows)
            planned = plan.take(pa.array(places[-1]))
            lists = (planned[name].combine_chunks() for name in ("lyric_vector", "word_indices", "word_counts"))
            parts.append(features.columns | lyric_features(run, *lists))
        if sum(map(len, places)) >= SONGS_PER_SLICE:
            score()
    if parts:
        score()
    return pa.concat_tables(tables), refused


def _columns(run: TrainedRun) -> list[str]:
    return ["track_id", *song_columns(run.geometry, run.inputs)]


def _planned_songs(planned: PlannedSlice, file: pq.ParquetFile, run: TrainedRun, size: int) -> Iterator[Songs]:
    """Yield the planned songs of a slice in batches."""
    rows = planned.to_score["row"].to_numpy()
    for group, start in planned.row_groups:
        for batch in file.iter_batches(size, [group], _columns(run), use_threads=False):
            first, last = np.searchsorted(rows, [start, start + batch.num_rows])
            if first < last:
                inside = pa.array(rows[first:last] - start)
                songs = batch if len(inside) == batch.num_rows else batch.take(inside)
                _check_tracks(planned.item, songs, planned.to_score.slice(first, last - first))
                yield songs, int(first)
            start += batch.num_rows


def _check_tracks(item: Slice, songs: pa.RecordBatch, plan: pa.Table) -> None:
    if songs.column("track_id").to_pylist() != plan["track_id"].to_pylist():
        raise UserError(f"songs/{item.file} changed meanwhile; run msd-spark score again when nothing writes to it")
