"""Lists of ids that assign tracks to splits: by track id, song id or artist id."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import pandas as pd

ID = re.compile("(TR|SO|AR)[A-Za-z0-9]{16}")
"""Form of a track id, a song id and an artist id."""

ID_COLUMNS = ("track_id", "song_id", "artist_id")
"""Columns of ``songs/`` by which a list can select tracks."""


def read_split_list(lines: Iterable[str]) -> tuple[list[str], list[tuple[int, str, str]]]:
    """Return the ids of a list, and line number, reason and text of invalid lines.

    A line holds one track id, song id or artist id, with or without quotes. Text after a tab, a comma, a semicolon or
    ``<SEP>``, empty lines and lines that start with ``#`` are ignored. The reason is ``bad_id`` (also for a header) or
    ``repeated_id``.

    Examples
    --------
    >>> read_split_list(["# test artists", "AR00A1N1187FB484EB", "TRAAAAW128F429D538<SEP>AR00A1N1187FB484EB", "id"])
    (['AR00A1N1187FB484EB', 'TRAAAAW128F429D538'], [(4, 'bad_id', 'id')])
    """
    ids: dict[str, None] = {}
    refused: list[tuple[int, str, str]] = []
    for number, line in enumerate(lines, 1):
        name = re.split("[\t,;]|<SEP>", line, maxsplit=1)[0].strip().strip('"')
        if not name or name.startswith("#"):
            continue
        if not ID.fullmatch(name):
            refused.append((number, "bad_id", line[:100]))
        elif name in ids:
            refused.append((number, "repeated_id", name))
        else:
            ids[name] = None
    return list(ids), refused


def listed_splits(tracks: pd.DataFrame, lists: Mapping[str, Iterable[str]]) -> pd.Series:
    """Return the split of each track according to lists; null for tracks in no list.

    `tracks` has the columns `ID_COLUMNS`; the last may be missing. `lists` maps a split to ids. A song id selects all
    tracks of the song, and an artist id all tracks of the artist. A track in two lists, by any of its ids, raises
    `ValueError`.
    """
    columns = [name for name in ID_COLUMNS if name in tracks]
    splits = pd.Series(None, index=tracks.index, dtype=object)
    for split, ids in lists.items():
        unique_ids = set(ids)
        members = pd.Series(False, index=tracks.index)
        for name in columns:
            members |= tracks[name].isin(unique_ids)
        repeated = members & splits.notna()
        if repeated.any():
            track, song, first_split = min(
                zip(*(column[repeated] for column in (tracks["track_id"], tracks["song_id"], splits)), strict=True)
            )
            raise ValueError(
                f"{int(repeated.sum())} tracks are in two lists: {track} (song {song}) is in {first_split} and {split}"
            )
        splits[members] = split
    return splits
