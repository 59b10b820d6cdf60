"""Read Taste Profile triplets into ``plays/`` and ``popularity/``.

The file is read twice, in byte ranges in parallel. The first pass counts the lines of each range, which determines the
line numbers, and the triplets of each song. The second pass writes the triplets of songs that have a track, grouped by
user. The numbers written must equal those counted.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import accumulate

import pandas as pd
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as sf

from msd_spark.core.data_folder import DataFolder
from msd_spark.core.delta import TableWriter
from msd_spark.core.errors import UserError
from msd_spark.core.filesystems import is_local
from msd_spark.core.rejections import Rejection, none_accepted
from msd_spark.core.schemas import PLAYS, POPULARITY, REJECTED
from msd_spark.core.summary import Summary
from msd_spark.core.warehouse import Warehouse
from msd_spark.formats.unique_tracks import Pair, choose_tracks, parse_mismatch, parse_unique_track
from msd_spark.io.byte_ranges import ByteRange, cut_into_ranges
from msd_spark.io.lines import read_lines
from msd_spark.plays.popularity import rank_tracks
from msd_spark.plays.ranges import count_triplets, read_rejected, read_triplets
from msd_spark.plays.settings import PlaysSettings
from msd_spark.spark.parts import Sums, write_parts
from msd_spark.spark.rejected_rows import examples
from msd_spark.spark.session import progress, start_spark, worker_errors

VERB = "plays"
PAIR = ["song_id", "track_id"]
LISTED = 20
"""Number of songs without a track that the summary lists, those with the most triplets first."""

TRIPLETS_PER_PART = 2_000_000
"""Approximate triplets per file of ``plays/``; the same on every machine, so that the files are too."""

TRACK_SUMS = Sums("track_id", ("plays", "listeners", "triplets", "users"))


@dataclass(frozen=True)
class Inputs:
    """Tracks of songs (see `choose_tracks`), ranges of triplets, rejected side-file lines."""

    tracks: pd.DataFrame
    ranges: list[ByteRange]
    n_mismatches: int
    rejected: list[Rejection]


def run(settings: PlaysSettings) -> None:
    """Run ``msd-spark plays``."""
    if settings.triplets is None:
        data = DataFolder.find(settings.data)
        if data.triplets is None:
            raise data.missing("play counts", "listens", "--triplets")
        # Absolute, because executors run in other folders.
        triplets, mismatches = (
            os.path.abspath(path) if path and is_local(path) else path for path in (data.triplets, data.mismatches)
        )
        settings = dataclasses.replace(settings, triplets=triplets, mismatches=settings.mismatches or mismatches)
    inputs = read_inputs(settings)
    session = start_spark("msd-spark plays")
    make_plays(session, settings, inputs).finish(Warehouse(settings.warehouse))


def read_inputs(settings: PlaysSettings) -> Inputs:
    """Read the side files and split the triplets into ranges; check that the files exist."""
    rejected: list[Rejection] = []
    ranges = cut_into_ranges(settings.triplets or "", settings.range_bytes)
    if not ranges:
        raise UserError(f"{settings.triplets} is empty; fetch it again by msd-spark fetch listens")
    mismatches = read_pairs(settings.mismatches, parse_mismatch, rejected).drop_duplicates()
    if settings.tracks is not None:
        pairs = read_pairs(settings.tracks, parse_unique_track, rejected)
    else:
        warehouse = Warehouse(settings.warehouse)
        warehouse.require("songs")
        pairs = warehouse.read_table(PAIR, "songs").to_pandas()
    return Inputs(choose_tracks(pairs.dropna(), mismatches), ranges, len(mismatches), rejected)


def make_plays(session: SparkSession, settings: PlaysSettings, inputs: Inputs) -> Summary:
    """Write ``plays/`` and ``popularity/``; return the summary."""
    summary = Summary(VERB)
    warehouse = Warehouse(settings.warehouse)
    with worker_errors(f"reading {settings.triplets}"):
        with progress(session, "plays: counting"):
            lines, songs = count(session, inputs)
        has_track = songs["track_id"].notna()
        left_out = songs["mismatched"] & (not settings.keep_mismatches)
        accepted, mismatched, unknown = songs[has_track & ~left_out], songs[has_track & left_out], songs[~has_track]
        facts = {
            "lines": int(lines["lines"].sum()),
            "triplets of tracks": int(accepted["triplets"].sum()),
            "rejected": int(lines["rejected"].sum()),
            "triplets of songs without a track": int(unknown["triplets"].sum()),
            "triplets of mismatched songs": int(mismatched["triplets"].sum()),
        }
        check_lines(facts)
        if not facts["lines"]:
            raise UserError(f"{settings.triplets} is empty; fetch it again by msd-spark fetch listens")
        if facts["lines"] == facts["rejected"]:
            raise none_accepted("triplet", *examples(read_rejected(session, with_rejected(inputs, lines))))
        if accepted.empty:
            raise UserError(f"no triplet of {settings.triplets} has a track: {_listed(facts)}; check --tracks")
        tracks = write_tables(session, inputs, lines, accepted, warehouse)
    pairs = int(tracks["listeners"].sum())
    summary.facts |= facts | {
        "pairs of user and track": pairs,
        "triplets merged with another": facts["triplets of tracks"] - pairs,
        "users": int(tracks["users"].sum()),
        "tracks": len(tracks),
        "songs": len(songs),
        "songs without a track": len(unknown),
        "songs with several tracks": int((songs["tracks"] > 1).sum()),
        "mismatched songs left out": len(mismatched),
        "mismatches listed": inputs.n_mismatches,
    }
    if inputs.rejected:
        summary.facts["lines of side files rejected"] = len(inputs.rejected)
    most = unknown.sort_values(["triplets", "song_id"], ascending=[False, True]).head(LISTED)
    summary.details |= {
        "keep_mismatches": settings.keep_mismatches,
        "songs_without_a_track": most[["song_id", "triplets", "plays"]].to_dict("records"),
    }
    return summary


def read_pairs(location: str | None, parse: Callable[[str], Pair | None], rejected: list[Rejection]) -> pd.DataFrame:
    """Return the pairs of song and track that a side file names; add other lines to `rejected`."""
    pairs = []
    for number, text, *_ in read_lines(location) if location else ():
        if text.strip():
            pair = parse(text)
            if pair:
                pairs.append(pair)
            else:
                rejected.append(Rejection(str(location), "no_song_and_track", repr(text[:80])[1:-1], f"line {number}"))
    if location and not pairs:
        raise UserError(f"no line of {location} names a song and a track; is it the right file?")
    return pd.DataFrame(pairs, columns=PAIR, dtype=object)


def count(session: SparkSession, inputs: Inputs) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Count the lines per range and the triplets per song, in the first pass.

    The first frame has ``lines`` and ``rejected`` per range, in order. The second has ``song_id``, ``triplets`` and
    ``plays`` per song, and its track as in `Inputs.tracks`.
    """
    per_range = count_triplets(session, inputs.ranges).groupBy("number", "song_id")
    columns = ("lines", "rejected", "triplets", "plays")
    counts = per_range.agg(*(sf.coalesce(sf.sum(name), sf.lit(0)).alias(name) for name in columns)).toPandas()
    lines = counts[counts["number"].notna()].sort_values("number", ignore_index=True)
    songs = counts[counts["song_id"].notna()][["song_id", "triplets", "plays"]].merge(
        inputs.tracks, "left", on="song_id"
    )
    return lines[["lines", "rejected"]], songs.assign(mismatched=songs["mismatched"].eq(True))


