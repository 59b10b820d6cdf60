"""Look up lyrics, genre, tags, listens and factors of tracks in the side tables.

Each table may be missing; a track that a table does not have lacks only what that table holds.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from msd_spark.catalogue.genres import read_labels
from msd_spark.catalogue.requirements import FACTORS, GENRE, LISTENS, LYRICS, TAGS
from msd_spark.core.errors import UserError
from msd_spark.core.schemas import ABSENT, GEOMETRY
from msd_spark.core.summary import SUMMARIES
from msd_spark.core.warehouse import Warehouse, command_for

NO_LYRICS = "none"
"""Fingerprint of the word vectors if there are no lyrics."""

FEW = 10_000
"""Up to this many tracks, a table is filtered while reading."""


@dataclass(frozen=True)
class Vectors:
    """One list of numbers per track, for some of the tracks.

    Attributes
    ----------
    place : numpy.ndarray
        Shape ``(n_tracks,)``, int64: index into `values`; `ABSENT` for a track without a vector.
    values : pyarrow.Array
        Lists: floats of one length, or tag indices of the vocabulary.
    """

    place: np.ndarray
    values: pa.Array

    @classmethod
    def none(cls, n_tracks: int) -> Vectors:
        """Return the vectors of tracks that have none."""
        return cls(np.full(n_tracks, ABSENT, np.int64), pa.array([], pa.list_(pa.float32())))

    @property
    def present(self) -> np.ndarray:
        """Shape ``(n_tracks,)``, bool: which tracks have a vector."""
        return self.place != ABSENT

    def take(self, tracks: np.ndarray | slice) -> pa.Array:
        """Return the vectors of tracks by their numbers, null for a track without one."""
        place = self.place[tracks]
        return self.values.take(pa.array(place, pa.int64(), mask=place == ABSENT))


@dataclass(frozen=True)
class WordList:
    """The words of ``lyric_words/`` in the order of their indices.

    `fingerprint` is that of their stems, and `tracks` has the number of tracks of each. Without lyrics there are no
    words, and the fingerprint is `NO_LYRICS`.
    """

    fingerprint: str = NO_LYRICS
    tracks: tuple[int, ...] = ()

    @classmethod
    def read(cls, warehouse: Warehouse) -> WordList:
        """Read the list; it is empty if ``lyrics/`` or ``lyric_words/`` does not exist."""
        if not (warehouse.is_complete("lyrics") and warehouse.is_complete("lyric_words")):
            return cls()
        table = warehouse.read_table(["index", "stem", "tracks"], "lyric_words").sort_by("index")
        if not np.array_equal(table["index"].to_numpy(), np.arange(1, len(table) + 1)):
            raise UserError(f"lyric_words/ has missing or repeated indices; run {command_for('lyrics')} again")
        digest = hashlib.sha256("\n".join(table["stem"].to_pylist()).encode()).hexdigest()[:32]
        return cls(digest, tuple(table["tracks"].to_pylist()))


NO_WORDS = WordList()


@dataclass(frozen=True)
class Bags:
    """Word indices and counts of each track's bag, and the list of words that they refer to."""

    indices: Vectors
    counts: Vectors
    known: WordList

    @classmethod
    def none(cls, n_tracks: int) -> Bags:
        """Return the bags of tracks that have none."""
        return cls(Vectors.none(n_tracks), Vectors.none(n_tracks), NO_WORDS)


