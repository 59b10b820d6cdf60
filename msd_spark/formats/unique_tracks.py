"""Map songs to tracks: the pairs of the catalogue, without those known to be mismatched.

The Taste Profile names songs, everything else tracks. A song can have several tracks, and about 19,000
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
    """Return the pair in a line of ``sid_mismatches.txt``, None if there is none."""
    match = _MISMATCH.fullmatch(line)
    return (match[1], match[2]) if match else None


def parse_unique_track(line: str) -> Pair | None:
    """Return the pair in a line of ``unique_tracks.txt``, None without valid ids."""
    track_id, _, rest = line.partition(FIELD_SEPARATOR)
    song_id = rest.partition(FIELD_SEPARATOR)[0].strip()
    return (song_id, track_id) if TRACK_ID.fullmatch(track_id) and SONG_ID.fullmatch(song_id) else None


def choose_tracks(pairs: pd.DataFrame, mismatches: pd.DataFrame) -> pd.DataFrame:
    """Choose one track for the listens of each song; pairs may be repeated.

    It is the song's first track that is not mismatched with it; if all are, the first one, marked as mismatched. The
    result has one row per song, sorted: ``song_id``, ``track_id``, ``mismatched`` (bool), ``tracks`` (number of them).
    """
    columns = ["song_id", "track_id"]
    wrong = mismatches[columns].drop_duplicates().assign(mismatched=True)
    known = pairs[columns].drop_duplicates().merge(wrong, "left", on=columns)
    known["mismatched"] = known["mismatched"].eq(True)
    known["tracks"] = known.groupby("song_id")["track_id"].transform("size")
    return known.sort_values(["song_id", "mismatched", "track_id"]).drop_duplicates("song_id").reset_index(drop=True)
