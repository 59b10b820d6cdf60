"""Random numbers that depend only on a name and an index, not on the order of draws.

There are three kinds: columns over the catalogue, whose first entries stay the same as the catalogue grows;
one generator per song or artist; and digests for names and ids, which are faster to make than a generator.
"""

from __future__ import annotations

from enum import IntEnum
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
AnyArray = NDArray[Any]


class Stream(IntEnum):
    """Purpose of a generator; two streams never share numbers."""

    WORLD = 1
    SONG_SOUND = 2
    SONG_SEGMENTS = 3
    SONG_METADATA = 4
    ARTIST = 5
    ARTIST_SOUND = 6
    ARTIST_WORDS = 7
    LYRICS = 8
    USERS = 9
    LASTFM = 10
    MISMATCHES = 11
    COLUMNS = 100


class Column(IntEnum):
    """Columns of uniform numbers over the catalogue."""

    NEW_ARTIST = 0
    PARENT = 1
    DUPLICATE = 2
    GENRE_IS_OWN = 3
    GENRE = 4
    SEGMENTS = 5
    HAS_LYRICS = 6
    LYRICS_TEST = 7
    IN_CD1 = 8
    CD1_NOISE = 9
    CD1_OTHER = 10
    MINORITY = 11
    IN_CD2 = 12
    CONSENSUS = 13
    IN_MAGD = 14
    MAGD_OTHER = 15
    IS_HEARD = 16
    POPULARITY = 17
    MISMATCH = 18
    CD2_STYLE = 20
    MINORITY_GENRE = 21
    SOUND_IS_OTHER = 22
    SOUND = 23
    WORDS_ARE_OTHER = 24
    WORDS = 25


def generator(seed: int, stream: Stream, index: int) -> np.random.Generator:
    """Return the generator of one song, artist or block: SFC64, the fastest of numpy."""
    return np.random.Generator(np.random.SFC64([seed, int(stream), index]))


def column(seed: int, name: Column, size: int) -> Floats:
    """Return uniform numbers in [0, 1); a larger `size` only adds numbers at the end."""
    return generator(seed, Stream.COLUMNS, int(name)).random(size)


def digest(seed: int, kind: str, index: int) -> bytes:
    """Return 64 bytes for a name or id."""
    return blake2b(f"{seed}/{kind}/{index}".encode()).digest()
