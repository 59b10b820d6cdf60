"""Write Last.fm's tags to ``tags/`` and ``tag_counts/``."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as sf

from msd_spark.core.delta import TableWriter
from msd_spark.core.errors import UserError
from msd_spark.core.rejections import none_accepted
from msd_spark.core.schemas import REJECTED, TAG_COUNTS, TAGS
from msd_spark.core.summary import Summary
from msd_spark.core.warehouse import Warehouse
from msd_spark.labels.lastfm_archives import Task, read_tags
from msd_spark.labels.settings import LabelsSettings
from msd_spark.spark.parts import Sums, write_parts
from msd_spark.spark.rejected_rows import examples
from msd_spark.spark.session import progress, worker_errors

REJECTED_TAGS = ("rejected", "stage=tags")
TAGS_PER_PART = 2_000_000
"""Approximate rows per file of ``tags/``."""


def make_tags(session: SparkSession, settings: LabelsSettings, tasks: list[Task], summary: Summary) -> None:
    """Read tags by tasks of `plan_tasks`, write the tables and add the counts to the summary."""
    locations = ", ".join(settings.tags)
    with worker_errors(f"reading {locations}"):
        # Persisted on disk: a second pass would otherwise read up to a million files again.
        readings = read_tags(session, tasks).persist(StorageLevel.DISK_ONLY)
        try:
            with progress(session, "tags: reading"):
                facts, skipped = count(readings), count_skipped(readings)
            if not facts["entries"]:
                others = "".join(f"; {n:,} skipped as {reason}, such as {place}" for reason, n, place in skipped[:1])
                raise UserError(
                    f"no Last.fm entry in {locations}{others}; --tags takes the files of the Last.fm dataset"
                )
            if not facts["tracks"]:
                raise none_accepted("Last.fm entry", *examples(readings.where("reason is not null")))
            counts, n_tagged = write_tables(session, readings, Warehouse(settings.warehouse), facts)
        finally:
            readings.unpersist()
    written = int(counts["tracks"].sum())
    merged = facts["given"] - facts["empty"] - facts["rejected tags"] - written
    if merged < 0 or facts["read"] != facts["entries"] - facts["rejected entries"]:
        raise UserError(f"the tags do not add up: {facts}, {written} written")
    summary.facts |= {
        "entries of tags": facts["entries"],
        "entries rejected": facts["rejected entries"],
        **{f"files skipped, {reason}": n for reason, n, _ in skipped},
        "repeated entries of a track": facts["read"] - facts["tracks"],
        "tracks with tags": n_tagged,
        "tracks without tags": facts["tracks"] - n_tagged,
        "tags given": facts["given"],
        "empty tags": facts["empty"],
        "tags rejected": facts["rejected tags"],
        "tags merged with an equal one": merged,
        "rows of tags/": written,
        "distinct tags": len(counts),
    }
    summary.details["skipped"] = {reason: place for reason, _, place in skipped}
    top = counts.head(settings.top_tags)
    if len(top):
        summary.facts[f"tracks with the tag of rank {len(top)}"] = int(top["tracks"].iloc[-1])
    summary.details["top_tags"] = top[["tag", "tracks"]].to_dict("records")


def count(readings: DataFrame) -> dict[str, int]:
    """Return the numbers of entries, tags and rejections, and of tracks."""
    rejected = sf.col("reason").isNotNull()
    sums = {
        "entries": sf.sum("entries"),
        "rejected entries": sf.sum(sf.when(rejected, sf.col("entries"))),
        "rejected": sf.sum(rejected.cast("long")),
        "given": sf.sum("given"),
        "rejected tags": sf.sum(sf.when(rejected, sf.col("given"))),
        "empty": sf.sum("empty"),
    }
    row = readings.agg(*(sf.coalesce(total, sf.lit(0)).alias(name) for name, total in sums.items())).collect()[0]
    accepted = readings.where(~rejected & (sf.col("entries") == 1)).select("track_id")
    tracks = accepted.agg(sf.count("track_id").alias("read"), sf.countDistinct("track_id").alias("tracks")).collect()[0]
    return {name: int(value) for name, value in (row.asDict() | tracks.asDict()).items()}


def count_skipped(readings: DataFrame) -> list[tuple[str, int, str]]:
    """Return reason, number and one example of skipped files, the most frequent reason first."""
    place = sf.min(sf.concat_ws(" ", "source", "member")).alias("place")
    rows = readings.where("skipped is not null").groupBy("skipped").agg(sf.count("*").alias("n"), place)
    return [tuple(row) for row in rows.orderBy(sf.desc("n"), "skipped").collect()]


def write_tables(
    session: SparkSession, readings: DataFrame, warehouse: Warehouse, facts: dict[str, int]
) -> tuple[pd.DataFrame, int]:
    """Write the tables; return the ranked tags and the number of tracks with tags."""
    with (
        warehouse.overwriting(TAGS, "tags") as tags,
        warehouse.overwriting(TAG_COUNTS, "tag_counts") as tag_counts,
        warehouse.overwriting(REJECTED, *REJECTED_TAGS) as rejected,
    ):
        with progress(session, "tags: writing"):
            counts, n_tagged = write_tags(readings, tags, facts["given"])
        tag_counts.write(pa.Table.from_pandas(counts[TAG_COUNTS.names], TAG_COUNTS, preserve_index=False))
        write_rejected(readings, rejected, facts["rejected"])
    return counts, n_tagged


def write_tags(readings: DataFrame, writer: TableWriter, n_given: int) -> tuple[pd.DataFrame, int]:
    """Write ``tags/``; return the ranked tags and the number of tracks with tags."""
    n_parts = max(1, -(-n_given // TAGS_PER_PART))
    merged = readings.where("tag is not null").groupBy("track_id", "tag").agg(sf.max("score").alias("score"))
    of_track = sf.row_number().over(Window.partitionBy("track_id").orderBy("tag"))
    rows = merged.repartition(n_parts, "track_id").select(
        *TAGS.names, sf.lit(1).cast("long").alias("tracks"), (of_track == 1).cast("long").alias("first")
    )
    sums = Sums("tag", ("tracks", "first"))
    counts = write_parts(rows.sortWithinPartitions("track_id", "tag"), writer, TAGS, sums)
    ranked = counts.sort_values(["tracks", "tag"], ascending=[False, True], ignore_index=True)
    return ranked.assign(rank=np.arange(1, len(ranked) + 1, dtype=np.int32)), int(counts["first"].sum())


def write_rejected(readings: DataFrame, writer: TableWriter, n_rejected: int) -> None:
    """Write the rejections."""
    columns = ("source", "member", "reason", "detail", "cast(null as string) as unit", "1L as rows")
    rows = readings.where("reason is not null").selectExpr(*columns)
    written = int(write_parts(rows, writer, REJECTED, Sums("reason", ("rows",)))["rows"].sum())
    if written != n_rejected:
        raise UserError(f"{n_rejected:,} rows rejected and {written:,} of them written")
