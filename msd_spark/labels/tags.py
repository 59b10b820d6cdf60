"""Last.fm's tags into ``tags/`` and ``tag_counts/``: a track's tags, and how many tracks have each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as sf

from msd_spark.core.errors import UserError
from msd_spark.core.schemas import REJECTED, TAG_COUNTS, TAGS
from msd_spark.core.summary import Summary
from msd_spark.core.warehouse import Warehouse
from msd_spark.labels.lastfm_archives import read_tags
from msd_spark.labels.lastfm_rows import STAGE
from msd_spark.spark.parts import Sums, write_parts
from msd_spark.spark.session import last_words, progress

TAGS_PER_PART = 2_000_000
"""Rows a file of ``tags/``, about."""


@dataclass(frozen=True)
class TagsSettings:
    """What to read.

    Attributes
    ----------
    warehouse : str
    locations : tuple of str
        Folders of JSON files, zips of them and ``lastfm_tags.db``; what they say of a track comes together.
    top_tags : int
        How many tags the summary lists.
    """

    warehouse: str
    locations: tuple[str, ...]
    top_tags: int = 50


def make_tags(session: SparkSession, settings: TagsSettings, summary: Summary) -> Summary:
    """Read tags and write ``tags/`` and ``tag_counts/``; note what was read in the summary and return it.

    Raises
    ------
    UserError
        When a location cannot be read or holds no entry, or the counts do not add up.
    """
    if settings.top_tags < 1:
        raise UserError(f"the summary lists at least 1 tag, not {settings.top_tags} (--top-tags)")
    warehouse = Warehouse(settings.warehouse)
    try:
        # Read once: a tree has a million files.
        readings = read_tags(session, settings.locations).persist(StorageLevel.DISK_ONLY)
        try:
            with progress(session, "tags: reading"):
                facts = count(readings)
            if not facts["entries"]:
                raise UserError(f"no entry of a track in {', '.join(settings.locations)}")
            with warehouse.replacing("tags") as staging, warehouse.replacing("tag_counts") as beside:
                with progress(session, "tags: writing"):
                    counts, facts["tracks with tags"] = write_tags(readings, warehouse, staging, facts["given"])
                table = pa.Table.from_pandas(counts[TAG_COUNTS.names], TAG_COUNTS, preserve_index=False)
                pq.write_table(table, f"{beside}/part-0.parquet", filesystem=warehouse.filesystem, compression="zstd")
                with warehouse.replacing("rejected", f"stage={STAGE}") as third:
                    write_rejected(readings, warehouse, third, facts["rejected"])
        finally:
            readings.unpersist()
    except UserError:
        raise
    except Exception as error:  # whatever Spark wraps a worker's failure in
        said = last_words(error).rpartition(f"{UserError.__name__}: {STAGE}: ")[2]
        raise UserError(f"reading {', '.join(settings.locations)} failed: {said}") from error
    written = int(counts["tracks"].sum())
    merged = facts["given"] - facts["empty"] - facts["rejected tags"] - written
    if merged < 0 or facts["read"] != facts["entries"] - facts["rejected entries"]:
        raise UserError(f"the tags do not add up: {facts}, {written} written")
    summary.facts |= {
        "entries of tags": facts["entries"],
        "entries rejected": facts["rejected entries"],
        "entries of a track that had one": facts["read"] - facts["tracks"],
        "tracks with tags": facts["tracks with tags"],
        "tracks without tags": facts["tracks"] - facts["tracks with tags"],
        "tags given": facts["given"],
        "empty tags": facts["empty"],
        "tags rejected": facts["rejected tags"],
        "tags merged with an equal one": merged,
        "rows of tags/": written,
        "different tags": len(counts),
    }
    top = counts.head(settings.top_tags)
    if len(top):
        summary.facts[f"tracks with the tag of rank {len(top)}"] = int(top["tracks"].iloc[-1])
    summary.details["top_tags"] = top[["tag", "tracks"]].to_dict("records")
    return summary


def count(readings: DataFrame) -> dict[str, int]:
    """Return the numbers of entries, of tags and of what was refused."""
    refused = sf.col("reason").isNotNull()
    sums = {
        "entries": sf.sum("entries"),
        "rejected entries": sf.sum(sf.when(refused, sf.col("entries"))),
        "rejected": sf.sum(refused.cast("long")),
        "given": sf.sum("given"),
        "rejected tags": sf.sum(sf.when(refused, sf.col("given"))),
        "empty": sf.sum("empty"),
    }
    row = readings.agg(*(sf.coalesce(total, sf.lit(0)).alias(name) for name, total in sums.items())).collect()[0]
    read = readings.where(~refused & (sf.col("entries") == 1)).groupBy("track_id").agg(sf.sum("entries").alias("times"))
    tracks = read.agg(sf.count("times"), sf.coalesce(sf.sum("times"), sf.lit(0))).collect()[0]
    return {name: int(row[name]) for name in sums} | {"tracks": int(tracks[0]), "read": int(tracks[1])}


def write_tags(readings: DataFrame, warehouse: Warehouse, staging: str, n_given: int) -> tuple[pd.DataFrame, int]:
    """Write ``tags/``; return the ranked tags and the number of tracks that have any."""
    n_parts = max(1, -(-n_given // TAGS_PER_PART))
    merged = readings.where("tag is not null").groupBy("track_id", "tag").agg(sf.max("score").alias("score"))
    of_track = sf.row_number().over(Window.partitionBy("track_id").orderBy("tag"))
    rows = merged.repartition(n_parts, "track_id").select(
        *TAGS.names, sf.lit(1).cast("long").alias("tracks"), (of_track == 1).cast("long").alias("first")
    )
    sums = Sums("tag", ("tracks", "first"))
    counts = write_parts(rows.sortWithinPartitions("track_id", "tag"), warehouse, staging, TAGS, sums)
    return rank_tags(counts), int(counts["first"].sum())


def rank_tags(counts: pd.DataFrame) -> pd.DataFrame:
    """Return tags with their rank: by the tracks that have them, the most first, and then by their letters.

    Parameters
    ----------
    counts : pandas.DataFrame
        A row a tag: ``tag``, ``tracks``.
    """
    ranked = counts.sort_values(["tracks", "tag"], ascending=[False, True], ignore_index=True)
    return ranked.assign(rank=np.arange(1, len(ranked) + 1, dtype=np.int32))


def write_rejected(readings: DataFrame, warehouse: Warehouse, staging: str, n_rejected: int) -> None:
    """Write what was refused."""
    columns = {name: sf.col(name) for name in ("source", "member", "reason", "detail")}
    rows = readings.where("reason is not null").select(
        *columns.values(), sf.lit(None).cast("string").alias("unit"), sf.lit(1).cast("long").alias("rows")
    )
    written = write_parts(rows, warehouse, staging, REJECTED, Sums("reason", ("rows",)))
    if int(written["rows"].sum()) != n_rejected:
        raise UserError(f"{n_rejected:,} rows rejected and {int(written['rows'].sum()):,} of them written")
