"""What an ingest is told, and the names that its parts share."""

from __future__ import annotations

from dataclasses import dataclass

STAGE = "ingest"

SUMMARIES = ("refuse", "rows")
"""What to do with a summary file, which has no arrays: refuse it, or take its songs without segments."""

WORK = "_ingest"
"""Folder of the warehouse with what is under way; empty between ingests but for the lock."""

PARTS, OUTCOMES = f"{WORK}/parts", f"{WORK}/outcomes"


@dataclass(frozen=True)
class IngestSettings:
    """What to ingest, and how the work is cut.

    Attributes
    ----------
    locations : tuple of str
        Folders, song files, tars, aggregates and globs of them, local or remote.
    warehouse : str
        Address of the warehouse.
    manifest : str or None
        A text file with more locations, one a line.
    track_ids : str or None
        A file whose lines begin with a track id (``unique_tracks.txt``): the songs to look for
        under the one location, which then is not listed.
    summaries : str
        One of `SUMMARIES`.
    inputs_per_unit : int
        Loose song files a unit, about.
    songs_per_row_group : int
        Songs that a worker holds in memory at a time.
    row_groups_per_file : int
        After so many a worker begins another file.
    limit : int or None
        Songs at most, for a try.
    replace : bool
        Drop songs that came from locations which are not named now.
    """

    locations: tuple[str, ...]
    warehouse: str
    manifest: str | None = None
    track_ids: str | None = None
    summaries: str = "refuse"
    inputs_per_unit: int = 256
    songs_per_row_group: int = 128
    row_groups_per_file: int = 8
    limit: int | None = None
    replace: bool = False
