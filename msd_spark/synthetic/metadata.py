"""The contents of a song file: its analysis and the metadata of song and artist."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from msd_spark.core.song_layout import ANALYSIS, METADATA, MUSICBRAINZ, TABLES
from msd_spark.synthetic import names
from msd_spark.synthetic.analysis import Contents, Row, analysis
from msd_spark.synthetic.artists import make_artist
from msd_spark.synthetic.catalogue import Catalogue
from msd_spark.synthetic.draws import AnyArray, Stream, generator

_NO_YEAR, _NAN_HOTNESS, _ZERO_HOTNESS = 0.31, 0.31, 0.07  # shares of the real songs
_RELEASES = 6  # per artist


@dataclass(frozen=True)
class SongFile:
    """Contents of a song file: tables of one row by group, and arrays by path."""

    rows: dict[str, AnyArray]
    arrays: dict[str, AnyArray]


def song_file(catalogue: Catalogue, track: int) -> SongFile:
    """Draw the contents of a track's file; they depend only on seed, track and artist."""
    seed = catalogue.settings.seed
    artist = make_artist(seed, int(catalogue.artist[track]))
    random = generator(seed, Stream.SONG_METADATA, track)
    year = 0 if random.random() < _NO_YEAR else 1960 + int(50 * random.beta(3, 1.2))
    contents = {
        ANALYSIS: analysis(catalogue, track),
        METADATA: Contents(artist[METADATA].row | _song_row(catalogue, track, random), artist[METADATA].arrays),
        MUSICBRAINZ: Contents({"year": year}, artist[MUSICBRAINZ].arrays),
    }
    rows = {}
    for table in TABLES:
        rows[table.group] = row = np.zeros(1, table.columns)
        for name, value in contents[table.group].row.items():
            row[name] = value
    arrays = {path: values for part in contents.values() for path, values in part.arrays.items()}
    return SongFile(rows, arrays)


def _song_row(catalogue: Catalogue, track: int, random: np.random.Generator) -> Row:
    """Draw the song's own columns of the metadata table."""
    seed = catalogue.settings.seed
    artist = int(catalogue.artist[track])
    record = int(random.integers(_RELEASES))
    chance = random.random()
    hotness = float(np.clip(random.normal(0.45, 0.15), 0.05, 1.0))
    if chance < _NAN_HOTNESS:
        hotness = np.nan
    elif chance < _NAN_HOTNESS + _ZERO_HOTNESS:
        hotness = 0.0
    return {
        "release": names.release(seed, artist, record).encode(),
        "release_7digitalid": (artist * _RELEASES + record) % 800_000 + 1,
        "song_hotttnesss": hotness,
        "song_id": catalogue.song_id(track).encode(),
        "title": catalogue.title(track).encode(),
        "track_7digitalid": int(random.integers(1, 9_000_000)),
    }