@dataclass
class Joined:
    """What a dataset knows about each track, in the order of the tracks.

    `genre` is null, and popularity `ABSENT`, where unknown. `lyric_fingerprint` is that of the word vectors behind the
    lyric vectors.
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
    bags: Bags | None = None
    lyric_size: int = GEOMETRY.lyric_size

    @property
    def words(self) -> Bags:
        """Bags of words; without them, no track has words."""
        return self.bags or Bags.none(len(self.genre))

    def has(self, requirement: str) -> np.ndarray:
        """Return which tracks meet one of the `REQUIREMENTS`: shape ``(n_tracks,)``, bool."""
        present: dict[str, np.ndarray] = {
            LYRICS: self.lyrics.present,
            GENRE: self.genre.notna().to_numpy(),
            TAGS: self.tags.present,
            LISTENS: self.popularity_rank != ABSENT,
            FACTORS: self.factors.present,
        }
        return present[requirement]


@dataclass(frozen=True)
class KnownTracks:
    """What scoring knows about each track besides its song, in the order of the tracks.

    `bags` has no words if the model does not use them. `has_genre` and `has_listens`, shape ``(n_tracks,)``, bool:
    whether ``labels/`` (any label set) and ``popularity/`` have the track.
    """

    lyrics: Vectors
    has_genre: np.ndarray
    has_listens: np.ndarray
    bags: Bags

    @property
    def flags(self) -> dict[str, np.ndarray]:
        """Shape ``(n_tracks,)``, bool, by the names of `msd_spark.core.schemas.EMBEDDING_FLAGS`."""
        return {"has_lyrics": self.lyrics.present, "has_genre": self.has_genre, "has_listens": self.has_listens}


def known_tracks(
    warehouse: Warehouse, track_ids: pa.Array, size: int, *, lyrics: bool = True, words: bool = False
) -> KnownTracks:
    """Look up tracks in the tables that exist, with lyric vectors and bags if requested.

    `track_ids` has no repetitions; a lyric vector has length `size`.
    """
    tables = SideTables(warehouse, track_ids)
    with ThreadPoolExecutor() as pool:  # reading from a store is mostly waiting
        labels, popularity = (pool.submit(tables.has_row_in, name) for name in ("labels", "popularity"))
        vectors, width = tables.lyric_vectors() if lyrics else (Vectors.none(len(track_ids)), size)
        bags = tables.bags() if words else Bags.none(len(track_ids))
    if vectors.present.any() and width != size:
        raise UserError(f"lyrics/ has vectors of {width} numbers, not {size}; run {command_for('lyrics')} again")
    return KnownTracks(vectors, labels.result(), popularity.result(), bags)


def lyrics_fingerprint(warehouse: Warehouse) -> str:
    """Return the fingerprint of the word vectors of ``lyrics/``, `NO_LYRICS` without the table."""
    if not warehouse.is_complete("lyrics"):
        return NO_LYRICS
    try:
        return str(warehouse.read_json(SUMMARIES, "lyrics.json")["vectors"]["fingerprint"])
    except (OSError, KeyError, ValueError):
        message = f"{SUMMARIES}/lyrics.json does not name the word vectors of lyrics/"
        raise UserError(f"{message}; run {command_for('lyrics')} again") from None


class SideTables:
    """Reads the tables besides ``songs/`` for given tracks.

    Results are in the order of `track_ids`, which has no repetitions. The tables `needed` must exist; any other missing
    table is treated as empty.
    """

    def __init__(
        self, warehouse: Warehouse, track_ids: pd.Series | pa.Array, needed: frozenset[str] = frozenset()
    ) -> None:
        self.warehouse = warehouse
        self.track_ids = pa.array(track_ids, pa.string())
        self.needed = needed

    def exists(self, table: str) -> bool:
        """Return whether a table exists; raise an error if it is needed and missing."""
        is_there = self.warehouse.is_complete(table)
        if table in self.needed and not is_there:
            self.warehouse.require(table)
        return is_there

    def read(
        self, columns: list[str], table: str, *, key: str = "track_id", filter: pads.Expression | None = None
    ) -> pa.Table | None:
        """Return columns of a table, only for the given tracks if these are few; None if missing."""
        if not self.exists(table):
            return None
        if len(self.track_ids) <= FEW:
            of_tracks = pads.field(key).isin(self.track_ids)
            filter = of_tracks if filter is None else filter & of_tracks
        return self.warehouse.read_table(columns, table, filter=filter)

    def places(self, ids: pa.ChunkedArray | pa.Array, table: str) -> np.ndarray:
        """Return the number of each id among the tracks, `ABSENT` for other tracks."""
        place = _indices(ids, self.track_ids)
        counts = np.bincount(place[place != ABSENT], minlength=1)
        if counts.max() > 1:
            track = self.track_ids[int(counts.argmax())].as_py()
            raise UserError(f"{table}/ has {track} {counts.max()} times; run {command_for(table)} again")
        return place

    def has_row_in(self, table: str) -> np.ndarray:
        """Return which tracks a table has: shape ``(n_tracks,)``, bool."""
        rows = self.read(["track_id"], table)
        if rows is None:
            return np.zeros(len(self.track_ids), bool)
        return np.asarray(pc.is_in(self.track_ids, value_set=rows["track_id"]).to_numpy(zero_copy_only=False), bool)

    def genre(self, label_set: str) -> pd.Series:
        """Return each track's genre in a label set, null for a track without one."""
        genres = np.full(len(self.track_ids), None, object)
        if self.exists("labels"):
            table = read_labels(self.warehouse, label_set)
            place = self.places(table["track_id"], "labels")
            genres[place[place != ABSENT]] = table["genre"].to_numpy()[place != ABSENT]
        return pd.Series(genres, dtype=object)

    def popularity(self) -> tuple[np.ndarray, np.ndarray]:
        """Return each track's popularity rank and decile, `ABSENT` for a track without listens."""
        columns = ["popularity_rank", "popularity_decile"]
        rank, decile = (np.full(len(self.track_ids), ABSENT, np.int64) for _ in columns)
        table = self.read(["track_id", *columns], "popularity")
        if table is not None:
            place = self.places(table["track_id"], "popularity")
            for column, values in zip(columns, (rank, decile), strict=True):
                values[place[place != ABSENT]] = table[column].to_numpy()[place != ABSENT]
        return rank, decile

    def lyrics(self) -> tuple[Vectors, int, str]:
        """Return each track's lyric vector, their length, and the fingerprint of the word vectors."""
        if not self.exists("lyrics"):
            return *self.lyric_vectors(), NO_LYRICS
        return *self.lyric_vectors(), lyrics_fingerprint(self.warehouse)

    def lyric_vectors(self) -> tuple[Vectors, int]:
        """Return each track's lyric vector, and their length; none if ``lyrics/`` does not exist."""
        table = self.read(["track_id", "lyric_vector"], "lyrics")
        if table is None:
            return Vectors.none(len(self.track_ids)), GEOMETRY.lyric_size
        vectors, size = self._vectors(table, "lyrics", "lyric_vector")
        return vectors, size or GEOMETRY.lyric_size

    def bags(self) -> Bags:
        """Return each track's bag of words; none if ``lyrics/`` or ``lyric_words/`` does not exist."""
        table, words = self.read(["track_id", "word_indices", "word_counts"], "lyrics"), WordList.read(self.warehouse)
        if table is None or not words.tracks:
            return Bags.none(len(self.track_ids))
        place = self.places(table["track_id"], "lyrics")
        inside = place != ABSENT
        rows = np.full(len(self.track_ids), ABSENT, np.int64)
        rows[place[inside]] = np.arange(int(inside.sum()))
        table = table.filter(pa.array(inside))
        indices, counts = (
            pa.concat_arrays([pa.array([], table[name].type), *table[name].chunks])
            for name in ("word_indices", "word_counts")
        )
        largest = pc.max(indices.flatten()).as_py() or 0
        if largest > len(words.tracks):
            raise UserError(
                f"lyrics/ has word {largest} and lyric_words/ only {len(words.tracks)} words; "
                f"run {command_for('lyrics')} again"
            )
        return Bags(Vectors(rows, indices), Vectors(rows, counts), words)

    def factors(self) -> tuple[Vectors, int]:
        """Return each track's factors, and their number."""
        table = self.read(["id", "factors"], "factors", key="id", filter=pads.field("kind") == "track")
        if table is None:
            return Vectors.none(len(self.track_ids)), 0
        return self._vectors(table, "factors", "factors", key="id")

    def _vectors(self, table: pa.Table, name: str, column: str, key: str = "track_id") -> tuple[Vectors, int]:
        """Return a column of vectors by track, and their common length (0 without vectors)."""
        table = table.filter(pc.is_valid(table[column]))
        place = self.places(table[key], name)
        table = table.filter(pa.array(place != ABSENT))
        values = pa.concat_arrays([pa.array([], table[column].type), *table[column].chunks])
        lengths = pc.unique(pc.list_value_length(values)).to_pylist()
        if len(lengths) > 1 or values.flatten().null_count:
            raise UserError(f"{name}/ has vectors of {sorted(lengths)} numbers; run {command_for(name)} again")
        rows = np.full(len(self.track_ids), ABSENT, np.int64)
        rows[place[place != ABSENT]] = np.arange(len(values))
        return Vectors(rows, values), lengths[0] if lengths else 0

    def tag_vocabulary(self, size: int) -> list[str]:
        """Return the `size` most common tags."""
        if not size or not self.exists("tag_counts"):
            return []
        table = self.warehouse.read_table(["tag", "rank"], "tag_counts")
        table = table.sort_by([("rank", "ascending"), ("tag", "ascending")])
        return [str(tag) for tag in table["tag"].slice(0, size).to_pylist()]

    def tags(self, vocabulary: list[str]) -> Vectors:
        """Return each track's tags as indices into the vocabulary.

        A track whose tags are all outside the vocabulary has an empty list; an untagged track has none.
        The table is read in batches: that of Last.fm has 8.6 million rows.
        """
        if not self.exists("tags"):
            return Vectors.none(len(self.track_ids))
        pairs, tagged = [np.empty((0, 2), np.int64)], np.zeros(len(self.track_ids), bool)
        for batch in self.warehouse.open_table("tags").to_batches(columns=["track_id", "tag"]):
            track = _indices(batch["track_id"], self.track_ids)
            tag = _indices(batch["tag"], pa.array(vocabulary, pa.string()))
            tagged[track[track != ABSENT]] = True
            both = (track != ABSENT) & (tag != ABSENT)
            pairs.append(np.column_stack([track[both], tag[both]]))
        together = np.unique(np.concatenate(pairs), axis=0)
        counts = np.bincount(together[:, 0], minlength=len(self.track_ids))[tagged]
        offsets = np.r_[0, np.cumsum(counts)].astype(np.int32)
        place = np.full(len(self.track_ids), ABSENT, np.int64)
        place[tagged] = np.arange(int(tagged.sum()))
        return Vectors(place, pa.ListArray.from_arrays(pa.array(offsets), pa.array(together[:, 1].astype(np.int32))))


def _indices(values: pa.Array | pa.ChunkedArray, value_set: pa.Array) -> np.ndarray:
    """Return the index of each value in a set, `ABSENT` for other values."""
    return np.asarray(pc.fill_null(pc.index_in(values, value_set=value_set), ABSENT)).astype(np.int64)
