"""Small songs for scoring, written straight into ``songs/`` and ``lyrics/``: a song depends on its number alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from msd_spark.core.delta import DataFile
from msd_spark.core.schemas import EMBEDDING_SIZE, LYRICS, SONGS
from msd_spark.core.warehouse import Warehouse
from msd_spark.songfile.batches import songs_writer


def track_id(number: int) -> str:
    return f"TR{number:016d}"


def song(number: int) -> dict[str, Any]:
    """Return a song of 1 to 399 segments, some of them longer than an example."""
    generator = np.random.default_rng(number)
    n = int(generator.integers(1, 400))
    empty: dict[str, Any] = {
        field.name: None if field.nullable else [] if pa.types.is_list(field.type) else 0 for field in SONGS
    }
    return empty | {
        "track_id": track_id(number),
        "title": f"Song {number}",
        "artist_name": f"Artist {number // 3}",
        "n_segments": n,
        "source": f"/data/{number}.h5",
        "segments_pitches": generator.random(n * 12).astype(np.float32),
        "segments_timbre": generator.normal(0, 50, n * 12).astype(np.float32),
    }


def write_songs(
    warehouse: Warehouse,
    files: Sequence[Sequence[int]],
    songs_per_row_group: int = 100,
    changed: dict[int, dict[str, Any]] | None = None,
    *,
    append: bool = False,
) -> None:
    """Write ``songs/``: a file for each list of songs, named by the first of them.

    With `append` the existing files stay.
    """
    with warehouse.overwriting(SONGS, "songs") as table:
        if append and table.base:
            table.kept = list(table.base.files)
        for numbers in files:
            with table.destination.create(numbers[0]) as file, songs_writer(file.sink) as writer:
                for first in range(0, len(numbers), songs_per_row_group):
                    rows = [
                        song(number) | (changed or {}).get(number, {})
                        for number in numbers[first : first + songs_per_row_group]
                    ]
                    writer.write_table(pa.Table.from_pylist(rows, SONGS))
            table.add([DataFile(file.name, file.size, len(numbers))])


def lyric_vector(number: int) -> np.ndarray:
    return np.random.default_rng(1000 + number).normal(size=EMBEDDING_SIZE).astype(np.float32)


def write_lyrics(warehouse: Warehouse, numbers: Sequence[int], fingerprint: str = "of these words") -> None:
    """Write ``lyrics/`` for some songs, and the summary that names its vectors."""
    rows = [
        {
            "track_id": track_id(number),
            "musixmatch_id": number,
            "official_split": "train",
            "word_indices": [1],
            "word_counts": [1],
            "coverage": 1.0,
            "lyric_vector": lyric_vector(number),
        }
        for number in numbers
    ]
    warehouse.write_arrow(pa.Table.from_pylist(rows, LYRICS), "lyrics")
    warehouse.write_json({"vectors": {"fingerprint": fingerprint}}, "summaries", "lyrics.json")
