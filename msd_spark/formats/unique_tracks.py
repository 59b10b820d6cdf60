"""From songs to tracks: the catalogue's pairs, and those that are known to be wrong. Pure functions.

The Taste Profile names songs, everything else tracks. A song can have several tracks, and some hundred
tracks of the dataset were matched to the wrong song.

References
----------
.. [1] https://labrosa.ee.columbia.edu/millionsong/blog/12-2-12-fixing-matching-errors, ``sid_mismatches.txt``:
   ``ERROR: <song track> artist  -  title  !=  artist  -  title``.
.. [2] http://millionsongdataset.com/pages/getting-dataset, ``unique_tracks.txt``:
   ``track<SEP>song<SEP>artist<SEP>title``.
"""

from __future__ import annotations

import re

import pandas as pd

from msd_spark.core.track_ids import TRACK_ID

SONG_ID = re.compile(r"SO[A-Z0-9]{16}")
FIELD_SEPARATOR = "<SEP>"
_MISMATCH = re.compile(rf"ERROR: <({SONG_ID.pattern}) ({TRACK_ID.pattern})>.*", re.DOTALL)

Pair = tuple[str, str]
"""A song id and a track id."""


def parse_mismatch(line: str) -> Pair | None:
    """Return the song and the track that a line of ``sid_mismatches.txt`` names; None where it names none."""
    found = _MISMATCH.fullmatch(line)
    return (found[1], found[2]) if found else None


def parse_unique_track(line: str) -> Pair | None:
    """Return the song and the track of a line of ``unique_tracks.txt``; None where it has no such ids."""
    track_id, _, rest = line.partition(FIELD_SEPARATOR)
    song_id = rest.partition(FIELD_SEPARATOR)[0].strip()
    return (song_id, track_id) if TRACK_ID.fullmatch(track_id) and SONG_ID.fullmatch(song_id) else None


def choose_tracks(pairs: pd.DataFrame, mismatches: pd.DataFrame) -> pd.DataFrame:
    """Return the one track that each song's listens count for.

    That is the first of the song's track ids that is not among the mismatches with this song; where all are, the
    first of them, marked as a mismatch.

    Parameters
    ----------
    pairs, mismatches : pandas.DataFrame
        Columns ``song_id`` and ``track_id``; a pair may be there several times.

    Returns
    -------
    pandas.DataFrame
        A row a song, sorted: ``song_id``, ``track_id``, ``mismatched`` (bool) and ``tracks``, how many it has.
    """
    columns = ["song_id", "track_id"]
    wrong = mismatches[columns].drop_duplicates().assign(mismatched=True)
    known = pairs[columns].drop_duplicates().merge(wrong, "left", on=columns)
    known["mismatched"] = known["mismatched"].eq(True)
    known["tracks"] = known.groupby("song_id")["track_id"].transform("size")
    return known.sort_values(["song_id", "mismatched", "track_id"]).drop_duplicates("song_id").reset_index(drop=True)
