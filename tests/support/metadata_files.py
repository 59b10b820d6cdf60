"""Files of metadata in every format, with the same rows."""

from __future__ import annotations

import csv
import gzip
import io
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from msd_spark.core.song_layout import TABLES
from tests.support.without_spark import track

OFFICIAL = (
    "track_id text PRIMARY KEY, title text, song_id text, release text, artist_id text, artist_mbid text, "
    "artist_name text, duration real, artist_familiarity real, artist_hotttnesss real, year int, "
    "track_7digitalid int, shs_perf int, shs_work int"
)
"""Columns of the official ``track_metadata.db``."""

COLUMNS = [column.split()[0] for column in OFFICIAL.split(", ")]

FORMATS = ("track_metadata.db", "metadata.csv", "metadata.csv.gz", "metadata.tsv", "metadata.parquet", "summary.h5")


def row_of(number: int) -> dict[str, Any]:
    """Return the metadata of a track; every third has no year, every fifth no names."""
    return {
        "track_id": track(number),
        "title": f'Song, "no. {number}" é' if number % 5 else "",
        "song_id": f"SO{number:016d}",
        "release": f"Release\nof {number}" if number % 7 == 1 else "Release",
        "artist_id": f"AR{number % 50:016d}",
        "artist_mbid": "",
        "artist_name": f"Artist {number % 50}" if number % 5 else "",
        "duration": 100.25 + number,
        "artist_familiarity": 0.5,
        "artist_hotttnesss": float("nan"),
        "year": 1990 + number % 20 if number % 3 else 0,
        "track_7digitalid": number if number % 2 else -1,
        "shs_perf": -1,
        "shs_work": 0,
    }


def write_metadata(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    """Write rows in the format of the file's name; return the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    listed = list(rows)
    if path.suffix == ".db":
        write_database(path, [[None if one != one else one for one in row.values()] for row in listed])
    elif path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(listed), path, row_group_size=700)
    elif path.suffix == ".h5":
        _write_summary(path, listed)
    else:
        _write_csv(path, listed)
    return path


def write_database(path: Path, rows: Sequence[Sequence[Any]], columns: str = OFFICIAL) -> None:
    """Write a database with the table ``songs``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"CREATE TABLE songs ({columns})")
        marks = ", ".join("?" * len(columns.split(", ")))
        database.executemany(f"INSERT INTO songs VALUES ({marks})", rows)
        database.commit()


def _write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    content = io.StringIO(newline="")
    writer = csv.DictWriter(content, list(rows[0]), delimiter="\t" if path.suffix == ".tsv" else ",")
    writer.writeheader()
    writer.writerows(rows)
    encoded = content.getvalue().encode()
    path.write_bytes(gzip.compress(encoded) if path.suffix == ".gz" else encoded)


def _write_summary(path: Path, rows: list[dict[str, Any]]) -> None:
    with h5py.File(path, "w") as file:
        for table in TABLES:
            content = np.zeros(len(rows), table.columns)
            for name in set(table.columns.names or ()) & set(rows[0]):
                content[name] = [one.encode() if isinstance(one, str) else one for one in (row[name] for row in rows)]
            file.create_dataset(table.path, data=content, chunks=(min(100, len(rows)),))
