"""A warehouse of generated embeddings, written straight to disk: what neighbours need, without a model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from msd_spark.core.schemas import EMBEDDINGS, LABELS, LYRIC_WORDS, LYRICS, SONGS
from msd_spark.core.warehouse import Warehouse

GENRES = ("Blues", "Jazz", "Latin", "Rap")
SPANISH = "que de el corazón amor noche quiero vida siempre nunca contigo mi tu yo eres todo".split()
ENGLISH = "the you heart love night want life always never with my your are everything and".split()
WORDS = [*SPANISH, *ENGLISH]


def write_embedded_songs(folder: Path, n: int = 240, seed: int = 0, run: str = "tiny") -> Warehouse:
    """Write ``songs``, ``lyrics``, ``lyric_words``, ``labels`` and ``embeddings/RUN`` of `n` songs in four clusters.

    Three songs an artist; Latin songs have Spanish lyrics, the others English ones, every fourth song none.
    """
    generator = np.random.default_rng(seed)
    warehouse = Warehouse(str(folder))
    genre = generator.integers(0, len(GENRES), -(-n // 3)).repeat(3)[:n]
    tracks = [f"TR{number:06d}{'A' * 10}" for number in range(n)]
    centres = generator.normal(size=(len(GENRES), 50))
    embedding = (centres[genre] + 0.3 * generator.normal(size=(n, 50))).astype(np.float32)
    warehouse.write_arrow(_songs(tracks, genre, generator), "songs")
    with_lyrics = np.arange(n) % 4 != 3
    warehouse.write_arrow(_lyrics(tracks, genre, with_lyrics, generator), "lyrics")
    words = [
        {"index": number, "stem": word, "word": word, "tracks": 1, "occurrences": 1, "weight": 1.0, "word_vector": None}
        for number, word in enumerate(WORDS, 1)
    ]
    warehouse.write_arrow(pa.Table.from_pylist(words, LYRIC_WORDS), "lyric_words")
    labels = [
        {"track_id": track, "genre": GENRES[code], "minority_genre": None, "label_set": "cd1"}
        for track, code in zip(tracks, genre, strict=True)
    ]
    warehouse.write_arrow(pa.Table.from_pylist(labels, LABELS), "labels")
    columns = {
        "track_id": tracks,
        "embedding": list(embedding),
        "genre_probabilities": list(np.eye(len(GENRES), dtype=np.float32)[genre]),
        "predicted_genre": [GENRES[code] for code in genre],
        "entropy": np.zeros(n, np.float32),
        "target_scores": [None] * n,
        "has_lyrics": with_lyrics.astype(np.float32),
        "has_genre": np.ones(n, np.float32),
        "has_listens": np.zeros(n, np.float32),
        "run": [run] * n,
    }
    embeddings = pa.Table.from_pydict(columns, schema=EMBEDDINGS)
    warehouse.write_arrow(embeddings.take(generator.permutation(n)), "embeddings", run)
    return warehouse


def _songs(tracks: list[str], genre: np.ndarray, generator: np.random.Generator) -> pa.Table:
    rows = []
    for number, track in enumerate(tracks):
        segments = int(generator.integers(4, 12))
        timbre = generator.normal(size=(segments, 12)) * 10 + genre[number] * 8
        row: dict[str, object] = {
            field.name: None if field.nullable else [] if pa.types.is_list(field.type) else 0 for field in SONGS
        }
        rows.append(
            row
            | {
                "track_id": track,
                "song_id": f"SO{number:06d}{'B' * 10}",
                "artist_id": f"AR{number // 3}",
                "artist_name": f"Ártist {number // 3}",
                "title": f"Title {number}",
                "year": int(1970 + 10 * genre[number] + number % 7),
                "tempo": float(90 + 20 * genre[number] + generator.normal()),
                "loudness": float(-5 - genre[number] + generator.normal()),
                "key": int(generator.integers(0, 12)),
                "duration": 200.0 + number,
                "n_segments": segments,
                "source": f"/data/{track}.h5",
                "segments_timbre": timbre.ravel().astype(np.float32),
                "segments_pitches": generator.random((segments, 12)).ravel().astype(np.float32),
            }
        )
    return pa.Table.from_pylist(rows, SONGS)


def _lyrics(tracks: list[str], genre: np.ndarray, present: np.ndarray, generator: np.random.Generator) -> pa.Table:
    rows = []
    for number in np.flatnonzero(present):
        first, stop = (1, len(SPANISH)) if GENRES[genre[number]] == "Latin" else (len(SPANISH) + 1, len(WORDS))
        indices = np.sort(generator.choice(np.arange(first, stop + 1), 10, replace=False))
        rows.append(
            {
                "track_id": tracks[number],
                "musixmatch_id": int(number),
                "official_split": "train",
                "word_indices": indices.tolist(),
                "word_counts": generator.integers(1, 6, len(indices)).tolist(),
                "coverage": 0.0,
                "lyric_vector": None,
            }
        )
    return pa.Table.from_pylist(rows, LYRICS)
