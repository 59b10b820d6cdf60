"""The search by name among 1,000,000 songs, and the whole command ``msd-spark similar``.

The names are those of ``../shared/msd-real/million.parquet`` if it exists, otherwise generated; the embeddings are
clustered noise. ``similar_text_ms`` is the slowest query's median of several searches, each of which opens the index;
``similar_text_median_ms`` is the median over the queries. Every call of the command is a process of its own; the first
call writes the index and the other files of the cache.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks import publish
from benchmarks.neighbours import clustered
from msd_spark.catalogue import name_search
from msd_spark.catalogue.name_index import FILE, NameIndex
from msd_spark.catalogue.name_search import search_names
from msd_spark.core.arrow import rows_to_lists
from msd_spark.core.cache import VARIABLE, cache_folder
from msd_spark.core.schemas import EMBEDDINGS, SONGS, VECTOR
from msd_spark.core.warehouse import Warehouse

REAL = Path(__file__).resolve().parents[2] / "shared" / "msd-real" / "million.parquet"
N_SONGS = 1_000_000
ROUNDS = 5
RUN = "names"
ROWS_PER_FILE = 25_000

QUERIES = (
    "hotel california",
    "halelujah",
    "beyonce crazy in love",
    "smells like teen spirit",
    "the beatles yesterday",
    "bjork",
    "enter sandmann",
    "ac dc thunderstruck",
    "la bamba live",
    "my way",
    "the love of you",
    "smels like ten spirt nirvana",
)


def catalogue() -> pa.Table:
    """Return the columns of the real catalogue that are in ``songs/``, or generated names."""
    if REAL.is_file():
        table = pq.read_table(REAL)
        measured = pc.greater(table["song_hotttnesss"], 0)  # 0 is unknown, as ingest reads it
        known = pc.if_else(measured, table["song_hotttnesss"], None)
        return table.set_column(table.schema.get_field_index("song_hotttnesss"), "song_hotttnesss", known)
    generator = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    sizes = generator.integers(2, 11, 60_000)
    words = np.array(["".join(generator.choice(letters, size)) for size in sizes])
    ranks = generator.zipf(1.2, (N_SONGS, 5)) % len(words)
    artist = np.minimum(generator.zipf(1.5, N_SONGS), 40_000)
    return pa.table(
        {
            "track_id": [f"TR{number:016d}" for number in range(N_SONGS)],
            "artist_name": [f"{words[number]} {words[-number - 1]}" for number in artist],
            "title": [" ".join(row) for row in words[ranks]],
            "song_hotttnesss": generator.random(N_SONGS),
        }
    )


def write_tables(warehouse: Warehouse, names: pa.Table) -> None:
    """Write ``songs/`` and the embeddings of a run."""
    n_songs = names.num_rows
    embedding = rows_to_lists(clustered(n_songs, 0), VECTOR)
    columns = {"track_id": names["track_id"], "embedding": embedding, "predicted_genre": pa.repeat("Rock", n_songs)}
    for schema, table, place in ((SONGS, names, ("songs",)), (EMBEDDINGS, pa.table(columns), ("embeddings", RUN))):
        arrays = [_column(field, table) for field in schema]
        rows = pa.Table.from_arrays(arrays, schema=schema)
        with warehouse.overwriting(schema, *place) as writer:
            for start in range(0, n_songs, ROWS_PER_FILE):
                writer.write(rows.slice(start, ROWS_PER_FILE))


def _column(field: pa.Field, table: pa.Table) -> Any:
    """Return a column, or one of nulls, zeros or empty lists."""
    if field.name in table.column_names:
        return table[field.name].cast(field.type)
    if field.nullable:
        return pa.nulls(table.num_rows, field.type)
    empty: Any = [] if pa.types.is_list(field.type) else "" if pa.types.is_string(field.type) else 0
    return pa.array([empty] * table.num_rows, field.type)


def timed_search(path: Path, query: str) -> tuple[float, float]:
    """Return the median milliseconds of a search, as in a new process, on the clock and of the processor.

    The processor's time is what an idle machine would need.
    """
    spent, busy = [], []
    for _ in range(ROUNDS):
        for cached in (name_search._artist_names, name_search._title_names):
            cached.cache_clear()
        started, worked = time.perf_counter(), time.process_time()
        with NameIndex(path) as index:
            search_names(index, query)
        spent.append(1000 * (time.perf_counter() - started))
        busy.append(1000 * (time.process_time() - worked))
    return median(spent), median(busy)


def timed_command(warehouse: Warehouse, *words: str) -> tuple[float, float]:
    """Return the seconds of one call of the command, on the clock and of the processor."""
    command = [str(Path(sys.executable).with_name("msd-spark")), "similar", *words, "--run", RUN]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [*command, "--warehouse", warehouse.root],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - started, busy


def main() -> None:
    """Measure and publish."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ[VARIABLE] = f"{folder}/cache"
        warehouse = Warehouse(f"{folder}/warehouse")
        names = catalogue()
        write_tables(warehouse, names)
        song = f"{names['artist_name'][N_SONGS // 2]} - {names['title'][N_SONGS // 2]}"
        figures = {"similar_first_call_seconds": timed_command(warehouse, song)[0]}
        by_name = [timed_command(warehouse, song) for _ in range(ROUNDS)]
        by_id = [timed_command(warehouse, str(names["track_id"][0])) for _ in range(ROUNDS)]
        for name, calls in (("next_call", by_name), ("by_id", by_id)):
            figures[f"similar_{name}_seconds"] = median(spent for spent, _ in calls)
            figures[f"similar_{name}_by_processor_time_seconds"] = median(busy for _, busy in calls)
        (path,) = cache_folder().rglob(FILE)
        figures["names_index_mebibytes"] = path.stat().st_size / 2**20
        rows = []
        for query in QUERIES:
            spent, busy = timed_search(path, query)
            with NameIndex(path) as index:
                found = search_names(index, query)
            first = found.song or next(iter(found.others), None)
            rows.append((query, spent, busy, found.outcome, f"{first.artist} - {first.title}" if first else ""))
        figures["similar_text_ms"] = max(row[1] for row in rows)
        figures["similar_text_by_processor_time_ms"] = max(row[2] for row in rows)
        figures["similar_text_median_ms"] = median(row[1] for row in rows)
        publish("names", ["query", "ms", "processor, ms", "outcome", "first"], rows, figures)


if __name__ == "__main__":
    main()
