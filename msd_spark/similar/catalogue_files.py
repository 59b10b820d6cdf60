"""Write the files of `msd_spark.similar.catalogue.Catalogue`."""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from msd_spark.catalogue.embeddings import read_embeddings
from msd_spark.catalogue.genres import displayed_genres
from msd_spark.catalogue.name_index import FILE, build_name_index
from msd_spark.catalogue.named_songs import read_named_songs
from msd_spark.catalogue.songs import NAMES, normalised_names
from msd_spark.core.cache import VARIABLE
from msd_spark.core.errors import UserError
from msd_spark.core.warehouse import Warehouse
from msd_spark.similar.settings import SONGS_FILE, TRACKS, VECTORS_FILE

SHOW_PROGRESS = 50_000
"""Songs from which progress is shown."""


def write_catalogue(folder: Path, warehouse: Warehouse, run: str) -> None:
    """Write the vectors of a run, and the names and genres of their tracks."""
    embedded = read_embeddings(warehouse, run)
    np.save(folder / VECTORS_FILE, embedded.vectors)
    names = warehouse.read_table(["track_id", *NAMES, "duration"], "songs").to_pandas()
    songs = names.drop_duplicates("track_id").set_index("track_id").reindex(embedded.track_ids)
    genre = displayed_genres(warehouse, run).reindex(songs.index)
    artist = normalised_names(songs["artist_name"])
    songs = songs.assign(genre=genre, predicted_genre=embedded.predicted_genre, artist=artist)
    songs["name"] = artist + "\n" + normalised_names(songs["title"])
    texts = [name for name in songs.columns if name != "duration"]
    fields = [(name, pa.string()) for name in ("track_id", *texts)] + [("duration", pa.float64())]
    table = pa.Table.from_pandas(songs.rename_axis("track_id").reset_index(), pa.schema(fields), preserve_index=False)
    tracks = hashlib.sha256("\n".join(embedded.track_ids).encode()).hexdigest()
    table = table.replace_schema_metadata({TRACKS: tracks}).combine_chunks()
    with pa.OSFile(str(folder / SONGS_FILE), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def write_names(folder: Path, warehouse: Warehouse, track_ids: pa.ChunkedArray) -> None:
    """Write the index of the names of tracks."""
    songs = read_named_songs(warehouse, track_ids)
    bar = tqdm(songs, "similar: index of names", unit="song", mininterval=1.0, disable=len(songs) < SHOW_PROGRESS)
    try:
        build_name_index(folder / FILE, bar)
    except sqlite3.OperationalError as error:
        if "no such module" in str(error):  # as in TensorFlow's SQLite, which Horovod makes global
            raise UserError(f"SQLite: {error}; call msd-spark similar in a process without Horovod") from error
        raise UserError(f"the cache {folder} cannot be written: {error}; free space, or set {VARIABLE}") from error
