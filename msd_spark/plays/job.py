"""Listens of the Taste Profile into ``plays/`` and ``popularity/``.

The file is read twice, in ranges of bytes at the same time. The first reading counts: the lines of each range, which
gives every line its number, and the triplets of each song, which is all that is needed to say what becomes of them.
The second one takes the triplets of the songs that have a track, brings each user's together and writes them.
What was written has to agree with what was counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as sf

from msd_spark.core.errors import UserError
from msd_spark.core.rejections import Rejection
from msd_spark.core.schemas import PLAYS, POPULARITY, REJECTED
from msd_spark.core.summary import Summary
from msd_spark.core.warehouse import Warehouse
from msd_spark.formats.unique_tracks import choose_tracks, parse_mismatch, parse_unique_track
from msd_spark.io.byte_ranges import RANGE_BYTES, ByteRange, cut_into_ranges
from msd_spark.io.lines import read_lines
from msd_spark.plays.popularity import rank_tracks
from msd_spark.plays.ranges import count_triplets, read_rejected, read_triplets
from msd_spark.spark.parts import Sums, write_parts
from msd_spark.spark.session import last_words, progress

STAGE = "plays"
PAIR = ["song_id", "track_id"]
LISTED = 20
"""Songs without a track that the summary lists, those with the most triplets."""

TRIPLETS_PER_PART = 2_000_000
"""Triplets a file of ``plays/``, about."""

TRIPLETS_OF_A_TRACK = Sums("track_id", ("plays", "listeners", "triplets", "users"))


@dataclass(frozen=True)
class PlaysSettings:
    """What to read.

    Attributes
    ----------
    warehouse : str
    triplets : str
        The Taste Profile's file: text, or a .zip or .gz of it.
    mismatches : str or None
        ``sid_mismatches.txt``.
    tracks : str or None
        ``unique_tracks.txt``, which says what tracks a song has; the table ``songs/`` says it where this is None.
    keep_mismatches : bool
        Keep the listens of songs all of whose tracks are mismatches.
    range_bytes : int
        Bytes that a task reads.
    """

    warehouse: str
    triplets: str
    mismatches: str | None = None
    tracks: str | None = None
    keep_mismatches: bool = False
    range_bytes: int = RANGE_BYTES


@dataclass(frozen=True)
class Counted:
    """What the first reading found.

    Attributes
    ----------
    ranges : pandas.DataFrame
        A row a range, by its number: ``lines`` and ``rejected``.
    songs : pandas.DataFrame
        A row a song of the file: ``song_id``, ``triplets``, ``plays``.
    """

    ranges: pd.DataFrame
    songs: pd.DataFrame


def make_plays(session: SparkSession, settings: PlaysSettings) -> Summary:
    """Read triplets and write ``plays/`` and ``popularity/``; return the summary.

    Raises
    ------
    UserError
        When a file or table is missing, no triplet is left, or the counts do not add up.
    """
    summary = Summary(STAGE)
    warehouse = Warehouse(settings.warehouse)
    refused: list[Rejection] = []
    mismatches = read_pairs(settings.mismatches, parse_mismatch, refused)
    chosen = choose_tracks(catalogue_pairs(warehouse, settings.tracks, refused), mismatches)
    ranges = cut_into_ranges(settings.triplets, settings.range_bytes)
    try:
        with progress(session, "plays: counting"):
            counted = count(session, ranges)
        songs = counted.songs.merge(chosen, "left", on="song_id")
        songs["mismatched"] = songs["mismatched"].eq(True)
        has_track = songs["track_id"].notna()
        left_out = songs["mismatched"] & (not settings.keep_mismatches)
        kept, wrong, unknown = songs[has_track & ~left_out], songs[has_track & left_out], songs[~has_track]
        facts = {
            "lines": int(counted.ranges["lines"].sum()),
            "triplets of tracks": int(kept["triplets"].sum()),
            "rejected": int(counted.ranges["rejected"].sum()),
            "of songs without a track": int(unknown["triplets"].sum()),
            "of mismatched songs": int(wrong["triplets"].sum()),
        }
        check_lines(facts)
        if kept.empty:
            raise UserError(f"no triplet of {settings.triplets} is of a track: {_spell(facts)}; see --tracks")
        with warehouse.replacing("plays") as staging, warehouse.replacing("popularity") as beside:
            with progress(session, "plays: writing"):
                tracks = write_plays(session, ranges, kept, warehouse, staging)
            check_written(kept, tracks)
            popularity = pa.Table.from_pandas(rank_tracks(tracks)[POPULARITY.names], POPULARITY, preserve_index=False)
            pq.write_table(popularity, f"{beside}/part-0.parquet", filesystem=warehouse.filesystem, compression="zstd")
            with warehouse.replacing("rejected", f"stage={STAGE}") as third, progress(session, "plays: rejected lines"):
                write_rejected(session, ranges, counted, refused, warehouse, third)
    except UserError:
        raise
    except Exception as error:  # whatever Spark wraps a worker's failure in
        said = last_words(error).rpartition(f"{UserError.__name__}: {STAGE}: ")[2]
        raise UserError(f"reading {settings.triplets} failed: {said}") from error
    pairs = int(tracks["listeners"].sum())
    summary.facts |= facts | {
        "pairs of user and track": pairs,
        "triplets added to another": facts["triplets of tracks"] - pairs,
        "users": int(tracks["users"].sum()),
        "tracks": len(tracks),
        "songs": len(songs),
        "songs without a track": len(unknown),
        "songs of several tracks": int((songs["tracks"] > 1).sum()),
        "mismatched songs left out": len(wrong),
        "mismatches listed": len(mismatches.drop_duplicates()),
    }
    if refused:
        summary.facts["lines of side files rejected"] = len(refused)
    most = unknown.sort_values(["triplets", "song_id"], ascending=[False, True]).head(LISTED)
    summary.details |= {
        "keep_mismatches": settings.keep_mismatches,
        "songs_without_a_track": most[["song_id", "triplets", "plays"]].to_dict("records"),
    }
    return summary


def read_pairs(location: str | None, parse: Any, refused: list[Rejection]) -> pd.DataFrame:
    """Return the pairs of song and track that a side file names; lines without any are added to `refused`."""
    pairs = []
    for number, text, _ in read_lines(location) if location else ():
        if text.strip():
            pair = parse(text)
            if pair:
                pairs.append(pair)
            else:
                refused.append(Rejection(str(location), "no_song_and_track", repr(text[:80])[1:-1], f"line {number}"))
    if location and not pairs:
        raise UserError(f"no line of {location} names a song and a track; is it the right file?")
    return pd.DataFrame(pairs, columns=PAIR, dtype=object)


def catalogue_pairs(warehouse: Warehouse, tracks: str | None, refused: list[Rejection]) -> pd.DataFrame:
    """Return the tracks of songs, from a list of tracks if one is given, from ``songs/`` otherwise."""
    if tracks is not None:
        return read_pairs(tracks, parse_unique_track, refused)
    warehouse.require("songs")
    songs = pq.read_table(warehouse.path("songs"), columns=PAIR, filesystem=warehouse.filesystem)
    return songs.to_pandas().dropna()


def count(session: SparkSession, ranges: list[ByteRange]) -> Counted:
    """Read the file for the first time."""
    if not ranges:
        return Counted(
            pd.DataFrame({"lines": [], "rejected": []}, dtype="int64"),
            pd.DataFrame({"song_id": [], "triplets": [], "plays": []}).astype({"triplets": "int64", "plays": "int64"}),
        )
    tallied = count_triplets(session, ranges)
    totals = tallied.groupBy("number", "song_id").agg(
        *(sf.sum(name).alias(name) for name in ("lines", "rejected", "triplets", "plays"))
    )
    counts = totals.toPandas()
    of_ranges = counts[counts["number"].notna()].astype({"number": "int64"}).set_index("number").sort_index()
    of_songs = counts[counts["song_id"].notna()].sort_values("song_id", ignore_index=True)
    return Counted(of_ranges[["lines", "rejected"]], of_songs[["song_id", "triplets", "plays"]])


def write_plays(
    session: SparkSession, ranges: list[ByteRange], kept: pd.DataFrame, warehouse: Warehouse, staging: str
) -> pd.DataFrame:
    """Read the file for the second time and write ``plays/``; return a row a track, as in `TRIPLETS_OF_A_TRACK`.

    A user's triplets come together in one part; a track's are only ever added up, part by part, so that it makes no
    difference how many of them a track has.
    """
    triplets = read_triplets(session, ranges)
    known = session.createDataFrame(kept[PAIR])
    # So many as the triplets ask for, and no others for a machine with other cores: the files are the same anywhere.
    n_parts = -(-int(kept["triplets"].sum()) // TRIPLETS_PER_PART)
    by_user = triplets.join(sf.broadcast(known), "song_id").repartition(n_parts, "user_id")
    pairs: DataFrame = by_user.groupBy("user_id", "track_id").agg(
        sf.sum("plays").alias("plays"), sf.count("plays").alias("triplets")
    )
    of_user = sf.row_number().over(Window.partitionBy("user_id").orderBy("track_id"))
    counted = pairs.withColumn("users", (of_user == 1).cast("long")).withColumn("listeners", sf.lit(1).cast("long"))
    ordered = counted.sortWithinPartitions("user_id", "track_id")
    return write_parts(ordered, warehouse, staging, PLAYS, TRIPLETS_OF_A_TRACK)


def write_rejected(
    session: SparkSession,
    ranges: list[ByteRange],
    counted: Counted,
    refused: list[Rejection],
    warehouse: Warehouse,
    staging: str,
) -> None:
    """Write the lines that are no triplets, with their numbers in the file, and what was refused of side files."""
    lines, rejected = counted.ranges["lines"].tolist(), counted.ranges["rejected"].tolist()
    before = [0, *accumulate(lines)]
    with_rejected = {part: before[part.number] for part in ranges if rejected[part.number]}
    if with_rejected:
        frame = read_rejected(session, with_rejected)
        written = write_parts(frame, warehouse, staging, REJECTED, Sums("reason", ("lines",)))
        if int(written["lines"].sum()) != sum(rejected):
            raise UserError("the file changed while it was read; run the job again")
    rows = [{"source": one.source, "member": one.member, "reason": one.reason, "detail": one.detail} for one in refused]
    if rows or not with_rejected:
        table = pa.Table.from_pylist(rows, REJECTED)
        pq.write_table(table, f"{staging}/side-files.parquet", filesystem=warehouse.filesystem, compression="zstd")


def check_lines(facts: Mapping[str, int]) -> None:
    """Check that each line is kept, rejected, of a song without a track or mismatched.

    Raises
    ------
    UserError
        When the counts do not add up.
    """
    lines, *parts = facts.values()
    if lines != sum(parts):
        raise UserError(f"the lines do not add up: {_spell(facts)}; nothing was changed")


def check_written(kept: pd.DataFrame, tracks: pd.DataFrame) -> None:
    """Check that ``plays/`` has every triplet and every play that was counted.

    Raises
    ------
    UserError
        When it has not.
    """
    counted = kept.groupby("track_id")[["triplets", "plays"]].sum()
    written = tracks.set_index("track_id")[["triplets", "plays"]].sort_index()
    if not counted.sort_index().equals(written):
        raise UserError(
            f"{counted['triplets'].sum():,} triplets counted and {written['triplets'].sum():,} written; "
            "did the file change while it was read? Nothing was changed, run the job again",
        )


def _spell(facts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in facts.items())
