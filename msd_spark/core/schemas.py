"""Schemas of all tables, and the shape of the features.

The schemas are Arrow schemas: workers write Parquet files with them, and Spark reads and writes the same tables
(`spark_schema`). No other module states a column type or one of the numbers 300, 12 and 50.

Missing values in ``songs/``
----------------------------
The source has several marks for an unknown value; `SENTINELS` lists them by column. They become null, as do NaN in a
scalar and an empty string. Arrays stay as they are; an array of length 0 is an empty list, never null.

Precision
---------
The Echo Nest rounded confidences, loudness, chroma and timbre to three decimals. float32 has seven significant
digits and no such value reaches 1,000, so rounding a float32 to three decimals returns the source's number exactly.
Times (up to thousands of seconds, five decimals) and term weights stay float64.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from msd_spark.core.song_layout import ARRAYS, N_PITCHES, TABLES, Array

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

EMBEDDING_SIZE = 50
"""Units of the layer ``embedding``, and length of a lyric vector."""

EMBEDDING_LAYER = "embedding"
"""Name of the layer whose output is the embedding of a song."""


SEGMENT_MODES = ("first", "centre", "beats")
"""Part of a song that an example holds; see `Geometry.segments`."""


@dataclass(frozen=True)
class Geometry:
    """Shape of the features of an example.

    Attributes
    ----------
    n_segments : int
        Rows of chroma and timbre; a longer song is cropped, a shorter one padded.
    n_pitches : int
        Columns of chroma and of timbre.
    lyric_size : int
        Length of a lyric vector.
    segments : str
        ``first`` or ``centre``: the first or the middle segments of a song; ``beats``: its first beats, each the
        mean of the segments that sound in it.
    """

    n_segments: int = 300
    n_pitches: int = N_PITCHES
    lyric_size: int = EMBEDDING_SIZE
    segments: str = "first"

    def __post_init__(self) -> None:
        if self.segments not in SEGMENT_MODES:
            raise ValueError(f"segments is {self.segments!r}; allowed: {', '.join(SEGMENT_MODES)}")

    @property
    def segments_shape(self) -> tuple[int, int]:
        """Shape of chroma and of timbre: ``(n_segments, n_pitches)``."""
        return self.n_segments, self.n_pitches

    def mask(self, lengths: np.ndarray) -> np.ndarray:
        """Return 1 for rows with segments and 0 for padding: shape ``(n, n_segments)``, float32.

        Parameters
        ----------
        lengths : numpy.ndarray
            Number of segments of each example, shape ``(n,)``.
        """
        return (np.arange(self.n_segments) < np.asarray(lengths)[:, None]).astype(np.float32)


GEOMETRY = Geometry()

N_DYNAMICS = 3
"""Columns of ``dynamics``: maximum loudness, logarithm of the duration, and confidence of a segment."""

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
"""Arrays stored as float32, because the source rounded them to three decimals."""

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
"""Values that mean "unknown", by column of ``songs/``."""

POINTER_PREFIX = "idx_"
"""Prefix of the columns that point into a file's arrays; they are not kept."""


def _scalar_type(dtype: str) -> pa.DataType:
    kind = dtype.lstrip("<|")
    return pa.string() if kind.startswith("S") else {"i4": pa.int32(), "f8": pa.float64()}[kind]


def _array_type(array: Array) -> pa.DataType:
    kind = pa.float32() if array.name in ROUNDED_TO_THREE_DECIMALS else _scalar_type(array.dtype)
    # Values that cannot be null take a third less time to write.
    return pa.list_(pa.field("element", kind, nullable=False))


def _schema(nullable: Collection[str] = (), **columns: pa.DataType) -> pa.Schema:
    """Return a schema from types by column name; only the columns in `nullable` may be null."""
    return pa.schema([pa.field(name, kind, nullable=name in nullable) for name, kind in columns.items()])


SCALAR_COLUMNS: dict[str, pa.DataType] = {
    name: _scalar_type(table.columns[name].str)
    for table in TABLES
    for name in table.columns.names or ()
    if not name.startswith(POINTER_PREFIX)
}
"""Scalar fields of a song file, by name."""

ARRAY_COLUMNS: dict[str, pa.DataType] = {array.name: _array_type(array) for array in ARRAYS}
"""Arrays of a song file, by name; two-dimensional ones are flat, row by row."""

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
"""``songs/``: one row per track with every field of its song file, and the file, tar member or row it was read from."""

REJECTED = _schema(
    nullable={"member", "unit"},
    source=pa.string(),
    member=pa.string(),
    reason=pa.string(),
    detail=pa.string(),
    unit=pa.string(),
)
"""``rejected/stage=STAGE/``: one row per input that was rejected: its file, its member or line, a reason code, the
value seen, and the unit of ingest."""

