"""Parse the official list of duplicates: groups of tracks with the same song.

The lists of cover songs (SecondHandSongs) have the same form.

References
----------
.. [1] http://millionsongdataset.com/blog/11-3-15-921810-song-dataset-duplicates, ``msd_duplicates.txt``: a line
   ``%NUMBER ARTIST - TITLE`` begins a group, and the track ids follow, one per line. Lines that start with ``#`` are
   comments.
"""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from msd_spark.core.track_ids import TRACK_ID
from msd_spark.formats.unique_tracks import FIELD_SEPARATOR

COMMENT, GROUP = "#", "%"


def parse_duplicates(lines: Iterable[str]) -> tuple[pd.DataFrame, list[tuple[int, str, str]]]:
    """Return the tracks of each group, and line number, reason and text of invalid lines.

    The frame has ``track_id`` and ``group`` (number of the group, from 1), one row per line with a track id. The reason
    is ``bad_track_id``, or ``no_group`` for a track before the first group.
    """
    tracks: list[tuple[str, int]] = []
    refused: list[tuple[int, str, str]] = []
    group = 0
    for number, line in enumerate(lines, 1):
        if line.startswith(GROUP):
            group += 1
        elif line.strip() and not line.startswith(COMMENT):
            track_id = line.partition(FIELD_SEPARATOR)[0].strip()
            if not TRACK_ID.fullmatch(track_id):
                refused.append((number, "bad_track_id", line[:100]))
            elif not group:
                refused.append((number, "no_group", track_id))
            else:
                tracks.append((track_id, group))
    return pd.DataFrame(tracks, columns=["track_id", "group"]), refused
