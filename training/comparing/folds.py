"""Artist-disjoint folds over all labelled songs, each written as a dataset of its own.

``dataset/NAME-rREPEAT-fFOLD`` has the held-out fold as its test split; about an eighth of the other songs, by whole
artists, is its validation split. Means and standard deviations for normalisation are those of its train split.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from msd_spark.core.errors import UserError
from msd_spark.core.examples import DatasetWriter
from msd_spark.core.model_inputs import HAS_LYRICS, WORD_INDICES
from msd_spark.core.moments import Moments
from msd_spark.core.normalisation import WORD_WEIGHTS, feature_moments, normalisation
from msd_spark.core.runs import DATASET_FILE
from msd_spark.core.schemas import SPLITS
from msd_spark.core.words import word_weights
from training.data.dataset import Dataset
from training.data.reading import to_numpy
from training.data.targets.target import CLASSES, LABELS, Target

VALIDATION_PARTS = 8
"""One of so many parts of the songs outside the held-out fold is the validation split."""

ROWS_PER_FILE = 256
FILES = 8
"""Files per split, so that ranks can share it; fewer if it has fewer examples."""

COUNTS_OF_SOURCE = ("examples_by_genre", "tracks_by_genre", "funnel", "funnel_steps")
"""Metadata of the source with counts that are not those of its folds."""


def assign_splits(strata: np.ndarray, groups: np.ndarray | None, folds: int, repeat: int) -> np.ndarray:
    """Return the split of each song when each fold is held out.

    The shape is ``(folds, n)``, with indices of `SPLITS`. `strata` and `groups` have shape ``(n,)``; folds have similar
    shares of the strata and share no group. Without groups, songs are split one by one.
    """
    splits = np.zeros((folds, len(strata)), np.int64)
    for fold, (others, held_out) in enumerate(_parts(strata, groups, folds, repeat)):
        splits[fold, held_out] = 2
        own = None if groups is None else groups[others]
        n_parts = min(VALIDATION_PARTS, len(others if own is None else np.unique(own)))
        if n_parts >= 2:
            _, validation = next(_parts(strata[others], own, n_parts, repeat))
            splits[fold, others[validation]] = 1
    return splits


def strata_of(target: Target, true: np.ndarray) -> np.ndarray:
    """Return the stratum of each song: its class, or its first tag."""
    return true if target.form == CLASSES else true.argmax(axis=1) * (target.form == LABELS)


def require_artists(source: Dataset, target: Target, groups: np.ndarray, folds: int) -> None:
    """Raise `UserError` if there are fewer artists than folds."""
    n_artists = len(np.unique(groups))
    if n_artists < folds:
        raise UserError(
            f"--folds {folds}: the songs with {target.content} in dataset {source.name} are by {n_artists} artists; "
            "choose fewer folds"
        )


def _parts(strata: np.ndarray, groups: np.ndarray | None, n: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    if np.bincount(strata).max() < n:
        strata = np.zeros_like(strata)  # scikit-learn refuses more parts than songs of the largest class
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class with fewer songs than folds
        splitter = StratifiedKFold if groups is None else StratifiedGroupKFold
        yield from splitter(n, shuffle=True, random_state=seed).split(strata, strata, groups)


def fold_datasets(
    source: Dataset,
    target: Target,
    prefix: str,
    folds: int,
    repeat: int,
    *,
    also: Target | None = None,
    validate_on_test: bool = False,
) -> list[str]:
    """Write the missing or outdated datasets of one repeat; return their names, by fold.

    Songs that have only the target `also` join the train split, unless an artist of theirs is in another split. With
    `validate_on_test`, the validation split has the songs of the test split: a mistake to measure.
    """
    songs = _songs_with(source, target)
    further = songs[:0]
    if also is not None:
        further = _songs_with(source, also)
        further = further[~np.isin(further["track_id"], songs["track_id"])]
    require_artists(source, target, songs["group"], folds)
    splits = assign_splits(songs["stratum"], songs["group"], folds, repeat)
    names = [f"{prefix}-r{repeat}-f{fold}" for fold in range(folds)]
    for fold, name in enumerate(names):
        rule = {
            **{"source": source.metadata["fingerprint"], "target": target.name},
            **{"folds": folds, "repeat": repeat, "fold": fold},
            **({"validation": "test"} if validate_on_test else {}),
            **({"also": also.name} if also is not None else {}),
        }
        fingerprint = hashlib.sha256(json.dumps(rule, sort_keys=True).encode()).hexdigest()[:32]
        if source.warehouse.is_complete("dataset", name):
            before = source.warehouse.read_json("dataset", name, DATASET_FILE)
            if before["fingerprint"] == fingerprint:
                continue
            if "folds" not in before:
                raise UserError(f"dataset/{name} was not written by compare --folds; choose another --name")
        chosen = [songs[splits[fold] == number] for number in (0, 2 if validate_on_test else 1, 2)]
        known = np.isin(further["group"], songs["group"][splits[fold] > 0])
        chosen[0] = np.sort(np.concatenate([chosen[0], further[~known]]), order="track_id")
        _write(source, name, chosen, {"folds": rule, "fingerprint": fingerprint})
    return names


def _songs_with(source: Dataset, target: Target) -> np.ndarray:
    """Return each track with the target once, sorted by track.

    The fields are ``track_id``, ``group``, ``stratum`` and the place in the source.
    """
    rows, seen = [], set()
    columns = ["track_id", "artist_group", target.column, target.presence]
    for split in source.metadata["files"]:
        table = source.targets(split, columns)
        if not table.num_rows:
            continue
        tracks, groups, true, present = (to_numpy(table[name]) for name in columns)
        strata = strata_of(target, true)
        for number, place in enumerate(source.places(split)):
            if present[number] > 0 and tracks[number] not in seen:  # else a copy that balances genres
                seen.add(tracks[number])
                rows.append((tracks[number], groups[number], strata[number], split, *place))
    dtype = [("track_id", "U32"), ("group", "U64"), ("stratum", np.int64), ("split", "U16"), ("file", np.int64)]
    return np.sort(np.array(rows, dtype=[*dtype, ("row", np.int64)]), order="track_id")


def _write(source: Dataset, name: str, songs: Sequence[np.ndarray], entries: dict[str, Any]) -> None:
    moments: list[dict[str, Moments]] = []
    indices, n_bags = list[np.ndarray](), 0
    schema, warehouse = source.schema, source.warehouse
    with warehouse.overwriting(schema, "dataset", name, partition_by="split") as table_writer:
        writer = DatasetWriter(table_writer)
        for split, chosen in zip(SPLITS, songs, strict=True):
            size = max(1, min(ROWS_PER_FILE, len(chosen) // FILES))
            for table in _examples(source, chosen, size):
                writer.write(table.cast(schema), split)
                if split == SPLITS[0]:
                    moments.append(feature_moments(table, source.geometry))
                    indices.append(to_numpy(table[WORD_INDICES]).ravel())
                    n_bags += int(table[HAS_LYRICS].to_numpy().sum())
        n_words = len(source.metadata["words"]["tracks"])
        words = word_weights(np.concatenate([np.zeros(0, np.int32), *indices]), n_bags, n_words)
        changed = {
            "name": name,
            "split_rule": {"by": "artist", "source": source.name},
            "normalisation": source.metadata["normalisation"] | normalisation(moments) | {WORD_WEIGHTS: words},
        }
        kept = {key: value for key, value in source.metadata.items() if key not in COUNTS_OF_SOURCE}
        writer.finish(kept | changed | entries)


def _examples(source: Dataset, chosen: np.ndarray, size: int) -> Iterator[pa.Table]:
    """Yield all columns of the chosen tracks in tables of `size` rows; the last is smaller."""
    rest: list[pa.Table] = []
    for split, file in sorted(set(zip(chosen["split"].tolist(), chosen["file"].tolist(), strict=True))):
        rows = np.sort(chosen["row"][(chosen["split"] == split) & (chosen["file"] == file)])
        whole = pa.concat_tables([*rest, source.read(split, file).take(rows)])
        while len(whole) >= size:
            yield whole.slice(0, size).combine_chunks()
            whole = whole.slice(size)
        rest = [whole]
    if rest and len(rest[0]):
        yield rest[0].combine_chunks()
