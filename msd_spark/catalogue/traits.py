"""Traits of songs for judging an embedding space."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from msd_spark.catalogue.artist_groups import group_artists
from msd_spark.catalogue.genres import displayed_genres, label_set_of
from msd_spark.catalogue.languages import lyric_language
from msd_spark.catalogue.songs import NAMES
from msd_spark.core.warehouse import Warehouse

NUMBERS = ("year", "tempo", "loudness", "key")
BAGS = ("track_id", "word_indices", "word_counts")
LANGUAGES = pa.schema([pa.field("track_id", pa.string()), pa.field("language", pa.string())])


@dataclass(frozen=True)
class Traits:
    """Traits of songs in the order of their track ids, with the label set of the genres.

    `table` is indexed by track id: ``genre``, ``artist`` (the group of artists that share songs), ``year``, ``decade``,
    ``tempo`` in beats per minute, ``loudness`` in dB, ``key`` (0 is C), ``language``; null if unknown.
    """

    table: pd.DataFrame
    label_set: str | None

    def codes(self, trait: str) -> np.ndarray:
        """Return a trait as codes of its sorted values, shape ``(n,)``; -1 for null."""
        return np.asarray(pd.factorize(self.table[trait], sort=True)[0], np.int64)

    def numbers(self, trait: str) -> np.ndarray:
        """Return a trait as floats, shape ``(n,)``; NaN for null."""
        return self.table[trait].to_numpy(float, na_value=np.nan)


def read_traits(
    warehouse: Warehouse, track_ids: np.ndarray, run: str, label_set: str | None, languages: pd.Series
) -> Traits:
    """Read the traits of tracks from the tables that exist.

    `languages` has the language of lyrics by track id.
    """
    songs = warehouse.read_table(["track_id", *NAMES, *NUMBERS], "songs").to_pandas().drop_duplicates("track_id")
    songs = songs.set_index("track_id").reindex(track_ids).rename_axis("track_id").reset_index()
    table = songs[["track_id", *NUMBERS]].assign(artist=group_artists(songs)).set_index("track_id")
    table["decade"] = table["year"] // 10 * 10
    table["genre"] = displayed_genres(warehouse, run, label_set).reindex(table.index)
    table["language"] = languages.reindex(table.index)
    return Traits(table, label_set or label_set_of(warehouse, run))


def read_words(warehouse: Warehouse) -> dict[int, str]:
    """Return the words of ``lyrics/`` by their index; empty if a table is missing."""
    if not (warehouse.is_complete("lyrics") and warehouse.is_complete("lyric_words")):
        return {}
    listed = warehouse.read_table(["index", "word"], "lyric_words").to_pandas()
    return dict(listed.set_index("index")["word"])


def language_batches(words: Mapping[int, str], batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the language of each bag of words, null if unknown, in the schema `LANGUAGES`.

    `words` has each word by its index; the batches have the columns `BAGS`.
    """
    for batch in batches:
        codes = []
        for indices, counts in zip(batch.column("word_indices"), batch.column("word_counts"), strict=True):
            bag = [words.get(index, "") for index in indices.as_py()]
            language = lyric_language(bag, counts.as_py())
            codes.append(language.code if language else None)
        yield pa.RecordBatch.from_arrays([batch.column("track_id"), pa.array(codes, pa.string())], schema=LANGUAGES)
