"""Write ``dataset/NAME-2019``, the 2019 protocol's dataset, from ``dataset/NAME``.

Any command can read it like another dataset. Its normalisation is that of the source dataset.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa

from msd_spark.core.errors import UserError
from msd_spark.core.examples import DatasetWriter
from msd_spark.core.runs import DATASET_FILE
from msd_spark.core.schemas import SPLITS
from training.data.dataset import Dataset
from training.protocol_2019.examples import ARTIST_DISJOINT, HELD_OUT, TRAIN, VALIDATION, Drawn, Protocol2019, draw

COPIED = (
    "label_set",
    "labels",
    "geometry",
    "segments",
    "normalisation",
    "lyric_vectors",
    "words",
    "tags",
    "n_factors",
    "chroma",
)
"""Metadata of the source that hold for any choice of its examples."""

ROWS_PER_FILE = 256
FILES = 8
"""Files per split, so that ranks can share it; fewer if it has fewer examples."""

LIGHT = ["track_id", "n_segments", "genre_index", "has_genre"]
"""Columns that decide whether a track is used."""


def name_of(source: str) -> str:
    """Return the name of the protocol's dataset."""
    return f"{source}-2019"


def protocol_dataset(source: Dataset, rule: Protocol2019) -> str:
    """Write the protocol's dataset if it is missing or outdated; return its name.

    The source must be split by artist.
    """
    name, warehouse = name_of(source.name), source.warehouse
    if source.metadata["split_rule"].get("by") != "artist":
        raise UserError(
            f"--protocol 2019 needs unknown artists in the test split, but dataset {source.name} is not split by "
            "artist; run msd-spark dataset --split artist"
        )
    made_of = json.dumps({"source": source.metadata["fingerprint"], "protocol": asdict(rule)}, sort_keys=True)
    fingerprint = hashlib.sha256(made_of.encode()).hexdigest()[:32]
    if warehouse.is_complete("dataset", name):
        before = warehouse.read_json("dataset", name, DATASET_FILE)
        if before["fingerprint"] == fingerprint:
            return name
        if "protocol" not in before:
            raise UserError(f"dataset/{name} was not written by --protocol 2019; rename it")
    tracks, counts = _tracks(source, drop_short=rule.short == "drop")
    in_test = tracks["split"] == SPLITS[2]
    pool, apart = tracks[~in_test], tracks[in_test]
    drawn = draw(pool["track_id"], pool["genre"], rule)
    if not (len(drawn.train) and len(drawn.held_out) and len(apart)):
        raise UserError(
            f"--protocol 2019: {counts['kept']:,} of {counts['tracks']:,} songs of dataset {source.name} are usable, "
            f"{len(apart):,} of them in test; these are too few, write a dataset with more songs (msd-spark dataset)"
        )
    chosen = {
        TRAIN: pool[drawn.train],
        VALIDATION: pool[drawn.validation],
        HELD_OUT: pool[np.sort(drawn.held_out)],
        ARTIST_DISJOINT: apart,
    }
    metadata = {key: source.metadata[key] for key in COPIED if key in source.metadata} | {
        "name": name,
        "split_rule": {"by": "protocol 2019", "source": source.name},
        "protocol": asdict(rule) | counts | _leak(source, drawn, len(pool)),
        "examples_by_genre": {
            label: {split: int((rows["genre"] == index).sum()) for split, rows in chosen.items()}
            for index, label in enumerate(source.labels)
        },
        "fingerprint": fingerprint,
    }
    _write(source, name, chosen, metadata)
    return name


def _leak(source: Dataset, drawn: Drawn, n_tracks: int) -> dict[str, Any]:
    distinct = len(np.unique(np.concatenate([drawn.train, drawn.validation])))
    return {
        "source": {"name": source.name, "fingerprint": source.metadata["fingerprint"]},
        "drawn_tracks": distinct,
        "tracks_never_drawn": n_tracks - len(drawn.held_out) - distinct,
        "validation_rows_trained_on": drawn.validation_rows_trained_on,
    }


def _tracks(source: Dataset, *, drop_short: bool) -> tuple[np.ndarray, dict[str, int]]:
    """Return file and row of each usable track, once, and the counts of usable and other tracks."""
    usable, seen, short, unlabelled = [], set(), 0, 0
    for split in SPLITS:
        table = source.targets(split, LIGHT)
        columns = (table[name].to_pylist() for name in LIGHT)
        for (file, row), (track, segments, genre, has_genre) in zip(
            source.places(split), zip(*columns, strict=True), strict=True
        ):
            if track in seen:  # a copy that balances genres
                continue
            seen.add(track)
            if not has_genre:
                unlabelled += 1
            elif drop_short and segments < source.geometry.n_segments:
                short += 1
            else:
                usable.append((track, split, file, row, genre))
    dtype = [("track_id", "U32"), ("split", "U16"), ("file", np.int64), ("row", np.int64), ("genre", np.int64)]
    counts = {"tracks": len(seen), "without_genre": unlabelled, "too_short": short, "kept": len(usable)}
    return np.array(usable, dtype=dtype), counts


def _write(source: Dataset, name: str, chosen: Mapping[str, np.ndarray], metadata: dict[str, Any]) -> None:
    warehouse = source.warehouse
    # Drawn rows are in random order with repetitions, so each drawn track is in memory once; other splits are streamed.
    examples = pa.concat_tables(_examples(source, np.unique(np.concatenate([chosen[TRAIN], chosen[VALIDATION]]))))
    place = {track: number for number, track in enumerate(examples["track_id"].to_pylist())}

    def tables(split: str) -> Iterator[pa.Table]:
        if split in (HELD_OUT, ARTIST_DISJOINT):
            yield from _examples(source, chosen[split])
            return
        places = np.array([place[track] for track in chosen[split]["track_id"]])
        size = max(1, min(ROWS_PER_FILE, len(places) // FILES))
        for start in range(0, len(places), size):
            yield examples.take(places[start : start + size])

    schema = source.schema
    with warehouse.overwriting(schema, "dataset", name, partition_by="split") as table_writer:
        writer = DatasetWriter(table_writer, list(chosen))
        for split in chosen:
            for table in tables(split):
                writer.write(table.cast(schema), split)
        writer.finish(metadata)


def _examples(source: Dataset, chosen: np.ndarray) -> Iterator[pa.Table]:
    """Yield all columns of the chosen tracks, one table per file of the source."""
    for split, file in sorted(set(zip(chosen["split"].tolist(), chosen["file"].tolist(), strict=True))):
        rows = np.sort(chosen["row"][(chosen["split"] == split) & (chosen["file"] == file)])
        yield source.read(split, file).take(rows)