def write_tables(
    session: SparkSession, inputs: Inputs, lines: pd.DataFrame, accepted: pd.DataFrame, warehouse: Warehouse
) -> pd.DataFrame:
    """Write all tables; return one row per track, with `TRACK_SUMS`."""
    with (
        warehouse.overwriting(PLAYS, "plays") as plays,
        warehouse.overwriting(POPULARITY, "popularity") as popularity,
        warehouse.overwriting(REJECTED, "rejected", f"stage={VERB}") as rejected,
    ):
        with progress(session, "plays: writing"):
            tracks = write_plays(session, inputs.ranges, accepted, plays)
        check_written(accepted, tracks)
        popularity.write(pa.Table.from_pandas(rank_tracks(tracks)[POPULARITY.names], POPULARITY, preserve_index=False))
        with progress(session, "plays: rejected lines"):
            write_rejected(session, inputs, lines, rejected)
    return tracks


def write_plays(
    session: SparkSession, ranges: list[ByteRange], accepted: pd.DataFrame, writer: TableWriter
) -> pd.DataFrame:
    """Read the triplets again and write ``plays/``; return one row per track (`TRACK_SUMS`).

    All triplets of a user are in one part. A track's triplets are only summed, part by part, so that memory does not
    limit their number.
    """
    tracks = session.createDataFrame(accepted[PAIR])
    n_parts = -(-int(accepted["triplets"].sum()) // TRIPLETS_PER_PART)
    by_user = read_triplets(session, ranges).join(sf.broadcast(tracks), "song_id").repartition(n_parts, "user_id")
    pairs: DataFrame = by_user.groupBy("user_id", "track_id").agg(
        sf.sum("plays").alias("plays"), sf.count("plays").alias("triplets")
    )
    of_user = sf.row_number().over(Window.partitionBy("user_id").orderBy("track_id"))
    counted = pairs.withColumn("users", (of_user == 1).cast("long")).withColumn("listeners", sf.lit(1).cast("long"))
    ordered = counted.sortWithinPartitions("user_id", "track_id")
    return write_parts(ordered, writer, PLAYS, TRACK_SUMS)


def write_rejected(session: SparkSession, inputs: Inputs, lines: pd.DataFrame, writer: TableWriter) -> None:
    """Write the rejected lines, those of the triplets with their numbers in the file."""
    if ranges := with_rejected(inputs, lines):
        frame = read_rejected(session, ranges)
        written = write_parts(frame, writer, REJECTED, Sums("reason", ("lines",)))
        if int(written["lines"].sum()) != int(lines["rejected"].sum()):
            raise UserError("the file changed while it was read; run the job again")
    if inputs.rejected or not ranges:
        writer.write(pa.Table.from_pylist([dataclasses.asdict(line) for line in inputs.rejected], REJECTED))


def with_rejected(inputs: Inputs, lines: pd.DataFrame) -> dict[ByteRange, int]:
    """Return the ranges with rejected lines, and the number of lines before each."""
    lines_before = [0, *accumulate(lines["lines"].tolist())]
    return {part: lines_before[part.number] for part in inputs.ranges if lines["rejected"][part.number]}


def check_lines(facts: Mapping[str, int]) -> None:
    """Check that the kinds of lines add up to all lines."""
    lines, *parts = facts.values()
    if lines != sum(parts):
        raise UserError(f"the lines do not add up: {_listed(facts)}; nothing was changed")


def check_written(accepted: pd.DataFrame, tracks: pd.DataFrame) -> None:
    """Check that ``plays/`` has every triplet and every play that was counted."""
    counted = accepted.groupby("track_id")[["triplets", "plays"]].sum()
    written = tracks.set_index("track_id")[["triplets", "plays"]].sort_index()
    if not counted.sort_index().equals(written):
        raise UserError(
            f"{counted['triplets'].sum():,} triplets counted and {written['triplets'].sum():,} written; "
            "did the file change while it was read? Nothing was changed, run the job again"
        )


def _listed(facts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in facts.items())
