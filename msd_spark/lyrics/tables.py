"""Build the tables ``lyrics/`` and ``lyric_words/``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from msd_spark.core.delta import DataFile
from msd_spark.core.schemas import LYRIC_WORDS, LYRICS
from msd_spark.lyrics.blocks import ParsedBlock
from msd_spark.lyrics.weights import LyricTransform, LyricVectors, WordStatistics
from msd_spark.lyrics.word_vectors import known


class WrittenBlock(NamedTuple):
    """Sums of one block of ``lyrics/``, and its file, None without rows.

    They are the number of rows without a vector, and the coverage.
    """

    without_vector: int
    coverage: float
    file: DataFile | None


def lyrics_table(block: ParsedBlock, lyrics: LyricVectors) -> pa.Table:
    """Return rows of ``lyrics/``, in the order of the bags."""
    bags = block.bags
    offsets = pa.array(bags.offsets, pa.int32())
    columns = {
        "track_id": pa.array(bags.track_ids.astype("U"), pa.string()),
        "musixmatch_id": pa.array(bags.musixmatch_ids),
        "official_split": pa.repeat(pa.scalar(block.official_split), len(bags)),
        "word_indices": pa.ListArray.from_arrays(offsets, bags.indices),
        "word_counts": pa.ListArray.from_arrays(offsets, bags.counts),
        "coverage": pa.array(lyrics.coverage),
        "lyric_vector": vectors_or_null(lyrics.vectors, lyrics.present),
    }
    return pa.table([columns[field.name].cast(field.type) for field in LYRICS], schema=LYRICS)


def words_table(
    stems: Sequence[str], words: Sequence[str], statistics: WordStatistics, transform: LyricTransform
) -> pa.Table:
    """Return ``lyric_words/``: one row per word of the header, in order."""
    columns = {
        "index": pa.array(np.arange(1, len(stems) + 1)),
        "stem": pa.array(stems, pa.string()),
        "word": pa.array(words, pa.string()),
        "tracks": pa.array(statistics.document_frequency),
        "occurrences": pa.array(statistics.occurrences),
        "weight": pa.array(transform.weights),
        "word_vector": vectors_or_null(transform.vectors, known(transform.vectors)),
    }
    return pa.table([columns[field.name].cast(field.type) for field in LYRIC_WORDS], schema=LYRIC_WORDS)


def vectors_or_null(vectors: np.ndarray, present: np.ndarray) -> pa.ListArray:
    """Return vectors of shape ``(n, size)`` as lists of float32, null for missing ones."""
    offsets = np.concatenate([[0], np.cumsum(present) * vectors.shape[1]]).astype(np.int32)
    values = pa.array(vectors[present].astype(np.float32).reshape(-1))
    return pa.ListArray.from_arrays(pa.array(offsets), values, mask=pa.array(~present))
