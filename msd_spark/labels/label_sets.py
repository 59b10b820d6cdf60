"""Label sets: what each is called, the 18-label union of several, and leaving out rare genres. Pure functions.

Frames of labels have the columns ``track_id``, ``genre`` and ``minority_genre`` (None where there is none),
a row a track.

References
----------
.. [1] H. Schreiber, "Improving Genre Annotations for the Million Song Dataset", ISMIR 2015: CD1, CD2 and CD2C.
.. [2] A. Schindler, R. Mayer, A. Rauber, "Facilitating Comprehensive Benchmarking Experiments on the Million
   Song Dataset", ISMIR 2012: MAGD, topMAGD and MASD.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import pandas as pd

LABEL_FILES = {
    "cd1": "tagtraum's CD1 (msd_tagtraum_cd1.cls)",
    "cd2": "tagtraum's CD2 (msd_tagtraum_cd2.cls)",
    "cd2c": "tagtraum's CD2C, the consensus of CD2 (msd_tagtraum_cd2c.cls)",
    "magd": "the MSD Allmusic Genre Dataset (msd-MAGD-genreAssignment.cls)",
    "topmagd": "its 13 largest genres (msd-topMAGD-genreAssignment.cls)",
    "masd": "the MSD Allmusic Style Dataset (msd-MASD-styleAssignment.cls)",
}
"""Label sets that are a source each, and the file they come from."""

UNION = "2019"
"""Name of the label set that is made of the others."""

UNION_GENRES = (
    "Vocal", "Punk", "Rock", "Country", "Blues", "New Age", "World", "Reggae", "Jazz", "Folk", "RnB", "International",
    "Pop_Rock", "Electronic", "Metal", "Rap", "Pop", "Latin",
)  # fmt: skip
"""The genres of `UNION`: those of CD1 and of CD2 together."""

PRECEDENCE = ("cd2c", "cd2", "cd1", "topmagd", "magd", "masd")
"""Whose genre a track gets in `UNION`: the first of these that has one for it. A consensus comes before a majority,
CD2, which tells Rock, Pop, Metal and Punk apart, before CD1, and both, which draw on several sources, before MAGD,
which is one of CD1's; styles come last."""

_ALIASES = {"rb": "RnB"}  # R&B
_BY_KEY = {re.sub(r"[\W_]", "", genre).casefold(): genre for genre in UNION_GENRES} | _ALIASES


def union_genre(name: str) -> str | None:
    """Return the genre of `UNION_GENRES` that a source's name means, None where it is none of them.

    Upper and lower case, blanks, underscores and signs make no difference.

    Examples
    --------
    >>> union_genre("New_Age"), union_genre("pop/rock"), union_genre("Stage")
    ('New Age', 'Pop_Rock', None)
    """
    return _BY_KEY.get(re.sub(r"[\W_]", "", name).casefold())


def unite(sources: Mapping[str, pd.DataFrame]) -> tuple[pd.DataFrame, pd.Series]:
    """Return the labels of `UNION`, and what the sources say that is none of its genres.

    A track has the genre of the first source of `PRECEDENCE` that gives it one of the 18, and that source's
    second genre if it is another one of the 18.

    Parameters
    ----------
    sources : mapping of str to pandas.DataFrame
        Labels by label set; sets that are not in `PRECEDENCE` take no part.

    Returns
    -------
    labels : pandas.DataFrame
        Sorted by track.
    dropped : pandas.Series of int
        Labels outside the 18 genres, by source and genre (a MultiIndex).
    """
    columns = ["track_id", "genre", "minority_genre"]
    frames = [pd.DataFrame({name: pd.Series(dtype=object) for name in (*columns, "source")})]
    frames += [sources[name].assign(source=name) for name in PRECEDENCE if name in sources]
    everything = pd.concat(frames, ignore_index=True)
    genres = everything["genre"].map({name: union_genre(name) for name in everything["genre"].unique()})
    minority = everything["minority_genre"].map(
        {name: union_genre(name) for name in everything["minority_genre"].dropna().unique()}
    )
    outside = genres.isna()
    dropped = everything[outside].groupby(["source", "genre"]).size()
    everything = everything.assign(genre=genres, minority_genre=minority.where(minority != genres))
    # The frames stand in the order of precedence: the first of a track's rows is the one that counts.
    labels = everything[~outside].drop_duplicates("track_id").sort_values("track_id", ignore_index=True)
    return with_none(labels[columns]), dropped


def remove_rare(labels: pd.DataFrame, min_examples: int) -> tuple[pd.DataFrame, dict[str, int]]:
    """Leave out the tracks of genres that fewer than `min_examples` tracks have.

    Tracks are counted by their first genre. A second genre that is removed becomes None; its track stays.

    Returns
    -------
    labels : pandas.DataFrame
        Without the rare genres.
    removed : dict of str to int
        Each genre that was left out and its tracks, the largest first. A genre that is only ever the second one has 0.
    """
    counts = labels["genre"].value_counts()
    common = set(counts[counts >= min_examples].index)
    seconds = set(labels["minority_genre"].dropna())
    rare = {str(genre): int(counts.get(genre, 0)) for genre in (set(counts.index) | seconds) - common}
    kept = labels[labels["genre"].isin(common)]
    kept = kept.assign(minority_genre=kept["minority_genre"].where(kept["minority_genre"].isin(common)))
    return with_none(kept), dict(sorted(rare.items(), key=lambda item: (-item[1], item[0])))


def with_none(labels: pd.DataFrame) -> pd.DataFrame:
    """Return labels with None for a second genre that is not there, whatever pandas put there."""
    seconds = [None if pd.isna(genre) else genre for genre in labels["minority_genre"]]
    return labels.assign(minority_genre=pd.Series(seconds, labels.index, object)).reset_index(drop=True)
