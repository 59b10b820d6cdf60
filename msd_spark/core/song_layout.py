"""HDF5 layout of a song file, for readers and writers.

Every file of the dataset has the same three groups. Each contains a compound table ``songs`` with one row per song,
and variable-length arrays; the table's columns ``idx_*`` point to each song's first row in each array (all 0 in a
file of one song).

References
----------
.. [1] T. Bertin-Mahieux, D. Ellis, B. Whitman, P. Lamere, "The Million Song Dataset",
   ISMIR 2011; field list: http://millionsongdataset.com/pages/field-list/
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

N_PITCHES = 12
"""Length of a chroma vector and of a timbre vector."""

SONGS = "songs"
ANALYSIS, METADATA, MUSICBRAINZ = "analysis", "metadata", "musicbrainz"
GROUPS = (ANALYSIS, METADATA, MUSICBRAINZ)

_FLOAT, _INTEGER = "<f8", "<i4"

ANALYSIS_COLUMNS = np.dtype(
    [
        ("analysis_sample_rate", _INTEGER),
        ("audio_md5", "S32"),
        ("danceability", _FLOAT),
        ("duration", _FLOAT),
        ("end_of_fade_in", _FLOAT),
        ("energy", _FLOAT),
        ("idx_bars_confidence", _INTEGER),
        ("idx_bars_start", _INTEGER),
        ("idx_beats_confidence", _INTEGER),
        ("idx_beats_start", _INTEGER),
        ("idx_sections_confidence", _INTEGER),
        ("idx_sections_start", _INTEGER),
        ("idx_segments_confidence", _INTEGER),
        ("idx_segments_loudness_max", _INTEGER),
        ("idx_segments_loudness_max_time", _INTEGER),
        ("idx_segments_loudness_start", _INTEGER),
        ("idx_segments_pitches", _INTEGER),
        ("idx_segments_start", _INTEGER),
        ("idx_segments_timbre", _INTEGER),
        ("idx_tatums_confidence", _INTEGER),
        ("idx_tatums_start", _INTEGER),
        ("key", _INTEGER),
        ("key_confidence", _FLOAT),
        ("loudness", _FLOAT),
        ("mode", _INTEGER),
        ("mode_confidence", _FLOAT),
        ("start_of_fade_out", _FLOAT),
        ("tempo", _FLOAT),
        ("time_signature", _INTEGER),
        ("time_signature_confidence", _FLOAT),
        ("track_id", "S32"),
    ]
)

METADATA_COLUMNS = np.dtype(
    [
        ("analyzer_version", "S32"),
        ("artist_7digitalid", _INTEGER),
        ("artist_familiarity", _FLOAT),
        ("artist_hotttnesss", _FLOAT),
        ("artist_id", "S32"),
        ("artist_latitude", _FLOAT),
        ("artist_location", "S1024"),
        ("artist_longitude", _FLOAT),
        ("artist_mbid", "S40"),
        ("artist_name", "S1024"),
        ("artist_playmeid", _INTEGER),
        ("genre", "S1024"),
        ("idx_artist_terms", _INTEGER),
        ("idx_similar_artists", _INTEGER),
        ("release", "S1024"),
        ("release_7digitalid", _INTEGER),
        ("song_hotttnesss", _FLOAT),
        ("song_id", "S32"),
        ("title", "S1024"),
        ("track_7digitalid", _INTEGER),
    ]
)

MUSICBRAINZ_COLUMNS = np.dtype([("idx_artist_mbtags", _INTEGER), ("year", _INTEGER)])


@dataclass(frozen=True)
class Table:
    """A group's compound table ``songs``.

    Attributes
    ----------
    columns : numpy.dtype
        Columns in the file's order, packed.
    chunk : int
        Rows per chunk.
    title : str
        PyTables' TITLE attribute.
    """

    group: str
    columns: np.dtype
    chunk: int
    title: str

    @property
    def path(self) -> str:
        """Path of the table in the file."""
        return f"{self.group}/{SONGS}"


@dataclass(frozen=True)
class Array:
    """A variable-length array of a group.

    Attributes
    ----------
    dtype : str
        Little-endian numpy type of an element.
    chunk : int
        Rows per chunk.
    title : str
        PyTables' TITLE attribute, including the dataset's mistakes.
    width : int or None
        Columns of a two-dimensional array, None for one dimension.
    """

    group: str
    name: str
    dtype: str
    chunk: int
    title: str
    width: int | None = None

    @property
    def path(self) -> str:
        """Path of the array in the file."""
        return f"{self.group}/{self.name}"

    @property
    def row_shape(self) -> tuple[int, ...]:
        """Shape of one row: () or (width,)."""
        return () if self.width is None else (self.width,)

    @property
    def index_column(self) -> str:
        """Column of the group's table with each song's first row."""
        return INDEX_COLUMN_OF.get(self.name, f"idx_{self.name}")


INDEX_COLUMN_OF = {
    "artist_terms_freq": "idx_artist_terms",
    "artist_terms_weight": "idx_artist_terms",
    "artist_mbtags_count": "idx_artist_mbtags",
}
"""Arrays that are parallel to another one and share its pointer."""

TABLES = (
    Table(ANALYSIS, ANALYSIS_COLUMNS, 37, "table of Echo Nest analysis for one song"),
    Table(METADATA, METADATA_COLUMNS, 3, "table of metadata for one song"),
    Table(MUSICBRAINZ, MUSICBRAINZ_COLUMNS, 1024, "table of data coming from MusicBrainz"),
)

GROUP_TITLES = {
    ANALYSIS: "Echo Nest analysis of the song",
    METADATA: "metadata about the song",
    MUSICBRAINZ: "data about the song coming from MusicBrainz",
}

ARRAYS = (
    Array(METADATA, "similar_artists", "S20", 409, "array of similar artists Echo Nest id"),
    Array(METADATA, "artist_terms", "S256", 32, "array of terms (Echo Nest tags) for an artist"),
    Array(METADATA, "artist_terms_freq", _FLOAT, 1024, "array of term (Echo Nest tags) frequencies for an artist"),
    Array(METADATA, "artist_terms_weight", _FLOAT, 1024, "array of term (Echo Nest tags) weights for an artist"),
    Array(ANALYSIS, "segments_start", _FLOAT, 1024, "array of start times of segments"),
    Array(ANALYSIS, "segments_confidence", _FLOAT, 1024, "array of confidence of segments"),
    Array(ANALYSIS, "segments_pitches", _FLOAT, 85, "array of pitches of segments (chromas)", N_PITCHES),
    Array(ANALYSIS, "segments_timbre", _FLOAT, 85, "array of timbre of segments (MFCC-like)", N_PITCHES),
    Array(ANALYSIS, "segments_loudness_max", _FLOAT, 1024, "array of max loudness of segments"),
    Array(ANALYSIS, "segments_loudness_max_time", _FLOAT, 1024, "array of max loudness time of segments"),
    Array(ANALYSIS, "segments_loudness_start", _FLOAT, 1024, "array of loudness of segments at start time"),
    Array(ANALYSIS, "sections_start", _FLOAT, 1024, "array of start times of sections"),
    Array(ANALYSIS, "sections_confidence", _FLOAT, 1024, "array of confidence of sections"),
    Array(ANALYSIS, "beats_start", _FLOAT, 1024, "array of start times of beats"),
    Array(ANALYSIS, "beats_confidence", _FLOAT, 1024, "array of confidence of sections"),
    Array(ANALYSIS, "bars_start", _FLOAT, 1024, "array of start times of bars"),
    Array(ANALYSIS, "bars_confidence", _FLOAT, 1024, "array of confidence of bars"),
    Array(ANALYSIS, "tatums_start", _FLOAT, 1024, "array of start times of tatums"),
    Array(ANALYSIS, "tatums_confidence", _FLOAT, 1024, "array of confidence of tatums"),
    Array(MUSICBRAINZ, "artist_mbtags", "S256", 32, "array of tags from MusicBrainz for an artist"),
    Array(MUSICBRAINZ, "artist_mbtags_count", _INTEGER, 2048, "array of tag counts from MusicBrainz for an artist"),
)
"""In the order of the dataset's own writer."""
