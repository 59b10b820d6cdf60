"""Splits of the same songs with one popular mistake each.

Every protocol holds out each song once, in one of `K` folds, so its predictions are comparable song by song.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from training.comparing.folds import assign_splits

HONEST = "none"
TRACKS = "split by track"
DUPLICATES = "duplicates across splits"
RESAMPLED = "resampled before the split"
NORMALISED = "normalised on all songs"
CHOSEN = "hyperparameters chosen on test"
EPOCH = "epoch chosen on test"


class Fold(NamedTuple):
    """Indices of the songs in each split; a song may be in train and validation repeatedly."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class Protocol:
    """Rows of songs, the split of each row when each fold is held out, and what else differs.

    Attributes
    ----------
    rows : numpy.ndarray
        Shape ``(m,)``, indices of songs: first each song once, in order, then copies.
    splits : numpy.ndarray
        Shape ``(folds, m)``, indices of `SPLITS`.
    by_artist : bool
        Whether cross-validation within train keeps artists together.
    """

    rows: np.ndarray
    splits: np.ndarray
    by_artist: bool = True
    normalise_on_all: bool = False
    choose_on_test: bool = False

    def folds(self) -> Iterator[Fold]:
        """Yield the songs of each fold; copies are never in test, so that each song is there once."""
        n_songs = len(np.unique(self.rows))
        for split in self.splits:
            train, validation = (self.rows[split == number] for number in (0, 1))
            yield Fold(train, validation, np.flatnonzero(split[:n_songs] == 2))


def protocols(
    strata: np.ndarray, artists: np.ndarray, song_ids: np.ndarray, folds: int, repeat: int
) -> dict[str, Protocol]:
    """Return the honest protocol and those with a mistake, by name.

    `strata`, `artists` and `song_ids` have shape ``(n,)``; tracks with the same song id are duplicates.
    """
    songs = np.arange(len(strata))
    honest = Protocol(songs, assign_splits(strata, artists, folds, repeat))
    rows = resampled(strata, repeat)
    return {
        HONEST: honest,
        TRACKS: Protocol(songs, assign_splits(strata, None, folds, repeat), by_artist=False),
        DUPLICATES: Protocol(songs, spread_duplicates(honest.splits, song_ids)),
        RESAMPLED: Protocol(rows, assign_splits(strata[rows], None, folds, repeat), by_artist=False),
        NORMALISED: replace(honest, normalise_on_all=True),
        CHOSEN: replace(honest, choose_on_test=True),
    }


def resampled(strata: np.ndarray, seed: int) -> np.ndarray:
    """Return every song once, then copies at random until all strata are equally large."""
    generator = np.random.default_rng(seed)
    counts = np.bincount(strata)
    copies = [
        generator.choice(np.flatnonzero(strata == stratum), counts.max() - count)
        for stratum, count in enumerate(counts)
        if count
    ]
    return np.concatenate([np.arange(len(strata)), *copies])


def is_duplicate(song_ids: np.ndarray) -> np.ndarray:
    """Return whether another track has the same song id: shape ``(n,)``."""
    _, song, counts = np.unique(song_ids, return_inverse=True, return_counts=True)
    return counts[song] > 1


def spread_duplicates(splits: np.ndarray, song_ids: np.ndarray) -> np.ndarray:
    """Hold out the tracks of a song in different folds, and train on them in all others.

    The fold of a song's first track, and the splits of songs with a single track, are those of `splits`.
    """
    order = np.argsort(song_ids, kind="stable")
    _, first, counts = np.unique(song_ids[order], return_index=True, return_counts=True)
    number = np.empty(len(order), np.int64)
    number[order] = np.arange(len(order)) - np.repeat(first, counts)
    repeated = is_duplicate(song_ids)
    fold = ((splits == 2).argmax(axis=0) + number)[repeated] % len(splits)
    spread = splits.copy()
    spread[:, repeated] = np.where(fold == np.arange(len(splits))[:, None], 2, 0)
    return spread
