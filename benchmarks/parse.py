"""How fast song files are parsed, every field, on one core: beside PyTables' getters, plain h5py and inflating alone.

Real files are used where they are (``../shared/msd-sample``), made ones otherwise. The readers take turns
within a run, and each one's best round counts: a machine's mood lasts for more than one turn.
"""

from __future__ import annotations

import importlib
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
from isal import isal_zlib

from benchmarks import publish
from msd_spark.core.song_layout import ARRAYS, GROUPS, SONGS, TABLES
from msd_spark.songfile.batches import songs_to_batch, songs_writer
from msd_spark.songfile.h5py_reader import read_with_h5py
from msd_spark.songfile.parse import Song, parse_song
from msd_spark.synthetic.run import generate
from msd_spark.synthetic.settings import SyntheticSettings

REAL_SONGS = Path(__file__).resolve().parents[2] / "shared" / "msd-sample" / "songs"
SAMPLE = 100
ROUNDS = 5
ROW_GROUP = 64

Reader = Callable[[Path], object]


def column_getter(group: str, name: str) -> Callable[..., object]:
    """Return a getter of a column, in the manner of MSongsDB: find the table, then the column, then the row."""

    def get(file: Any, song: int = 0) -> object:
        return getattr(getattr(file.root, group).songs.cols, name)[song]

    return get


def array_getter(group: str, name: str, pointer: str) -> Callable[..., object]:
    """Return a getter of an array: from where the song's pointer says to where the next song's does."""

    def get(file: Any, song: int = 0) -> object:
        place = getattr(file.root, group)
        column = getattr(place.songs.cols, pointer)
        if place.songs.nrows == song + 1:
            return getattr(place, name)[column[song] :]
        return getattr(place, name)[column[song] : column[song + 1]]

    return get


GETTERS = [
    *(column_getter(table.group, name) for table in TABLES for name in table.columns.names or () if name[:4] != "idx_"),
    *(array_getter(array.group, array.name, array.index_column) for array in ARRAYS),
]


def read_with_getters(path: Path) -> object:
    """Read every field with a getter each, through PyTables."""
    tables: Any = importlib.import_module("tables")  # 3.11.1; a peer to measure, nothing else needs it
    with tables.open_file(str(path), mode="r") as file:
        return [get(file) for get in GETTERS]


def read_with_plain_h5py(path: Path) -> object:
    """Read every dataset whole through h5py."""
    with h5py.File(path, "r") as file:
        found = {f"{group}/{SONGS}": file[group][SONGS][...] for group in GROUPS}
        return found | {array.path: file[array.path][...] for array in ARRAYS}


def stored_chunks(path: Path) -> list[tuple[bytes, int]]:
    """Return a file's chunks as stored, each with the bytes that it inflates to."""
    chunks = []
    with h5py.File(path, "r") as file:
        for item in (*TABLES, *ARRAYS):
            dataset = file[item.path]
            size = int(np.prod(dataset.chunks)) * dataset.dtype.itemsize
            for number in range(dataset.id.get_num_chunks()):
                place = dataset.id.get_chunk_info(number).chunk_offset
                chunks.append((dataset.id.read_direct_chunk(place)[1], size))
    return chunks


def best_rates(contestants: dict[str, Callable[[], object]], songs: int, rounds: int = ROUNDS) -> dict[str, float]:
    """Return the songs per second of each contestant's best round; a round is one turn of each."""
    best = dict.fromkeys(contestants, float("inf"))
    for _ in range(rounds):
        for name, run in contestants.items():
            started = time.perf_counter()
            run()
            best[name] = min(best[name], time.perf_counter() - started)
    return {name: songs / seconds for name, seconds in best.items()}


def each(read: Reader, files: Sequence[Path]) -> Callable[[], object]:
    """Return a run of a reader over all files."""

    def run() -> None:
        for path in files:
            read(path)

    return run


def inflate_all(chunks: Sequence[tuple[bytes, int]]) -> None:
    """Inflate chunks and do nothing with them."""
    for stored, size in chunks:
        isal_zlib.decompress(stored, 15, size)


def write_songs(songs: Iterable[Song], path: Path) -> None:
    """Write parsed songs as Parquet."""
    remaining = iter(songs)
    with songs_writer(str(path)) as writer:
        while group := list(islice(remaining, ROW_GROUP)):
            writer.write_batch(songs_to_batch(group))


def sample(scratch: Path) -> list[Path]:
    """Return the files to read, evenly from all that there are."""
    files = sorted(REAL_SONGS.glob("**/*.h5"))
    if not files:
        generate(SyntheticSettings(songs=SAMPLE, seed=7), scratch / "data")
        files = sorted((scratch / "data").glob("songs/**/*.h5"))
    return files[:: max(1, len(files) // SAMPLE)][:SAMPLE]


def measure(scratch: Path) -> tuple[list[tuple[str, float, float]], dict[str, float]]:
    """Return the rows of the table (reader, songs per second, ratio to plain h5py) and the figures."""
    pa.set_cpu_count(1)
    files = sample(scratch)
    songs = [{**parse_song(path.read_bytes()), "source": path.name, "member": None} for path in files]
    chunks = [chunk for path in files for chunk in stored_chunks(path)]
    contestants: dict[str, Callable[[], object]] = {
        "h5py": each(read_with_plain_h5py, files),
        "reference": each(lambda path: read_with_h5py(path.read_bytes()), files),
        "ours": each(lambda path: parse_song(path.read_bytes(), path.stem), files),
        "inflate_only": lambda: inflate_all(chunks),
        "write": lambda: write_songs(songs, scratch / "songs.parquet"),
    }
    try:
        read_with_getters(files[0])
        contestants = {"msongsdb": each(read_with_getters, files), **contestants}
    except ImportError:
        print("PyTables is not installed: no row for getters as in MSongsDB")
    rates = best_rates(contestants, len(files))
    described = {
        "msongsdb": "PyTables, one getter per field as in MSongsDB",
        "h5py": "h5py, every dataset",
        "reference": "ours through h5py (used where the direct reader falls back)",
        "ours": "ours",
        "inflate_only": "inflating the chunks (ISA-L), nothing else",
        "write": "parsed songs into Parquet",
    }
    figures = {f"songs_per_second_{name}": rate for name, rate in rates.items()}
    figures |= {f"parse_over_{name}": rates["ours"] / rates[name] for name in ("msongsdb", "h5py") if name in rates}
    figures["parse_over_inflate_only"] = rates["ours"] / rates["inflate_only"]
    figures["parquet_bytes_per_song"] = (scratch / "songs.parquet").stat().st_size / len(files)
    return [(described[name], rates[name], rates[name] / rates["h5py"]) for name in described if name in rates], figures


def main() -> None:
    """Measure and publish."""
    with tempfile.TemporaryDirectory() as name:
        rows, figures = measure(Path(name))
    publish("parse", [f"one core, {SAMPLE} files, every field", "songs/s", "of h5py"], rows, figures)


if __name__ == "__main__":
    main()
