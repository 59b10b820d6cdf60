"""The features of the learned baselines.

The song summary and the words, where the dataset has these columns; otherwise 153 numbers per song: mean and covariance
of timbre and mean of chroma over the segments, the lyric vector, and whether the song has lyrics.
The authors of the dataset used the mean and covariance of timbre in their genre classifier [1]_.

References
----------
.. [1] T. Bertin-Mahieux, D. Ellis, B. Whitman, P. Lamere, "The Million Song Dataset", ISMIR 2011.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from msd_spark.core.model_inputs import SUMMARY, WORD_COUNTS, WORD_INDICES
from msd_spark.core.schemas import Geometry
from training.data.dataset import Dataset
from training.data.reading import to_numpy
from training.data.targets.target import Target

COLUMNS = ("chroma", "timbre", "n_segments", "lyric_vector", "has_lyrics")
"""Columns of the examples that the features are computed from, in a dataset without `SUMMARY`."""


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


def song_features(columns: Mapping[str, np.ndarray], geometry: Geometry, inputs: str = "both") -> np.ndarray:
    """Return the features of songs, from `COLUMNS` with ``chroma`` and ``timbre`` as flat rows.

    `inputs` is ``audio``, ``lyrics`` or ``both``.

    Returns
    -------
    numpy.ndarray
        Shape ``(n, n_features)``, float32: 12 means of timbre, 78 covariances, 12 means of chroma, 50 numbers of the
        lyric vector and 1 flag; the first three are 0 for a song without segments.
    """
    parts = []
    if inputs != "lyrics":
        mask = geometry.mask(columns["n_segments"])[..., None]
        lengths = np.maximum(mask.sum(axis=1), 1)
        chroma, timbre = (
            np.asarray(columns[name], np.float32).reshape(-1, *geometry.segments_shape) for name in ("chroma", "timbre")
        )
        mean = (timbre * mask).sum(axis=1) / lengths
        centred = (timbre - mean[:, None]) * mask
        covariance = centred.transpose(0, 2, 1) @ centred / lengths[..., None]
        upper = np.triu_indices(geometry.n_pitches)
        parts += [mean, covariance[:, upper[0], upper[1]], (chroma * mask).sum(axis=1) / lengths]
    if inputs != "audio":
        parts += [columns["lyric_vector"], np.reshape(columns["has_lyrics"], (-1, 1))]
    return np.hstack(parts).astype(np.float32)


def read_columns(
    dataset: Dataset, split: str, names: list[str], limit: int | None = None
) -> Iterator[dict[str, np.ndarray]]:
    """Yield columns of a split's examples, one file at a time; lists as arrays ``(n, width)``.

    Stops after the file that reaches `limit` examples. Examples are in the order of a hash of their track ids, so the
    first files are a random sample.
    """
    n_read = 0
    for number in range(len(dataset.rows(split))):
        if limit is not None and n_read >= limit:
            return
        table = dataset.read(split, number, names)
        n_read += table.num_rows
        if table.num_rows:
            yield {name: to_numpy(table[name]) for name in names}


def read_features(
    dataset: Dataset, split: str, target: Target, inputs: str = "both", limit: int | None = None
) -> Features:
    """Return the features and truths of the examples of a split that have the target.

    Memory: the examples of one file, and the features. See `read_columns` for `limit`.
    """
    has_words = {SUMMARY, WORD_INDICES, WORD_COUNTS} <= set(dataset.schema.names)
    names = (SUMMARY, WORD_INDICES, WORD_COUNTS) if has_words else COLUMNS
    parts: list[tuple[np.ndarray, ...]] = []
    for columns in read_columns(
        dataset, split, ["track_id", "artist_group", target.column, target.presence, *names], limit
    ):
        present = columns[target.presence] > 0
        none = np.zeros((len(present), 0), np.float32)
        words = (none.astype(np.int32), none)
        if has_words:
            values = none if inputs == "lyrics" else columns[SUMMARY]
            words = words if inputs == "audio" else (columns[WORD_INDICES], columns[WORD_COUNTS])
        else:
            values = song_features(columns, dataset.geometry, inputs)
        own = (
            columns["track_id"].astype(str),
            values,
            columns[target.column],
            columns["artist_group"].astype(str),
            *words,
        )
        parts.append(tuple(part[present] for part in own))
    if not parts:
        none = np.empty((0, 0), np.float32)
        return Features(np.empty(0, str), none, np.empty(0, np.int32), np.empty(0, str), none.astype(np.int32), none)
    arrays = [np.concatenate(column) for column in zip(*parts, strict=True)]
    order = np.argsort(arrays[0], kind="stable")
    return Features(*(array[order] for array in arrays))
