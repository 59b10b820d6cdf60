"""Write a run with many songs and everything that its map shows, without Spark, TensorFlow and training."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa

from msd_spark.core.arrow import rows_to_lists
from msd_spark.core.runs import METADATA, RUNS
from msd_spark.core.schemas import EMBEDDING_SIZE, FACTORS, LABELS, NEIGHBOURS, PLAYS, POPULARITY
from msd_spark.core.warehouse import Warehouse
from msd_spark.factors.settings import METADATA_FILE, AlsParameters
from tests.support.report_listens import judged, replace_table

RUN = "large"
N_GENRES, N_WORDS, K, N_USERS = 15, 4000, 10, 20
GENRES = [f"Genre {number:02d}" for number in range(N_GENRES)]
SYLLABLES = "la mi so ré tü ka no vé ra øl de él an wi sé ão".split()
PARAMETERS = AlsParameters(rank=64)


def lists_of(rows: np.ndarray) -> pa.ListArray:
    """Return the rows of a matrix as a column of lists of float32."""
    return rows_to_lists(rows.astype(np.float32), pa.list_(pa.float32()))


def phrases(generator: np.random.Generator, words: np.ndarray, n: int, most: int) -> list[str]:
    """Return texts of one to `most` words."""
    chosen, lengths = words[generator.integers(0, len(words), (n, most))], generator.integers(1, most + 1, n)
    return [" ".join(row[:length]) for row, length in zip(chosen.tolist(), lengths.tolist(), strict=True)]


def write_large_run(warehouse: Warehouse, n: int, *, seed: int = 0, listens: bool = False) -> np.ndarray:
    """Write a run of `n` songs in clusters, by genre; return x, y and genre of each, shape ``(n, 3)``.

    With `listens`, the songs have factors and some users have plays.
    """
    generator = np.random.default_rng(seed)
    genre = generator.integers(0, N_GENRES, n)
    places = (generator.normal(size=(N_GENRES, 2)) * 20)[genre] + generator.normal(size=(n, 2)) * 6
    tracks = pa.array([f"TR{number:07d}{'B' * 9}" for number in range(n)])
    syllables = np.array(SYLLABLES)[generator.integers(0, len(SYLLABLES), (N_WORDS, 3))]
    words = np.array(["".join(parts).capitalize() for parts in syllables.tolist()], object)
    artists = np.array(phrases(generator, words, max(1, n // 8), 2), object)
    described: dict[str, Any] = {
        "track_id": tracks,
        "title": phrases(generator, words, n, 4),
        "artist_name": artists[generator.integers(0, len(artists), n)],
        "release": artists[generator.integers(0, len(artists), n)],
        "year": generator.integers(1950, 2010, n),
        "duration": generator.uniform(100, 400, n),
        "tempo": generator.uniform(60, 200, n),
        "key": generator.integers(0, 12, n),
        "mode": generator.integers(0, 2, n),
    }
    warehouse.write_arrow(pa.table(described), "songs")
    names = np.array(GENRES)[genre]
    labels = [tracks, pa.array(names), pa.nulls(n, pa.string()), pa.array(["cd1"] * n)]
    warehouse.write_arrow(pa.table(labels, schema=LABELS), "labels")
    plays = generator.integers(1, 1000, n)
    rank = np.argsort(np.argsort(-plays)) + 1
    popularity = [tracks, pa.array(plays), pa.array(plays), pa.array(rank.astype(np.int32))]
    popularity.append(pa.array((9 - (rank - 1) * 10 // n).astype(np.int32)))
    warehouse.write_arrow(pa.table(popularity, schema=POPULARITY), "popularity")
    embeddings = {
        "track_id": tracks,
        "embedding": lists_of(generator.normal(size=(n, EMBEDDING_SIZE))),
        "predicted_genre": names,
        "genre_probabilities": lists_of(generator.dirichlet(np.ones(N_GENRES), n)),
        "has_lyrics": np.ones(n, np.float32),
    }
    warehouse.write_arrow(pa.table(embeddings), "embeddings", RUN)
    # Random neighbours, whose names are in as many files as possible.
    near = [tracks.take(np.repeat(np.arange(n), K)), np.tile(np.arange(1, K + 1, dtype=np.int32), n)]
    near += [tracks.take(generator.integers(0, n, n * K)), generator.random(n * K).astype(np.float32)]
    warehouse.write_arrow(pa.table(near, schema=NEIGHBOURS), "neighbours", RUN)
    xy = places.astype(np.float32)
    mapped = {"track_id": tracks, "x": xy[:, 0], "y": xy[:, 1], "fitted": np.zeros(n, bool)}
    warehouse.write_arrow(pa.table(mapped), "maps", RUN)
    if listens:
        _write_listens(warehouse, tracks, generator)
    target = {"name": "genre", "class_names": GENRES}
    needed: dict[str, Any] = {"geometry": {}, "normalisation": {}, "lyric_vectors": "none", "dataset": None}
    with warehouse.replacing_folder(RUNS, RUN) as folder:
        folder.point_by_json(METADATA, {"run": RUN, "model": "none", "target": target, **needed})
    return np.column_stack([places, genre])


def _write_listens(warehouse: Warehouse, tracks: pa.Array, generator: np.random.Generator) -> None:
    n, users = len(tracks), [f"user {number}" for number in range(N_USERS)]
    vectors = lists_of(generator.normal(size=(n + N_USERS, PARAMETERS.rank)))
    kinds = pa.array(["track"] * n + ["user"] * N_USERS)
    rows = pa.table([kinds, pa.concat_arrays([tracks, pa.array(users)]), vectors], schema=FACTORS)
    metadata = {"parameters": asdict(PARAMETERS), "judged": judged(), "counts": {"test users": 3}}
    replace_table(warehouse, rows, {METADATA_FILE: metadata}, "factors")
    played = tracks.take(generator.choice(n, 8 * N_USERS))
    counts = pa.array(generator.integers(1, 20, 8 * N_USERS))
    warehouse.write_arrow(pa.table([pa.array(np.repeat(users, 8)), played, counts], schema=PLAYS), "plays")
