"""What is known of some tracks, side by side: a vector of each, a genre, a rank; or that there is none."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa

from msd_spark.core.schemas import ABSENT

LYRICS, GENRE, TAGS, LISTENS, FACTORS = "lyrics", "genre", "tags", "listens", "factors"
REQUIREMENTS = (LYRICS, GENRE, TAGS, LISTENS, FACTORS)
"""What ``--require`` can ask of a track."""

NO_LYRICS = "none"
"""What stands for the fingerprint of the word vectors where there are no lyrics."""


@dataclass
class Vectors:
    """A vector of each of some tracks.

    Attributes
    ----------
    place : numpy.ndarray
        Shape ``(n_tracks,)``, int64: which row of `values` is a track's; `ABSENT` where it has none.
    values : pyarrow.Array
        Lists: floats of one length, or the places of a track's tags in the vocabulary.
    """

    place: np.ndarray
    values: pa.Array

    @property
    def has(self) -> np.ndarray:
        """Shape ``(n_tracks,)``, bool: which tracks have one."""
        return self.place != ABSENT

    def take(self, tracks: np.ndarray) -> pa.Array:
        """Return the vectors of some tracks by their numbers, null where one has none."""
        place = self.place[tracks]
        return self.values.take(pa.array(place, mask=place == ABSENT))


@dataclass
class Joined:
    """What is known of each track, in the order of the tracks that were asked for.

    Attributes
    ----------
    genre : pandas.Series
        Null where a track has none.
    popularity_rank, popularity_decile : numpy.ndarray
        `ABSENT` where a track has no listens.
    lyrics, tags, factors : Vectors
    lyric_fingerprint : str
        Of the word vectors behind the lyrics.
    tag_vocabulary : list of str
    n_factors : int
    """

    genre: pd.Series
    popularity_rank: np.ndarray
    popularity_decile: np.ndarray
    lyrics: Vectors
    tags: Vectors
    factors: Vectors
    lyric_fingerprint: str = NO_LYRICS
    tag_vocabulary: list[str] = field(default_factory=list)
    n_factors: int = 0

    def has(self, requirement: str) -> np.ndarray:
        """Return which tracks have what `REQUIREMENTS` names: shape ``(n_tracks,)``, bool."""
        present: dict[str, np.ndarray] = {
            LYRICS: self.lyrics.has,
            GENRE: self.genre.notna().to_numpy(),
            TAGS: self.tags.has,
            LISTENS: self.popularity_rank != ABSENT,
            FACTORS: self.factors.has,
        }
        return present[requirement]