LEDGER = _schema(
    unit=pa.string(),
    kind=pa.string(),
    location=pa.string(),
    source=pa.string(),
    inputs=pa.int64(),
    songs=pa.int64(),
    rejected=pa.int64(),
    duplicates=pa.int64(),
    skipped=pa.int64(),
    seconds=pa.float64(),
    files=pa.list_(pa.string()),
    file_sizes=pa.list_(pa.int64()),
    file_rows=pa.list_(pa.int64()),
    track_ids=pa.list_(pa.string()),
    rejections=pa.list_(pa.struct(list(REJECTED))),
    skips=pa.list_(pa.struct({"reason": pa.string(), "count": pa.int64(), "example": pa.string()})),
)
"""``ledger/``: one row per unit of ingest, with ``inputs = songs + rejected + duplicates + skipped``. The unit's name
is a fingerprint of its inputs (paths, sizes, modification times). ``source`` is its first input, ``files`` its files of
``songs/`` with their bytes and rows, ``track_ids`` all tracks found in it, including duplicates kept from another unit,
``rejections`` its rows of ``rejected/``, and ``skips`` the number of its skipped files or members by reason, with one
of them."""

LEDGER_COUNTS = ("inputs", "songs", "rejected", "duplicates", "skipped")
"""Columns of ``ledger/`` with counts: the first is the sum of the others."""

LYRICS = _schema(
    nullable={"lyric_vector"},
    track_id=pa.string(),
    musixmatch_id=pa.int64(),
    official_split=pa.string(),
    word_indices=pa.list_(pa.int32()),
    word_counts=pa.list_(pa.int32()),
    coverage=pa.float64(),
    lyric_vector=pa.list_(pa.float32()),
)
"""``lyrics/``: one row per track: its bag of words (indices from 1 into the header's words), the share of occurrences
that have a word vector, and its lyric vector, null if none of its words has one."""

LYRIC_WORDS = _schema(
    nullable={"word_vector"},
    index=pa.int32(),
    stem=pa.string(),
    word=pa.string(),
    tracks=pa.int64(),
    occurrences=pa.int64(),
    weight=pa.float64(),
    word_vector=pa.list_(pa.float32()),
)
"""``lyric_words/``: one row per word of the header: its index in the bags (from 1), stem and word, the number of
tracks with it and of its occurrences, its weight in a lyric vector, and its word vector, null if it has none.
Together with the common component in ``summaries/lyrics.json`` it determines the lyric vector of any other bag."""

LABELS = _schema(
    nullable={"minority_genre"},
    track_id=pa.string(),
    genre=pa.string(),
    minority_genre=pa.string(),
    label_set=pa.string(),
)
"""``labels/``: one row per track and label set, with the genre."""

TAGS = _schema(track_id=pa.string(), tag=pa.string(), score=pa.float32())
"""``tags/``: one row per track and normalised tag, with a score from 0 to 100."""

TAG_COUNTS = _schema(tag=pa.string(), tracks=pa.int64(), rank=pa.int32())
"""``tag_counts/``: one row per tag, with its number of tracks and its rank by that number, from 1."""

PLAYS = _schema(user_id=pa.string(), track_id=pa.string(), plays=pa.int64())
"""``plays/``: one row per user and track, with the number of plays."""

POPULARITY = _schema(
    track_id=pa.string(),
    plays=pa.int64(),
    listeners=pa.int64(),
    popularity_rank=pa.int32(),
    popularity_decile=pa.int32(),
)
"""``popularity/``: one row per track with listens: plays, distinct listeners, rank by plays (1 is the most played) and
the decile of that rank (9 for the most played tenth, 0 for the least)."""

DECILES = 10

FACTORS = _schema(kind=pa.string(), id=pa.string(), factors=pa.list_(pa.float32()))
"""``factors/``: ALS factors, one row per track (kind ``track``) and per user (kind ``user``)."""

RECOMMENDATIONS = _schema(user_id=pa.string(), rank=pa.int32(), track_id=pa.string(), score=pa.float32())
"""``recommendations/``: tracks that a user has not played, by rank from 1; the score is the dot product of their
factors."""

TAG_VECTOR, FACTOR_VECTOR = "tag_vector", "factors"
"""Optional columns of an example."""

PRESENCE = {
    "lyric_vector": "has_lyrics",
    "genre_index": "has_genre",
    "popularity_decile": "has_listens",
    TAG_VECTOR: "has_tags",
    FACTOR_VECTOR: "has_factors",
}
"""Flag (1 or 0) that states whether an example has a value in a column."""

ABSENT = -1
"""Value of an index column for a track without such a label."""

VECTOR = pa.list_(pa.field("element", pa.float32(), nullable=False))
"""Floats that are never null, which are faster to write and read."""

CELLS = pa.binary()
"""Arrays of one shape; see `msd_spark.core.cells` and `msd_spark.core.examples.ExampleForm.arrays`."""

