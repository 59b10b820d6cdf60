"""Every song of ``songs/`` through a trained model, into ``embeddings/RUN``.

The driver settles on light columns what becomes of each slice, and writes it to a plan, a row group a slice. A task
takes slices of files of ``songs/`` one by one: it reads the segments, calls the model and writes the slice's file;
only counts come back. No song passes through Spark. Each Python worker loads the model once.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, replace

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from msd_spark.catalogue.known_tracks import NO_LYRICS, known_tracks
from msd_spark.core.errors import UserError
from msd_spark.core.rejections import write_rejections
from msd_spark.core.revision import code_revision
from msd_spark.core.schemas import EMBEDDINGS
from msd_spark.core.summary import Summary
from msd_spark.core.warehouse import Warehouse
from msd_spark.scoring.plan import PLANNED, ScorePlan, plan_scores
from msd_spark.scoring.settings import REVISIONS_FILE, STAGE, STATE_FILE, TABLE, ScoreSettings
from msd_spark.scoring.slices import SONGS_PER_SLICE, Slice, SlicedSongs, slice_songs
from msd_spark.scoring.state import ScoredRows, ScoreState
from msd_spark.scoring.trained_run import TrainedRun
from msd_spark.scoring.work import PLAN, ScoredSlice, ScoreTarget, score_slice
from msd_spark.spark.session import last_words, progress, share_out

NO_SONGS = "no-songs.parquet"
"""File of a table without rows, so that it has a schema."""


def score(session: SparkSession, settings: ScoreSettings, songs_per_slice: int = SONGS_PER_SLICE) -> Summary:
    """Write ``embeddings/RUN``; return the summary.

    Raises
    ------
    UserError
        When the run or ``songs/`` is missing, the model does not fit this code's features or the lyrics at hand,
        or songs got lost on the way.
    """
    summary = Summary(STAGE)
    warehouse = Warehouse(settings.warehouse)
    run = TrainedRun.read(warehouse, settings.run)
    if not settings.without_lyrics:
        run.check_lyrics(warehouse)
    songs = slice_songs(warehouse, songs_per_slice)
    with_lyrics = not settings.without_lyrics and run.lyric_vectors != NO_LYRICS
    known = known_tracks(warehouse, songs.track_ids, run.geometry.lyric_size, lyrics=with_lyrics)
    state = state_of_now(warehouse, run, songs, with_lyrics=with_lyrics)
    old = None if settings.rescore else ScoreState.read(warehouse, run.name)
    rows = ScoredRows.read(warehouse, run.name) if old is not None else None
    plan = plan_scores(songs, known, state, old, rows)
    before = 0 if rows is None else len(rows.track_ids)
    nothing_new = (
        not plan.tasks and rows is not None and before == int(plan.keep.sum()) and old == done(state, plan, [])
    )
    written = [] if nothing_new else write(session, warehouse, run, plan, settings, state)
    refused = done(state, plan, written).rejections.values()
    write_rejections(warehouse, STAGE, refused)
    copied = np.isin(songs.slice_of_song(), plan.copies) & plan.keep
    n_with_lyrics = sum(part.with_lyrics for part in written) + int((known.flags["has_lyrics"] & copied).sum())
    n_kept, n_refused = int(plan.keep.sum()), len(refused)
    summary.facts |= {
        "run": run.name,
        "target": run.target,
        "songs": len(songs),
        "embeddings": len(songs) - n_refused,
        "scored now": len(songs) - n_kept - n_refused,
        "scored before": n_kept,
        "with lyrics": n_with_lyrics,
        "rejected": n_refused,
    }
    reasons = Counter(item.reason for item in refused)
    summary.facts |= {f"rejected, {reason}": count for reason, count in sorted(reasons.items())}
    if rows is not None:
        gone = pc.invert(pc.is_in(rows.track_ids, value_set=songs.track_ids))
        summary.facts["dropped, no longer in songs/"] = int(pc.sum(gone).as_py() or 0)
    if nothing_new:
        summary.facts["nothing new"] = "embeddings/ is as it was (--rescore scores all songs anew)"
    return summary


def state_of_now(warehouse: Warehouse, run: TrainedRun, songs: SlicedSongs, *, with_lyrics: bool) -> ScoreState:
    """Return what a scoring sees now, without the songs that it will refuse."""
    lyrics = NO_LYRICS
    if with_lyrics:
        lyrics = str(warehouse.fingerprint("lyrics")["fingerprint"])
    return ScoreState(run.digest, lyrics, {item.file: item.size for item in songs.slices})


def done(state: ScoreState, plan: ScorePlan, written: list[ScoredSlice]) -> ScoreState:
    """Return a state with all songs that were refused, by the plan and by the tasks."""
    refused = [*plan.refused, *(item for part in written for item in part.refused)]
    in_order = sorted(refused, key=lambda item: (item.source, item.member or ""))
    return replace(state, rejected=[asdict(item) for item in in_order])


def write(
    session: SparkSession,
    warehouse: Warehouse,
    run: TrainedRun,
    plan: ScorePlan,
    settings: ScoreSettings,
    state: ScoreState,
) -> list[ScoredSlice]:
    """Write the table as it is planned; return what became of the tasks' slices.

    Raises
    ------
    UserError
        When a task fails, or not every planned song came back.
    """
    with warehouse.replacing(TABLE, run.name) as staging:
        with pq.ParquetWriter(f"{staging}/{PLAN}", PLANNED, filesystem=warehouse.filesystem) as writer:
            for table in plan.planned():
                writer.write_table(table, row_group_size=max(1, table.num_rows))
        for number in plan.copies:
            name = plan.songs.slices[number].name
            warehouse.filesystem.copy_file(warehouse.path(TABLE, run.name, name), f"{staging}/{name}")
        written = run_tasks(session, warehouse, run, plan, settings, staging)
        check_written(plan, written)
        name = staging.removeprefix(warehouse.root + "/")
        warehouse.write_json(revisions(warehouse, run, plan), name, REVISIONS_FILE)
        warehouse.write_json(done(state, plan, written).to_json(), name, STATE_FILE)
        if not plan.copies and not any(part.scored + part.kept for part in written):
            pq.write_table(EMBEDDINGS.empty_table(), f"{staging}/{NO_SONGS}", filesystem=warehouse.filesystem)
    return written


def revisions(warehouse: Warehouse, run: TrainedRun, plan: ScorePlan) -> dict[str, str | None]:
    """Return which revision of the code wrote each file; a file that is copied keeps its own."""
    there = warehouse.exists(TABLE, run.name, REVISIONS_FILE)
    before = warehouse.read_json(TABLE, run.name, REVISIONS_FILE) if there else {}
    names = {number: plan.songs.slices[number].name for number in (*plan.copies, *plan.tasks)}
    new = dict.fromkeys((names[number] for number in plan.tasks), code_revision())
    return dict(sorted(({names[number]: before.get(names[number]) for number in plan.copies} | new).items()))


def run_tasks(
    session: SparkSession,
    warehouse: Warehouse,
    run: TrainedRun,
    plan: ScorePlan,
    settings: ScoreSettings,
    staging: str,
) -> list[ScoredSlice]:
    """Let the workers go through the slices."""
    context = session.sparkContext
    threads = settings.threads or int(context.getConf().get("spark.task.cpus", "1") or 1)
    target = ScoreTarget(warehouse.address(), staging, settings.batch, threads)
    shipped, count = context.broadcast(run), context.accumulator(0)

    def work(task: list[tuple[int, Slice]]) -> list[ScoredSlice]:
        done = [score_slice(number, item, shipped.value, target) for number, item in task]
        count.add(sum(found.scored + found.kept + len(found.refused) for found in done))
        return done

    tasks = share_out(list(enumerate(plan.slices())), context.defaultParallelism)
    if not tasks:
        return []
    total = sum(int(plan.songs.borders[number + 1] - plan.songs.borders[number]) for number in plan.tasks)
    with progress(session, "score: songs", lambda: count.value, total):
        try:
            return context.parallelize(tasks, len(tasks)).flatMap(work).collect()
        except Exception as error:  # whatever Spark wraps a worker's failure in
            raise UserError(f"a task failed: {last_words(error)}; embeddings/{run.name} is as it was") from error
        finally:
            shipped.destroy()


def check_written(plan: ScorePlan, written: list[ScoredSlice]) -> None:
    """Check that every planned song has a row or was refused.

    Raises
    ------
    UserError
        When one is missing.
    """
    inside = [slice(*plan.songs.borders[number : number + 2].tolist()) for number in plan.tasks]
    planned = sum(int((plan.score | plan.keep)[part].sum()) for part in inside)
    found = sum(part.scored + part.kept + len(part.refused) for part in written)
    if found != planned:
        raise UserError(f"{planned} songs planned and {found} scored; did songs/ change meanwhile? Run again")
