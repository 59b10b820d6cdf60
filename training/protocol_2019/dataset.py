"""A dataset as the protocol of 2019 makes it, ``dataset/NAME-2019``, written from the examples of ``dataset/NAME``.

It is read, trained on and judged like any other. Normalisation is that of the dataset it is made from.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from msd_spark.core.errors import UserError
from msd_spark.core.runs import METADATA
from msd_spark.core.schemas import SPLITS
from training.data.dataset import Dataset
from training.protocol_2019.examples import ARTIST_DISJOINT, HELD_OUT, TRAIN, VALIDATION, Drawn, Protocol2019, draw

KEPT = ("label_set", "labels", "geometry", "segments", "normalisation", "lyric_vectors", "tags", "n_factors")
"""Metadata that holds for the examples wherever they stand."""

ROWS_PER_FILE = 256
FILES = 8
"""Files of a split at least, so that ranks can share it; fewer where it has fewer examples."""

LIGHT = ["track_id", "artist_group", "n_segments", "genre_index", "has_genre"]


def protocol_dataset(source: Dataset, rule: Protocol2019) -> str:
    """Write the protocol's dataset, if it is not there; return its name.

    Parameters
    ----------
    source : Dataset
        Parted by artist.
    rule : Protocol2019

    Raises
    ------
    UserError
        When the source is not parted by artist, or has no long enough songs to draw from and to judge by.
    """
    name, warehouse = f"{source.name}-2019", source.warehouse
    if source.metadata["split_rule"].get("by") != "artist":
        raise UserError(
            f"--protocol 2019 parts the examples itself, and takes artists that it must not know from the test split; "
            f"dataset {source.name} is not parted by artist, see jobs/dataset.py --split artist",
        )
    fingerprint = _fingerprint(source, rule)
    if warehouse.is_complete("dataset", name):
        before = warehouse.read_json("dataset", name, METADATA)
        if before["fingerprint"] == fingerprint:
            return name
        if "protocol" not in before:
            raise UserError(f"dataset/{name} is there and was not made by the protocol; rename it")
    tracks, facts = _tracks(source)
    pool, apart = tracks[tracks["split"] != SPLITS[2]], tracks[tracks["split"] == SPLITS[2]]
    drawn = draw(pool["track_id"], pool["genre"], rule)
    if not (len(drawn.train) and len(drawn.held_out) and len(apart)):
        raise UserError(
            f"--protocol 2019: {facts['kept']:,} of {facts['tracks']:,} songs of dataset {source.name} have a genre "
            f"and {source.geometry.n_segments} segments, {len(apart):,} of them in test; that is too few",
        )
    _write(source, name, rule, fingerprint, pool, apart, drawn, facts)
    return name


def _fingerprint(source: Dataset, rule: Protocol2019) -> str:
    content = json.dumps({"source": source.metadata["fingerprint"], "protocol": asdict(rule)}, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def _light(source: Dataset) -> Iterator[tuple[str, int, pa.Table]]:
    for split in SPLITS:
        for number, file in enumerate(source.metadata["files"][split]):
            yield split, number, _read(source, split, file["name"], LIGHT)


def _read(source: Dataset, split: str, name: str, columns: list[str] | None = None) -> pa.Table:
    path = source.warehouse.path("dataset", source.name, split, name)
    return pq.read_table(path, columns=columns, filesystem=source.warehouse.filesystem, partitioning=None)


def _tracks(source: Dataset) -> tuple[np.ndarray, dict[str, int]]:
    """Return where every track stands that takes part, each once, and how many do not."""
    kept, seen, short, unlabelled = [], set(), 0, 0
    for split, file, table in _light(source):
        columns = (table[name].to_pylist() for name in LIGHT)
        for row, (track, _, segments, genre, has_genre) in enumerate(zip(*columns, strict=True)):
            if track in seen:  # copies that balance genres
                continue
            seen.add(track)
            if not has_genre:
                unlabelled += 1
            elif segments < source.geometry.n_segments:
                short += 1
            else:
                kept.append((track, split, file, row, genre))
    dtype = [("track_id", "U32"), ("split", "U16"), ("file", np.int64), ("row", np.int64), ("genre", np.int64)]
    facts = {"tracks": len(seen), "without_genre": unlabelled, "too_short": short, "kept": len(kept)}
    return np.array(kept, dtype=dtype), facts


def _write(
    source: Dataset,
    name: str,
    rule: Protocol2019,
    fingerprint: str,
    pool: np.ndarray,
    apart: np.ndarray,
    drawn: Drawn,
    facts: dict[str, int],
) -> None:
    warehouse, labels = source.warehouse, source.labels
    wanted = {
        TRAIN: pool[drawn.train],
        VALIDATION: pool[drawn.validation],
        HELD_OUT: pool[np.sort(drawn.held_out)],
        ARTIST_DISJOINT: apart,
    }
    # What was drawn comes in any order, several times: it is held whole, each track once. The others pass through.
    held = np.unique(np.concatenate([wanted[TRAIN], wanted[VALIDATION]]))
    examples = pa.concat_tables(_examples(source, held))
    place = {track: number for number, track in enumerate(examples["track_id"].to_pylist())}
    files: dict[str, list[dict[str, Any]]] = {}
    with warehouse.replacing("dataset", name) as staging:

        def write(split: str, tables: Iterator[pa.Table]) -> None:
            warehouse.filesystem.create_dir(f"{staging}/{split}")
            files[split] = []
            for number, table in enumerate(tables):
                file = f"part-{number:06d}.parquet"
                pq.write_table(
                    table, f"{staging}/{split}/{file}", filesystem=warehouse.filesystem, row_group_size=len(table)
                )
                files[split].append({"name": file, "rows": len(table)})

        for split in (TRAIN, VALIDATION):
            places = np.array([place[track] for track in wanted[split]["track_id"]])
            size = _rows_per_file(len(places))
            write(split, (examples.take(places[start : start + size]) for start in range(0, len(places), size)))
        for split in (HELD_OUT, ARTIST_DISJOINT):
            write(split, _examples(source, wanted[split]))
        distinct = len(np.unique(np.concatenate([drawn.train, drawn.validation])))
        metadata = {name: source.metadata[name] for name in KEPT if name in source.metadata} | {
            "name": name,
            "split_rule": {"by": "protocol 2019", "source": source.name},
            "protocol": asdict(rule)
            | facts
            | {
                "source": {"name": source.name, "fingerprint": source.metadata["fingerprint"]},
                "drawn_tracks": distinct,
                "tracks_never_drawn": len(pool) - len(drawn.held_out) - distinct,
                "validation_rows_trained_on": drawn.validation_rows_trained_on,
            },
            "rows": {split: sum(file["rows"] for file in files[split]) for split in files},
            "examples_by_genre": {
                label: {split: int((rows["genre"] == index).sum()) for split, rows in wanted.items()}
                for index, label in enumerate(labels)
            },
            "files": files,
            "fingerprint": fingerprint,
        }
        warehouse.write_json(metadata, staging.removeprefix(warehouse.root + "/"), METADATA)


def _rows_per_file(rows: int) -> int:
    return max(1, min(ROWS_PER_FILE, rows // FILES))


def _examples(source: Dataset, wanted: np.ndarray) -> Iterator[pa.Table]:
    """Give the whole examples of some tracks, from one file of the source after the other."""
    for split, file in sorted(
        {(str(split), int(file)) for split, file in zip(wanted["split"], wanted["file"], strict=True)}
    ):
        rows = np.sort(wanted["row"][(wanted["split"] == split) & (wanted["file"] == file)])
        yield _read(source, split, source.metadata["files"][split][file]["name"]).take(rows)
