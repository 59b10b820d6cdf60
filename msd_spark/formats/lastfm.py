"""Parse Last.fm entries and normalise tags.

References
----------
.. [1] http://millionsongdataset.com/lastfm: one JSON file per track,
   ``{"track_id": …, "tags": [["rock", "100"], …], …}``, and ``lastfm_tags.db`` with the same tags.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from msd_spark.core.errors import InputError
from msd_spark.core.track_ids import TRACK_ID

ENTRY_NAME = re.compile(r".*\.json(\.(gz|bz2|xz))?", re.IGNORECASE | re.DOTALL)
"""Name of the file of an entry."""

HIGHEST_SCORE = 100.0


class EntryError(InputError):
    """An invalid entry or row.

    Reasons: ``not_json``, ``wrong_type``, ``bad_track_id``, ``track_id_mismatch``, ``bad_score``.
    """


@dataclass(frozen=True)
class Entry:
    """The tags of a track.

    Attributes
    ----------
    tags : dict of str to float
        Scores by normalised tag; the highest if several tags have the same form.
    given, empty : int
        Number of tags in the file, and of those that are empty after normalisation.
    """

    track_id: str
    tags: dict[str, float]
    given: int
    empty: int


def parse_entry(content: bytes, name: str) -> Entry:
    """Parse the JSON file of a track; a track id in its name must equal that of the entry."""
    try:
        entry = json.loads(content)
    except RecursionError:
        raise EntryError("not_json", "nested too deeply") from None
    except ValueError as error:
        raise EntryError("not_json", " ".join(str(error).split())[:200]) from None
    if not isinstance(entry, dict):
        raise EntryError("wrong_type", f"a {type(entry).__name__}, not an object")
    track_id, tags = entry.get("track_id"), entry.get("tags")
    if not isinstance(track_id, str) or not TRACK_ID.fullmatch(track_id):
        raise EntryError("bad_track_id", repr(track_id)[:80])
    expected = PurePosixPath(name).name.partition(".")[0]
    if TRACK_ID.fullmatch(expected) and expected != track_id:
        raise EntryError("track_id_mismatch", f"{track_id} in a file named {expected}")
    if not isinstance(tags, list):
        raise EntryError("wrong_type", f"tags are a {type(tags).__name__}, not a list")
    merged, empty = merge_tags(_pair(item) for item in tags)
    return Entry(track_id, merged, len(tags), empty)


def _pair(item: Any) -> tuple[str, float]:
    if not isinstance(item, list) or len(item) != 2 or not isinstance(item[0], str):
        raise EntryError("wrong_type", f"a tag is a pair of name and score, not {repr(item)[:80]}")
    return item[0], parse_score(item[1])


def parse_score(value: Any) -> float:
    """Return a score from 0 to 100: text in the files, a number in the database."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        number = float(value) if abs(value) <= HIGHEST_SCORE else math.inf
    elif isinstance(value, str) and value.isascii():
        try:
            number = float(value)
        except ValueError:
            number = math.nan
    else:
        number = math.nan
    if not 0 <= number <= HIGHEST_SCORE:
        raise EntryError("bad_score", repr(value)[:80])
    return number


def normalise_tag(tag: str) -> str:
    """Fold compatibility characters (NFKC) and case in a tag, and collapse white space.

    Unpaired surrogates, which JSON can contain but UTF-8 cannot, become U+FFFD.

    Examples
    --------
    >>> normalise_tag("  Hip-Hop   ＲＡＰ ")
    'hip-hop rap'
    """
    if tag.isascii():
        return " ".join(tag.lower().split())
    text = tag.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    while True:
        folded = " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).split())
        if folded == text:
            return text
        text = folded


def merge_tags(tags: Iterable[tuple[str, float]]) -> tuple[dict[str, float], int]:
    """Return the highest score of each normalised tag, and the number of empty tags."""
    merged: dict[str, float] = {}
    empty = 0
    for name, score in tags:
        tag = normalise_tag(name)
        if not tag:
            empty += 1
        elif score > merged.get(tag, -1.0):
            merged[tag] = score
    return merged, empty