EXAMPLES = _schema(
    nullable={"song_id"},
    track_id=pa.string(),
    song_id=pa.string(),
    artist_group=pa.string(),
    chroma=CELLS,
    timbre=CELLS,
    n_segments=pa.int32(),
    lyric_vector=CELLS,
    has_lyrics=pa.float32(),
    summary=CELLS,
    word_indices=CELLS,
    word_counts=CELLS,
    dynamics=CELLS,
    genre_index=pa.int32(),
    has_genre=pa.float32(),
    popularity_decile=pa.int32(),
    has_listens=pa.float32(),
    weight=pa.float32(),
)
"""``dataset/NAME/SPLIT/``: one row per example. The binary columns have arrays in the bytes of `numpy.save`. Chroma and
timbre have shape ``(300, 12)``, zero from row ``n_segments``; chroma is in thousandths if it is uint16. ``dynamics``
has shape ``(300, 3)``: maximum loudness in dB, natural logarithm of the duration in seconds, and confidence of the same
segments. ``summary`` has the statistics of all segments of the song (see `msd_spark.core.song_summary`).
``word_indices`` and ``word_counts`` have the 256 words of the bag with the highest tf-idf, padded with 0. Without
lyrics the words and the lyric vector are zero and ``has_lyrics`` 0; without genre or listens the index is -1 and the
flag 0. Datasets may have the further columns ``tag_vector``, ``has_tags``, ``factors`` and ``has_factors``."""


def examples_schema(*, tags: bool = False, factors: bool = False) -> pa.Schema:
    """Return the schema of examples, with optional columns.

    Parameters
    ----------
    tags : bool
        Add ``tag_vector`` (1 for each tag of the dataset's vocabulary that the track has) and ``has_tags``.
    factors : bool
        Add ``factors`` (zero for a track without them) and ``has_factors``.
    """
    schema = EXAMPLES
    for included, vector in ((tags, TAG_VECTOR), (factors, FACTOR_VECTOR)):
        if included:
            schema = schema.append(pa.field(vector, CELLS, nullable=False))
            schema = schema.append(pa.field(PRESENCE[vector], pa.float32(), nullable=False))
    return schema


EMBEDDING_FLAGS = ("has_lyrics", "has_genre", "has_listens")
"""Columns of an embedding that are 1 if the warehouse has the track's lyrics, genre (in any label set) or listens,
else 0. The model uses only the lyrics."""

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
"""``embeddings/RUN/``: one row per track: its embedding and the output of the model's head, in the order of the run's
class names. A run with genres has their probabilities, the most probable genre, and the entropy of the
probabilities in nats; ``target_scores`` is null. Any other run has the output (deciles, tags, factors) in
``target_scores``, and the genre columns are null; so is the entropy, except for deciles, whose scores are
probabilities."""

NEIGHBOURS = _schema(track_id=pa.string(), rank=pa.int32(), neighbour_id=pa.string(), distance=pa.float32())
"""``neighbours/RUN/``: nearest tracks of each track, by rank from 1. The distance is 1 - cosine, or Euclidean; at
equal distance the smaller track id comes first. A track has fewer than k rows if there are fewer other tracks."""

MAPS = _schema(track_id=pa.string(), x=pa.float32(), y=pa.float32(), fitted=pa.bool_())
"""``maps/RUN/``: coordinates of each track on the map of a run, sorted by track id, and whether the layout was fitted
to the track or the track was placed into it. The axes have no unit: near tracks are similar, large distances
mean little."""

FILTER_RESPONSES = _schema(
    nullable={"start", "end", "chroma", "timbre"},
    layer=pa.string(),
    stream=pa.string(),
    filter=pa.int32(),
    rank=pa.int32(),
    track_id=pa.string(),
    activation=pa.float32(),
    first_segment=pa.int32(),
    n_segments=pa.int32(),
    start=pa.float64(),
    end=pa.float64(),
    chroma=VECTOR,
    timbre=VECTOR,
)
"""``studies/RUN/filters.parquet``: the songs with the highest activation of each convolution filter, by rank from 1,
and the position of the maximum. The stream is ``chroma``, ``timbre`` or ``segments`` (both). The receptive field is
stated in rows of the example and in seconds of the song (null if ``songs/`` lacks them), with its unscaled chroma
and timbre, flat; null for an input that the filter does not have."""

OCCLUSION = _schema(
    nullable={"genre", "low", "high"},
    hidden=pa.string(),
    genre=pa.string(),
    figure=pa.string(),
    examples=pa.int32(),
    affected=pa.int32(),
    full=pa.float64(),
    occluded=pa.float64(),
    change=pa.float64(),
    low=pa.float64(),
    high=pa.float64(),
)
"""``studies/RUN/occlusion.parquet``: a metric of the test split, with all inputs and with ``lyrics``, ``audio``,
``chroma`` or ``timbre`` hidden, for one genre (or decile) or, if that is null, for all. ``affected`` is the number of
examples that had the hidden input. The change is occluded minus full; its 95 % interval is bootstrapped by artist, null
if undefined."""

SPLITS = ("train", "validation", "test")
"""Splits of a dataset, in the order in which their shares are cut."""


def spark_schema(schema: pa.Schema) -> StructType:
    """Return the Spark schema of an Arrow schema."""
    from pyspark.sql.pandas.types import from_arrow_schema

    return from_arrow_schema(schema)
