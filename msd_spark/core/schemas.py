"""Every table's schema and the geometry of the features, in one place.

The schemas are Arrow schemas: workers write Parquet with them, Spark reads and writes the
same tables (`spark_schema`), Petastorm and pandas read the files. Nothing else in the
project spells a column type or one of the numbers 300, 12 and 50.

What becomes null in ``songs/``
-------------------------------
The source marks what it does not know in several ways; `SENTINELS` lists them by column.
Besides these, NaN in a scalar and an empty string are null. Arrays are kept as they are;
an array of length 0 is an empty list, never null.

What becomes float32
--------------------
The Echo Nest rounded confidences, loudness, chroma and timbre to three decimals. float32
carries seven significant digits, and no value of these reaches 1,000, so rounding a float32
back to three decimals gives the source's number exactly; the other half of each float64
is noise. Times (up to thousands of seconds, five decimals) and term weights stay float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from msd_spark.core.song_layout import ARRAYS, N_PITCHES, TABLES, Array

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

EMBEDDING_SIZE = 50
"""Units of the layer named ``embedding``, and dimensions of a lyric vector."""

EMBEDDING_LAYER = "embedding"
"""Name of the layer whose output is a song's embedding."""


SEGMENT_MODES = ("first", "centre", "beats")
"""Which part of a song an example holds: see `Geometry.segments`."""


@dataclass(frozen=True)
class Geometry:
    """Shape of the features of an example.

    Attributes
    ----------
    n_segments : int
        Segments an example has room for; a longer song is cropped, a shorter one padded.
    n_pitches : int
        Columns of chroma and of timbre.
    lyric_size : int
        Dimensions of a lyric vector.
    segments : str
        ``first`` or ``centre`` for the first or the middle segments of a song; ``beats`` for its
        first beats, each the mean of the segments that sound in it.
    """

    n_segments: int = 300
    n_pitches: int = N_PITCHES
    lyric_size: int = EMBEDDING_SIZE
    segments: str = "first"

    def __post_init__(self) -> None:
        """Refuse a part of a song that nobody knows how to take."""
        if self.segments not in SEGMENT_MODES:
            raise ValueError(f"segments are one of {', '.join(SEGMENT_MODES)}, not {self.segments!r}")

    @property
    def segments_shape(self) -> tuple[int, int]:
        """Shape of an example's chroma, and of its timbre: ``(n_segments, n_pitches)``."""
        return self.n_segments, self.n_pitches

    def mask(self, lengths: np.ndarray) -> np.ndarray:
        """Return which rows hold segments: 1 there, 0 in the padding.

        Parameters
        ----------
        lengths : numpy.ndarray
            Shape ``(n,)``: segments of each example.

        Returns
        -------
        numpy.ndarray
            Shape ``(n, n_segments)``, float32.
        """
        return (np.arange(self.n_segments) < np.asarray(lengths)[:, None]).astype(np.float32)


GEOMETRY = Geometry()

ROUNDED_TO_THREE_DECIMALS = frozenset(
    {
        "segments_confidence",
        "segments_pitches",
        "segments_timbre",
        "segments_loudness_max",
        "segments_loudness_start",
        "sections_confidence",
        "beats_confidence",
        "bars_confidence",
        "tatums_confidence",
    }
)
"""Arrays whose precision beyond three decimals is noise, kept as float32."""

SENTINELS: dict[str, tuple[float, ...]] = {
    "danceability": (0.0,),
    "energy": (0.0,),
    "tempo": (0.0,),
    "time_signature": (0,),
    "year": (0,),
    "song_hotttnesss": (0.0,),
    "artist_playmeid": (-1,),
    "artist_7digitalid": (-1,),
    "release_7digitalid": (-1,),
    "track_7digitalid": (-1,),
}
"""Values that mean "not known", by column of ``songs/``."""

POINTER_PREFIX = "idx_"
"""Columns of the file's tables that point into its arrays; of no use outside the file."""


def _scalar_type(dtype: str) -> pa.DataType:
    kind = dtype.lstrip("<|")
    return pa.string() if kind.startswith("S") else {"i4": pa.int32(), "f8": pa.float64()}[kind]


def _array_type(array: Array) -> pa.DataType:
    kind = pa.float32() if array.name in ROUNDED_TO_THREE_DECIMALS else _scalar_type(array.dtype)
    # Values that cannot be null cost a third less to write.
    return pa.list_(pa.field("element", kind, nullable=False))


