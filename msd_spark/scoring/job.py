"""Score every song of ``songs/`` with a trained model, and write ``embeddings/RUN``.

The driver decides from light columns what is done with each song, and writes a plan with one row group per slice.
Each task processes some slices: it reads the segments, calls the model and writes the slice's file. Only counts return
to the driver, and no song passes through Spark. Each Python worker loads the model once.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from msd_spark.catalogue.known_tracks import NO_LYRICS, known_tracks
from msd_spark.core.delta import fingerprint, logical_name
from msd_spark.core.errors import UserError
from msd_spark.core.rejections import write_rejections
from msd_spark.core.schemas import EMBEDDINGS
from msd_spark.core.summary import Summary
from msd_spark.core.warehouse import Warehouse
from msd_spark.scoring.plan import PLANNED, ScorePlan, plan_scores
from msd_spark.scoring.settings import STAGE, STATE_FILE, TABLE, ScoreSettings
from msd_spark.scoring.slices import SONGS_PER_SLICE, Slice, slice_songs
from msd_spark.scoring.state import ScoredRows, ScoreState
from msd_spark.scoring.trained_run import TrainedRun, usable_run
from msd_spark.scoring.work import ScoredSlice, Work, score_slices
from msd_spark.spark.session import progress, share_out, start_spark, worker_errors


def run(settings: ScoreSettings) -> None:
    """Score the songs of the warehouse: ``msd-spark score`` without ``--songs``."""
    warehouse = Warehouse(settings.warehouse)
    warehouse.require("songs")
    trained = usable_run(warehouse, settings)
    score(start_spark("msd-spark score"), settings, trained=trained).finish(warehouse)


def score(
    session: SparkSession,
    settings: ScoreSettings,
    songs_per_slice: int = SONGS_PER_SLICE,
    trained: TrainedRun | None = None,
) -> Summary:
    """Write ``embeddings/RUN``; return the summary.

    Without `trained`, the run of the settings is read.
    """
    summary, warehouse = Summary(STAGE), Warehouse(settings.warehouse)
    trained = trained or usable_run(warehouse, settings)
    with_lyrics = not settings.without_lyrics and trained.lyric_vectors != NO_LYRICS
    with ThreadPoolExecutor() as pool:  # reading from a store is mostly waiting
        reading_lyrics = pool.submit(warehouse.snapshot, "lyrics") if with_lyrics else None
        songs = slice_songs(warehouse, songs_per_slice)
        known = known_tracks(
            warehouse,
            songs.track_ids,
            trained.geometry.lyric_size,
            lyrics=with_lyrics,
            words=with_lyrics and trained.uses_words,
        )
    lyrics = fingerprint(reading_lyrics.result().files) if reading_lyrics else NO_LYRICS
    state = ScoreState(trained.digest, lyrics, {item.file: item.size for item in songs.slices})
    old = None if settings.rescore else ScoreState.read(warehouse, trained.name)
    rows = ScoredRows.read(warehouse, trained.name) if old is not None else None
    plan = plan_scores(songs, known, state, old, rows)
    before_tasks = with_rejections(state, plan, [])
    unchanged = (
        not plan.tasks and rows is not None and len(rows.track_ids) == int(plan.keep.sum()) and old == before_tasks
    )
    if unchanged:
        written: list[ScoredSlice] = []
        write_rejections(warehouse, STAGE, before_tasks.rejections.values())
    else:
        written = write(session, warehouse, trained, plan, settings, state)
    summary.facts |= {"run": trained.name, "target": trained.target} | counts(plan, written, rows)
    if unchanged:
        summary.facts["nothing new"] = "embeddings/ is unchanged (--rescore scores all songs again)"
    return summary


def counts(plan: ScorePlan, written: list[ScoredSlice], rows: ScoredRows | None) -> dict[str, int]:
    """Return the counts of the summary, `rows` being those of the previous table."""
    refused = [*plan.refused, *(item for part in written for item in part.refused)]
    n_songs, n_kept = len(plan.songs), int(plan.keep.sum())
    n_embedded = n_songs - plan.n_without_segments - len(refused)
    copied = np.isin(plan.songs.slice_of_song(), plan.copies) & plan.keep
    n_with_lyrics = sum(part.with_lyrics for part in written) + int((plan.known.flags["has_lyrics"] & copied).sum())
    facts = {
        "songs": n_songs,
        "without segments, not scored": plan.n_without_segments,
        "embeddings": n_embedded,
        "scored now": n_embedded - n_kept,
        "scored before": n_kept,
        "with lyrics": n_with_lyrics,
        "rejected": len(refused),
    }
    facts |= {f"rejected, {reason}": n for reason, n in sorted(Counter(item.reason for item in refused).items())}
    if rows is not None:
        present = pc.is_in(rows.track_ids, value_set=plan.songs.track_ids)
        facts["dropped, no longer in songs/"] = len(present) - int(pc.sum(present).as_py() or 0)
    return facts


def with_rejections(state: ScoreState, plan: ScorePlan, written: list[ScoredSlice]) -> ScoreState:
    """Return a state with all refused songs, those of the plan and those of the tasks."""
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
    """Write the planned rows; return the result of each task's slices.

    Files of unchanged slices stay in the table.
    """
    with warehouse.overwriting(EMBEDDINGS, TABLE, run.name) as writer:
        files = {logical_name(file.name): file for file in writer.base.files} if writer.base else {}
        writer.kept = [files[plan.songs.slices[number].name] for number in plan.copies]
        plan_file = writer.scratch("plan.parquet")
        with pq.ParquetWriter(plan_file, PLANNED, filesystem=warehouse.filesystem) as plan_writer:
            for table in plan.planned():
                plan_writer.write_table(table, row_group_size=max(1, table.num_rows))
        earlier = {name: warehouse.path(TABLE, run.name, file.name) for name, file in files.items()}
        written = run_tasks(session, warehouse, run, plan, settings, Work(writer.destination, plan_file, earlier))
        n_planned, n_done = sum(len(plan.rows(number)) for number in plan.tasks), sum(part.songs for part in written)
        if n_planned != n_done:
            raise UserError(f"{n_planned} songs planned and {n_done} scored; run msd-spark score again")
        writer.add(part.file for part in written if part.file)
        complete = with_rejections(state, plan, written)
        writer.write_json(asdict(complete), STATE_FILE)
        write_rejections(warehouse, STAGE, complete.rejections.values())
    return written


def run_tasks(
    session: SparkSession,
    warehouse: Warehouse,
    run: TrainedRun,
    plan: ScorePlan,
    settings: ScoreSettings,
    paths: Work,
) -> list[ScoredSlice]:
    """Score the slices of the plan in Spark's workers."""
    context = session.sparkContext
    threads = settings.threads or int(context.getConf().get("spark.task.cpus", "1") or 1)
    settings = replace(settings, warehouse=warehouse.address(), threads=threads)
    run_on_worker, count = context.broadcast(run), context.accumulator(0)

    def work(task: list[tuple[int, Slice]]) -> list[ScoredSlice]:
        results = score_slices(task, run_on_worker.value, paths, settings)
        count.add(sum(part.songs for part in results))
        return results

    tasks = share_out(list(enumerate(plan.slices())), context.defaultParallelism)
    if not tasks:
        return []
    total = sum(sum(item.rows) for item in plan.slices())
    with (
        progress(session, "score: songs", lambda: count.value, total),
        worker_errors("scoring", f"embeddings/{run.name} is unchanged"),
    ):
        return context.parallelize(tasks, len(tasks)).flatMap(work).collect()
