"""Small bags of words for the tests of lyrics."""

from __future__ import annotations

import numpy as np

from msd_spark.formats.musixmatch import BagOfWords
from msd_spark.lyrics.bags import Bags

TRACK = "TRAAAAV128F421A322"


def track(number: int) -> str:
    return f"TR{number:016X}"


def bag(words: dict[int, int], track_id: str = TRACK) -> BagOfWords:
    return BagOfWords(track_id, 0, np.array(list(words), np.int32), np.array(list(words.values()), np.int32))


def bags(*contents: dict[int, int]) -> Bags:
    """Pack bags given as index to count, with track ids in order."""
    return Bags.of([bag(words, track(number)) for number, words in enumerate(contents)])