SCALAR_COLUMNS: dict[str, pa.DataType] = {
    name: _scalar_type(table.columns[name].str)
    for table in TABLES
    for name in table.columns.names or ()
    if not name.startswith(POINTER_PREFIX)
}
"""One-valued fields of a song file, by name."""

ARRAY_COLUMNS: dict[str, pa.DataType] = {array.name: _array_type(array) for array in ARRAYS}
"""Arrays of a song file, by name; two-dimensional ones flat, row after row."""

SONGS = pa.schema(
    [
        pa.field("track_id", pa.string(), nullable=False),
        *(pa.field(name, kind) for name, kind in SCALAR_COLUMNS.items() if name != "track_id"),
        pa.field("n_segments", pa.int32(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("member", pa.string()),
        *(pa.field(name, kind, nullable=False) for name, kind in ARRAY_COLUMNS.items()),
    ]
)
"""``songs/``: a track with every field of its song file, and where that was: a file, a member of a tar, a row."""

REJECTED = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("member", pa.string()),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
        pa.field("unit", pa.string()),
    ]
)
"""``rejected/``: an input that gave no row: its file, its member or line, a reason code, what was seen, and the
unit of ingest that it was in."""

LEDGER = pa.schema(
    [
        pa.field("unit", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("location", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("inputs", pa.int64(), nullable=False),
        pa.field("songs", pa.int64(), nullable=False),
        pa.field("rejected", pa.int64(), nullable=False),
        pa.field("duplicates", pa.int64(), nullable=False),
        pa.field("seconds", pa.float64(), nullable=False),
        pa.field("files", pa.list_(pa.string()), nullable=False),
        pa.field("track_ids", pa.list_(pa.string()), nullable=False),
    ]
)
"""``ledger/``: a unit of ingest, ``inputs = songs + rejected + duplicates``. The unit's name is the fingerprint of its
inputs as they were (paths, sizes, times of change); ``source`` is the first of them, ``files`` are its files of
``songs/``, ``track_ids`` all tracks that it gave, those included that are kept from another unit."""

LYRICS = pa.schema(
    [
        pa.field("track_id", pa.string(), nullable=False),
        pa.field("musixmatch_id", pa.int64(), nullable=False),
        pa.field("official_split", pa.string(), nullable=False),
        pa.field("word_indices", pa.list_(pa.int32()), nullable=False),
        pa.field("word_counts", pa.list_(pa.int32()), nullable=False),
        pa.field("coverage", pa.float64(), nullable=False),
        pa.field("lyric_vector", pa.list_(pa.float32())),
    ]
)
"""``lyrics/``: a track's bag of words (indices from 1 into the header's words), the share of its
occurrences that have a word vector, and its lyric vector, null where none of its words has one."""

LYRIC_WORDS = pa.schema(
    [
        pa.field("index", pa.int32(), nullable=False),
        pa.field("stem", pa.string(), nullable=False),
        pa.field("word", pa.string(), nullable=False),
        pa.field("tracks", pa.int64(), nullable=False),
        pa.field("occurrences", pa.int64(), nullable=False),
        pa.field("weight", pa.float64(), nullable=False),
        pa.field("word_vector", pa.list_(pa.float32())),
    ]
)
"""``lyric_words/``: a word of the header, in order: its index in the bags, from 1, its stem and the word itself, the
tracks that have it and its occurrences in all of them, its weight in a lyric vector, and its word vector, null where
it has none. With the component in ``summaries/lyrics.json`` this makes the lyric vector of any other bag."""

LABELS = pa.schema(
    [
        pa.field("track_id", pa.string(), nullable=False),
        pa.field("genre", pa.string(), nullable=False),
        pa.field("minority_genre", pa.string()),
        pa.field("label_set", pa.string(), nullable=False),
    ]
)
"""``labels/``: a track's genre in one label set."""

TAGS = pa.schema(
    [
        pa.field("track_id", pa.string(), nullable=False),
        pa.field("tag", pa.string(), nullable=False),
        pa.field("score", pa.float32(), nullable=False),
    ]
)
"""``tags/``: a track's tag, normalised, and its score from 0 to 100."""

TAG_COUNTS = pa.schema(
    [
        pa.field("tag", pa.string(), nullable=False),
        pa.field("tracks", pa.int64(), nullable=False),
        pa.field("rank", pa.int32(), nullable=False),
    ]
)
"""``tag_counts/``: a tag, how many tracks have it, and its rank by that, from 1."""

PLAYS = pa.schema(
    [
        pa.field("user_id", pa.string(), nullable=False),
        pa.field("track_id", pa.string(), nullable=False),
        pa.field("plays", pa.int64(), nullable=False),
    ]
)
"""``plays/``: how often a user played a track."""

POPULARITY = pa.schema(
    [
        pa.field("track_id", pa.string(), nullable=False),
        pa.field("plays", pa.int64(), nullable=False),
        pa.field("listeners", pa.int64(), nullable=False),
        pa.field("popularity_rank", pa.int32(), nullable=False),
        pa.field("popularity_decile", pa.int32(), nullable=False),
    ]
)
"""``popularity/``: a track's plays, its distinct listeners, its rank by plays (1 is the most played) and the decile
of that rank: 9 for the most played tenth of all tracks with listens, 0 for the least."""

FACTORS = pa.schema(
    [
        pa.field("kind", pa.string(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("factors", pa.list_(pa.float32()), nullable=False),
    ]
)
"""``factors/``: the factors of a track (`kind` ``track``) or of a user (``user``) from the listens."""

RECOMMENDATIONS = pa.schema(
    [
        pa.field("user_id", pa.string(), nullable=False),
        pa.field("rank", pa.int32(), nullable=False),
        pa.field("track_id", pa.string(), nullable=False),
        pa.field("score", pa.float32(), nullable=False),
    ]
)
"""``recommendations/``: a track that a user has not played, by rank from 1; the score is their factors' product."""

TAG_VECTOR, FACTOR_VECTOR = "tag_vector", "factors"
"""Columns of an example that only some datasets have."""

PRESENCE = {
    "lyric_vector": "has_lyrics",
    "genre_index": "has_genre",
    "popularity_decile": "has_listens",
    TAG_VECTOR: "has_tags",
    FACTOR_VECTOR: "has_factors",
}
"""The flag, 1 or 0, that says whether an example has a column's thing at all."""

ABSENT = -1
"""What an index column of an example holds where a track has no such label."""

VECTOR = pa.list_(pa.field("element", pa.float32(), nullable=False))
"""Floats of which none is null: they are written and read faster than those that could be."""

EXAMPLES = pa.schema(
    [
        pa.field("track_id", pa.string(), nullable=False),
        pa.field("song_id", pa.string()),
        pa.field("artist_group", pa.string(), nullable=False),
        pa.field("chroma", VECTOR, nullable=False),
        pa.field("timbre", VECTOR, nullable=False),
        pa.field("n_segments", pa.int32(), nullable=False),
        pa.field("lyric_vector", VECTOR, nullable=False),
        pa.field("has_lyrics", pa.float32(), nullable=False),
        pa.field("genre_index", pa.int32(), nullable=False),
        pa.field("has_genre", pa.float32(), nullable=False),
        pa.field("popularity_decile", pa.int32(), nullable=False),
        pa.field("has_listens", pa.float32(), nullable=False),
        pa.field("weight", pa.float32(), nullable=False),
    ]
)
"""``dataset/NAME/SPLIT/``: an example. Chroma and timbre are ``(300, 12)`` row after row, zero from
row ``n_segments`` on; the lyric vector is zero and ``has_lyrics`` 0 where there are none; an index is `ABSENT`
and its flag 0 where a track has no genre or no listens. See `examples_schema`."""


def examples_schema(*, tags: bool = False, factors: bool = False) -> pa.Schema:
    """Return the schema of a dataset's examples, with the columns that only some datasets have.

    Parameters
    ----------
    tags : bool
        With ``tag_vector`` (1 for each tag of the dataset's vocabulary that the track has) and ``has_tags``.
    factors : bool
        With ``factors`` (those of the track's listens, zero where it has none) and ``has_factors``.
    """
    schema = EXAMPLES
    for wanted, vector in ((tags, TAG_VECTOR), (factors, FACTOR_VECTOR)):
        if wanted:
            schema = schema.append(pa.field(vector, VECTOR, nullable=False))
            schema = schema.append(pa.field(PRESENCE[vector], pa.float32(), nullable=False))
    return schema


EMBEDDING_FLAGS = ("has_lyrics", "has_genre", "has_listens")
"""Columns of an embedding's row that are 1 where the warehouse has a track's lyrics, genre (in any label set) or
listens, and 0 where it has not. Of these the model sees the lyrics alone."""

EMBEDDINGS = pa.schema(
    [
        pa.field("track_id", pa.string(), nullable=False),
        pa.field("embedding", VECTOR, nullable=False),
        pa.field("genre_probabilities", VECTOR),
        pa.field("predicted_genre", pa.string()),
        pa.field("entropy", pa.float32()),
        pa.field("target_scores", VECTOR),
        *(pa.field(name, pa.float32(), nullable=False) for name in EMBEDDING_FLAGS),
        pa.field("run", pa.string(), nullable=False),
    ]
)
"""``embeddings/RUN/``: a track's embedding and what the model's head says, in the order of the run's class names.

Of a run that tells genres: their probabilities, the likeliest, and the entropy of the probabilities in nats;
``target_scores`` is null. Of any other run the head's scores are in ``target_scores`` (deciles, tags, factors) and
what is told of genres is null; so is the entropy, but for deciles, whose scores are probabilities of a distribution."""

NEIGHBOURS = pa.schema(
    [
        pa.field("track_id", pa.string(), nullable=False),
        pa.field("rank", pa.int32(), nullable=False),
        pa.field("neighbour_id", pa.string(), nullable=False),
        pa.field("distance", pa.float32(), nullable=False),
    ]
)
"""``neighbours/RUN/``: one of a track's nearest tracks, by rank from 1. Distance is 1 less the cosine, or Euclidean;
at the same distance the smaller track id comes first. A track has fewer than k rows where there are no more others."""

MAPS = pa.schema(
    [
        pa.field("track_id", pa.string(), nullable=False),
        pa.field("x", pa.float32(), nullable=False),
        pa.field("y", pa.float32(), nullable=False),
        pa.field("fitted", pa.bool_(), nullable=False),
    ]
)
"""``maps/RUN/``: a track's place on the run's map, sorted by track id, and whether the map was made of this track
or the track was placed into it. The axes have no unit: near means alike, far means little."""

FILTER_RESPONSES = pa.schema(
    [
        pa.field("layer", pa.string(), nullable=False),
        pa.field("stream", pa.string(), nullable=False),
        pa.field("filter", pa.int32(), nullable=False),
        pa.field("rank", pa.int32(), nullable=False),
        pa.field("track_id", pa.string(), nullable=False),
        pa.field("activation", pa.float32(), nullable=False),
        pa.field("first_segment", pa.int32(), nullable=False),
        pa.field("n_segments", pa.int32(), nullable=False),
        pa.field("start", pa.float64()),
        pa.field("end", pa.float64()),
        pa.field("chroma", VECTOR),
        pa.field("timbre", VECTOR),
    ]
)
"""``studies/RUN/filters.parquet``: one of the songs to which a filter of a convolution responds most, and where in it.
The stream is ``chroma``, ``timbre`` or ``segments`` (both); ranks go from 1. The receptive field is told in rows of the
example and in seconds of the song (null where ``songs/`` does not say), and its chroma and timbre, as they are before
the model scales them, row after row; null for what the filter does not hear."""

OCCLUSION = pa.schema(
    [
        pa.field("hidden", pa.string(), nullable=False),
        pa.field("genre", pa.string()),
        pa.field("figure", pa.string(), nullable=False),
        pa.field("examples", pa.int32(), nullable=False),
        pa.field("affected", pa.int32(), nullable=False),
        pa.field("full", pa.float64(), nullable=False),
        pa.field("occluded", pa.float64(), nullable=False),
        pa.field("change", pa.float64(), nullable=False),
        pa.field("low", pa.float64()),
        pa.field("high", pa.float64()),
    ]
)
"""``studies/RUN/occlusion.parquet``: a figure of the test split as it is and with ``lyrics``, ``audio``, ``chroma`` or
``timbre`` hidden, of one genre (or decile) or, where that is null, of all. ``affected`` examples had what was hidden.
The change is the second figure less the first; its 95 % interval is by artist, null where there is none."""

SPLITS = ("train", "validation", "test")
"""The splits of a dataset, in the order in which they take their share."""


def spark_schema(schema: pa.Schema) -> StructType:
    """Return the Spark schema of an Arrow schema."""
    from pyspark.sql.pandas.types import from_arrow_schema

    return from_arrow_schema(schema)
