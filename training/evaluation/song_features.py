"""The features of the learned baselines: song summary and words of a split's examples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial

import numpy as np

from msd_spark.core.model_inputs import SUMMARY, WORD_COUNTS, WORD_INDICES
from training.data.dataset import Dataset
from training.data.reading import to_numpy
from training.data.targets.target import Target
from training.evaluation.mapping import Mapper, map_here


@dataclass(frozen=True)
class Features:
    """Features and truths of the examples of a split that have the target.

    Attributes
    ----------
    track_ids : numpy.ndarray
        Shape ``(n,)``, sorted.
    values : numpy.ndarray
        Shape ``(n, n_features)``, float32.
    true : numpy.ndarray
        Shape ``(n,)`` for classes, ``(n, size)`` for tags and factors.
    artist_groups : numpy.ndarray
        Shape ``(n,)``.
    word_indices, word_counts : numpy.ndarray
        Shape ``(n, n_words)``: numbers of words from 1, 0 in the padding, and counts; ``(n, 0)`` without words.
    """

    track_ids: np.ndarray
    values: np.ndarray
    true: np.ndarray
    artist_groups: np.ndarray
    word_indices: np.ndarray
    word_counts: np.ndarray

    @classmethod
    def concatenate(cls, parts: Sequence[Features]) -> Features:
        """Return the features of several sets of songs, at least one."""
        return cls(**{item.name: np.concatenate([getattr(part, item.name) for part in parts]) for item in fields(cls)})

    def of_inputs(self, inputs: str) -> Features:
        """Return the features of ``audio``, ``lyrics`` or ``both``; others have width 0."""
        if inputs == "audio":
            return replace(self, word_indices=self.word_indices[:, :0], word_counts=self.word_counts[:, :0])
        return replace(self, values=self.values[:, :0]) if inputs == "lyrics" else self

    def take(self, places: np.ndarray) -> Features:
        """Return the features of some songs, by indices or a boolean mask."""
        return Features(**{item.name: getattr(self, item.name)[places] for item in fields(self)})


def read_columns(dataset: Dataset, split: str, names: list[str]) -> Iterator[dict[str, np.ndarray]]:
    """Yield columns of a split's examples, one file at a time; arrays have shape ``(n, …)``."""
    return (_columns(dataset, split, number, names) for number in files_with(dataset.rows(split)))


def _columns(dataset: Dataset, split: str, number: int, names: list[str]) -> dict[str, np.ndarray]:
    table = dataset.read(split, number, names)
    return {name: to_numpy(table[name]) for name in names}


def files_with(rows: Sequence[int], limit: int | None = None) -> list[int]:
    """Return the first files that have rows, up to the one that reaches `limit` rows.

    Examples are in the order of a hash of their track ids, so the first files are a random sample.

    Examples
    --------
    >>> files_with([0, 3, 2, 4]), files_with([0, 3, 2, 4], limit=4)
    ([1, 2, 3], [1, 2])
    """
    before = np.cumsum([0, *rows[:-1]])
    return [file for file, n_rows in enumerate(rows) if n_rows and (limit is None or before[file] < limit)]


def read_file(dataset: Dataset, split: str, target: Target, number: int) -> Features:
    """Return the features and truths of the examples of a file that have the target."""
    names = ["track_id", "artist_group", target.column, target.presence, SUMMARY, WORD_INDICES, WORD_COUNTS]
    columns = _columns(dataset, split, number, names)
    tracks, groups = (columns[name].astype(str) for name in ("track_id", "artist_group"))
    words = columns[WORD_INDICES], columns[WORD_COUNTS]
    songs = Features(tracks, columns[SUMMARY], columns[target.column], groups, *words)
    return songs.take(columns[target.presence] > 0)


def read_features(
    dataset: Dataset, split: str, target: Target, limit: int | None = None, mapper: Mapper = map_here
) -> Features:
    """Return the features and truths of the examples of a split that have the target, sorted by track id.

    The files are those of `files_with`.
    """
    parts = mapper(partial(read_file, dataset, split, target), files_with(dataset.rows(split), limit))
    if not parts:
        none = np.empty((0, 0), np.float32)
        return Features(np.empty(0, str), none, np.empty(0, np.int32), np.empty(0, str), none.astype(np.int32), none)
    songs = Features.concatenate(parts)
    return songs.take(np.argsort(songs.track_ids, kind="stable"))
