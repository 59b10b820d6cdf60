"""Small tables of a warehouse, written straight to disk: what the dataset job reads, without the jobs before it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from msd_spark.core.delta import DataFile
from msd_spark.core.schemas import ARRAY_COLUMNS, FACTORS, LABELS, LYRICS, POPULARITY, SONGS, TAG_COUNTS, TAGS
from msd_spark.core.summary import SUMMARIES
from msd_spark.core.warehouse import Warehouse
from msd_spark.songfile.batches import songs_writer


def track(number: int) -> str:
    return f"TR{number:016d}"


def song(number: int, n_segments: int = 2, **fields: Any) -> dict[str, Any]:
    """Return a row of ``songs/``: an artist of its own, and segments by which it is known again."""
    row: dict[str, Any] = {field.name: [] if field.name in ARRAY_COLUMNS else None for field in SONGS}
    segments = np.arange(n_segments * 12, dtype=np.float32)
    row |= {
        "track_id": track(number),
        "song_id": f"SO{number:016d}",
        "artist_id": f"AR{number:016d}",
        "artist_name": f"Artist {number}",
        "title": f"Title {number}",
        "n_segments": n_segments,
        "source": f"{track(number)}.h5",
        "segments_pitches": (segments + number * 100) / 1000,
        "segments_timbre": -segments - number * 100,
        "segments_start": np.arange(n_segments, dtype=float),
        "duration": float(n_segments),
    }
    return row | fields


def write_songs(
    warehouse: Warehouse, songs: Sequence[Mapping[str, Any]], per_group: int = 3, per_file: int = 7
) -> None:
    """Write ``songs/`` in files of row groups of these sizes."""
    with warehouse.overwriting(SONGS, "songs") as table:
        for start in range(0, max(1, len(songs)), per_file):
            part = list(songs[start : start + per_file])
            with table.destination.create(start) as file, songs_writer(file.sink) as writer:
                for first in range(0, len(part), per_group):
                    writer.write_batch(pa.RecordBatch.from_pylist(part[first : first + per_group], SONGS))
            table.add([DataFile(file.name, file.size, len(part))])


def write_labels(warehouse: Warehouse, genres: Mapping[str, str], label_set: str = "cd1") -> None:
    rows = [{"track_id": name, "genre": genre, "label_set": label_set} for name, genre in genres.items()]
    warehouse.write_arrow(pa.Table.from_pylist(rows, LABELS), "labels")


def write_lyrics(warehouse: Warehouse, vectors: Mapping[str, np.ndarray | None]) -> None:
    rows = [
        {
            "track_id": name,
            "musixmatch_id": 1,
            "official_split": "train",
            "word_indices": [1],
            "word_counts": [1],
            "coverage": 0.0 if vector is None else 1.0,
            "lyric_vector": vector,
        }
        for name, vector in vectors.items()
    ]
    warehouse.write_arrow(pa.Table.from_pylist(rows, LYRICS), "lyrics")
    warehouse.write_json({"vectors": {"fingerprint": "some vectors"}}, SUMMARIES, "lyrics.json")


def write_tags(warehouse: Warehouse, tags: Iterable[tuple[str, str]], vocabulary: Sequence[str]) -> None:
    rows = [{"track_id": name, "tag": tag, "score": 100.0} for name, tag in tags]
    warehouse.write_arrow(pa.Table.from_pylist(rows, TAGS), "tags")
    counts = [{"tag": tag, "tracks": 1, "rank": rank} for rank, tag in enumerate(vocabulary, 1)]
    warehouse.write_arrow(pa.Table.from_pylist(counts[::-1], TAG_COUNTS), "tag_counts")


def write_popularity(warehouse: Warehouse, ranked: Sequence[str]) -> None:
    """Write ``popularity/``: the most played track first."""
    rows = [
        {
            "track_id": name,
            "plays": len(ranked) - rank,
            "listeners": 1,
            "popularity_rank": rank + 1,
            "popularity_decile": 9 - 10 * rank // len(ranked),
        }
        for rank, name in enumerate(ranked)
    ]
    warehouse.write_arrow(pa.Table.from_pylist(rows, POPULARITY), "popularity")


def write_factors(warehouse: Warehouse, factors: Mapping[str, Sequence[float]]) -> None:
    rows = [{"kind": "track", "id": name, "factors": values} for name, values in factors.items()]
    rows.append({"kind": "user", "id": track(0), "factors": [1.0]})
    warehouse.write_arrow(pa.Table.from_pylist(rows, FACTORS), "factors")
