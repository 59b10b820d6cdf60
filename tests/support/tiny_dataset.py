"""A dataset of random examples, written straight to disk: what training reads, without Spark."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from msd_spark.core.examples import DatasetWriter, ExampleForm, examples_table
from msd_spark.core.runs import DATASET_FILE
from msd_spark.core.schemas import ABSENT, GEOMETRY, SPLITS, examples_schema
from msd_spark.core.song_summary import SUMMARY_SIZE
from msd_spark.core.warehouse import Warehouse
from msd_spark.core.words import WORDS

LABELS = ["Blues", "Jazz", "Rap"]
TAGS = ["loud", "quiet", "odd", "even"]
FACTOR_SIZE = 5


def examples(
    n_rows: int, generator: np.random.Generator, prefix: str, *, targets: bool = False, missing: float = 0.0
) -> pa.Table:
    """Return random examples of three genres, told apart by their mean timbre.

    With `targets` they have tags, listens and factors too; of each target, and of the genre,
    a share `missing` of the examples has none.
    """
    genres = generator.integers(0, len(LABELS), n_rows)
    lengths = generator.integers(20, 301, n_rows)
    mask = GEOMETRY.mask(lengths)[..., None]
    timbre = (generator.normal(size=(n_rows, *GEOMETRY.segments_shape)) + genres[:, None, None]) * mask
    chroma = np.round(generator.random((n_rows, *GEOMETRY.segments_shape)), 3).astype(np.float32) * mask
    has_lyrics = generator.integers(0, 2, n_rows)
    columns = {
        "track_id": [f"TR{prefix}{number:014d}" for number in range(n_rows)],
        "song_id": [f"SO{prefix}{number:014d}" for number in range(n_rows)],
        "artist_group": [f"AR{number}" for number in range(n_rows)],
        "chroma": chroma,
        "timbre": timbre,
        "n_segments": lengths.astype(np.int32),
        "lyric_vector": generator.normal(size=(n_rows, GEOMETRY.lyric_size)) * has_lyrics[:, None],
        "has_lyrics": has_lyrics.astype(np.float32),
        "summary": generator.normal(size=(n_rows, SUMMARY_SIZE)).astype(np.float32) + genres[:, None],
        "word_indices": np.arange(1, WORDS + 1) * has_lyrics[:, None],
        "word_counts": generator.integers(1, 4, (n_rows, WORDS)) * has_lyrics[:, None],
        "dynamics": generator.normal(size=(n_rows, 300, 3)) * mask,
        "genre_index": genres.astype(np.int32),
        "has_genre": np.ones(n_rows, np.float32),
        "popularity_decile": np.full(n_rows, ABSENT, np.int32),
        "has_listens": np.zeros(n_rows, np.float32),
        "weight": np.ones(n_rows, np.float32),
    }
    if not targets:
        return examples_table(columns, ExampleForm(GEOMETRY, chroma="uint16"))
    flags = {
        name: (generator.random(n_rows) >= missing).astype(np.float32)
        for name in ("has_genre", "has_listens", "has_tags", "has_factors")
    }
    tags = generator.integers(0, 2, (n_rows, len(TAGS))).astype(np.float32)
    factors = (generator.normal(size=(n_rows, FACTOR_SIZE)) + genres[:, None]).astype(np.float32)
    columns |= flags | {
        "genre_index": np.where(flags["has_genre"] > 0, genres, ABSENT).astype(np.int32),
        "popularity_decile": np.where(flags["has_listens"] > 0, generator.integers(0, 10, n_rows), ABSENT).astype(
            np.int32
        ),
        "tag_vector": tags * flags["has_tags"][:, None],
        "factors": factors * flags["has_factors"][:, None],
    }
    return examples_table(columns, ExampleForm(GEOMETRY, len(TAGS), FACTOR_SIZE, chroma="uint16"))


def write_tiny_dataset(
    folder: Path,
    rows: dict[str, list[int]],
    seed: int = 0,
    *,
    targets: bool = False,
    missing: float = 0.0,
    words: bool = True,
) -> Warehouse:
    """Write ``dataset/tiny`` with files of the given numbers of rows in each split; see `examples`.

    Without `words`, its metadata are those of a dataset without lyrics.
    """
    generator = np.random.default_rng(seed)
    warehouse = Warehouse(str(folder))
    counts = {label: dict.fromkeys(SPLITS, 0) for label in LABELS}
    schema = examples_schema(tags=targets, factors=targets)
    with warehouse.overwriting(schema, "dataset", "tiny", partition_by="split") as table_writer:
        writer = DatasetWriter(table_writer)
        for letter, split in zip("TVE", SPLITS, strict=True):
            for number, n_rows in enumerate(rows[split]):
                table = examples(n_rows, generator, f"{letter}{number}", targets=targets, missing=missing)
                writer.write(table, split)
                for genre in table["genre_index"].to_pylist():
                    if genre != ABSENT:
                        counts[LABELS[genre]][split] += 1
        widths = {"chroma": GEOMETRY.n_pitches, "timbre": GEOMETRY.n_pitches, "lyric_vector": GEOMETRY.lyric_size}
        widths |= {"summary": SUMMARY_SIZE, "dynamics": 3}
        metadata: dict[str, Any] = {
            "name": "tiny",
            "labels": LABELS,
            "chroma": "uint16",
            "geometry": {"n_segments": 300, "n_pitches": 12, "lyric_size": 50},
            "split_rule": {"by": "artist"},
            "normalisation": {
                **{name: {"mean": [0.0] * width, "deviation": [1.0] * width} for name, width in widths.items()},
                "words": {"weight": [0.0, *[1.0] * WORDS]},
            },
            "lyric_vectors": "none",
            "words": {"fingerprint": "tiny", "tracks": [1] * WORDS if words else []},
            "examples_by_genre": counts,
            "fingerprint": f"tiny-{seed}",
        }
        if targets:
            metadata |= {"tags": TAGS, "n_factors": FACTOR_SIZE}
        writer.finish(metadata)
    return warehouse


def copy_tiny_dataset(
    warehouse: Warehouse,
    name: str,
    change: Callable[[pa.Table, str], pa.Table],
    entries: Mapping[str, Any] | None = None,
) -> None:
    """Write ``dataset/tiny`` as ``dataset/NAME``, which may be itself, with other examples and metadata.

    `change` takes the examples of a file and its split; `entries` replace those of the metadata.
    """
    metadata = warehouse.read_json("dataset", "tiny", DATASET_FILE)
    schema = warehouse.open_table("dataset", "tiny").schema
    with warehouse.overwriting(schema, "dataset", name, partition_by="split") as table_writer:
        writer = DatasetWriter(table_writer)
        for split in SPLITS:
            for file in metadata["files"][split]:
                path = warehouse.path("dataset", "tiny", split, file["name"])
                writer.write(change(pq.read_table(path, partitioning=None), split), split)
        writer.finish(metadata | dict(entries or {}))
