"""The 18-genre union of several label sets, and removal of rare genres. Pure functions.

Frames of labels have one row per track, with the columns ``track_id``, ``genre`` and ``minority_genre`` (None if there
is no second genre).

References
----------
.. [1] H. Schreiber, "Improving Genre Annotations for the Million Song Dataset", ISMIR 2015: CD1, CD2 and CD2C.
.. [2] A. Schindler, R. Mayer, A. Rauber, "Facilitating Comprehensive Benchmarking Experiments on the Million
   Song Dataset", ISMIR 2012: MAGD, topMAGD and MASD.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

import pandas as pd

UNION_GENRES = (
    "Vocal", "Punk", "Rock", "Country", "Blues", "New Age", "World", "Reggae", "Jazz", "Folk", "RnB", "International",
    "Pop_Rock", "Electronic", "Metal", "Rap", "Pop", "Latin",
)  # fmt: skip
"""The genres of the union: those of CD1 and of CD2 together."""

PRECEDENCE = ("cd2c", "cd2", "cd1", "topmagd", "magd", "masd")
"""Label sets in the order in which the union uses them. Consensus labels come before majority labels. CD2 separates
Rock, Pop, Metal and Punk, so it comes before CD1. Both combine several sources, so they come before MAGD, which is one
of CD1's sources. Styles (MASD) come last."""

_ALIASES = {"rb": "RnB"}  # R&B
_BY_KEY = {re.sub(r"[\W_]", "", genre).casefold(): genre for genre in UNION_GENRES} | _ALIASES


@cache
def union_genre(name: str) -> str | None:
    """Return the genre of `UNION_GENRES` that matches a source's genre name, or None.

    Case, spaces, underscores and punctuation are ignored.

    Examples
    --------
    >>> union_genre("New_Age"), union_genre("pop/rock"), union_genre("Stage")
    ('New Age', 'Pop_Rock', None)
    """
    return _BY_KEY.get(re.sub(r"[\W_]", "", name).casefold())


def unite(sources: Mapping[str, pd.DataFrame]) -> tuple[pd.DataFrame, pd.Series]:
    """Return the union of label sets, and the labels outside its 18 genres.

    The labels of a track are from the first source of `PRECEDENCE` in which its genre is one of the 18; the second
    genre is None unless it is another one of the 18. Label sets outside `PRECEDENCE` are ignored. The union is sorted
    by track; the labels outside it are counted by source and genre (a MultiIndex).
    """
    columns = ["track_id", "genre", "minority_genre"]
    frames = [pd.DataFrame({name: pd.Series(dtype=object) for name in (*columns, "source")})]
    frames += [sources[name].assign(source=name) for name in PRECEDENCE if name in sources]
    everything = pd.concat(frames, ignore_index=True)
    genres, seconds = (everything[name].map(union_genre, na_action="ignore") for name in ("genre", "minority_genre"))
    dropped = everything[genres.isna()].groupby(["source", "genre"]).size()
    everything = everything.assign(genre=genres, minority_genre=seconds.where(seconds != genres))
    # Frames are in the order of precedence, so that the first row of a track has its genre.
    labels = everything[genres.notna()].drop_duplicates("track_id").sort_values("track_id", ignore_index=True)
    return _with_none(labels[columns]), dropped


def remove_rare(labels: pd.DataFrame, min_examples: int) -> tuple[pd.DataFrame, dict[str, int]]:
    """Remove the tracks of genres with fewer than `min_examples` tracks.

    Tracks are counted by their first genre. A rare second genre becomes None; its track stays. The second result has
    the number of tracks of each removed genre, largest first; 0 for a genre that occurs only as a second genre.
    """
    counts = labels["genre"].value_counts()
    common = set(counts[counts >= min_examples].index)
    seconds = set(labels["minority_genre"].dropna())
    rare = {str(genre): int(counts.get(genre, 0)) for genre in (set(counts.index) | seconds) - common}
    remaining = labels[labels["genre"].isin(common)]
    remaining = remaining.assign(
        minority_genre=remaining["minority_genre"].where(remaining["minority_genre"].isin(common))
    )
    return _with_none(remaining), dict(sorted(rare.items(), key=lambda item: (-item[1], item[0])))


def _with_none(labels: pd.DataFrame) -> pd.DataFrame:
    return labels.astype(object).replace({float("nan"): None}).reset_index(drop=True)
