"""Artist identification: known artists, unknown songs.

References
----------
.. [1] T. Bertin-Mahieux, D. Ellis, B. Whitman, P. Lamere, "The Million Song Dataset", ISMIR 2011.
.. [2] T. Bertin-Mahieux, ``MSongsDB/Tasks_Demos/ArtistRecognition``: artists with at least 20 songs; 15 songs of each
   for training (``split_train_test.py``), or two thirds, rounded up (``split_train_test_unbalanced.py``). 1-NN uses the
   means and covariances of timbre, not scaled (``process_train_set.py``).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from msd_spark.core.errors import UserError
from msd_spark.core.warehouse import Warehouse
from training.comparing.options import FEWEST_SONGS
from training.comparing.protocols.contract import (
    DRAWN,
    TEST,
    TIMBRE,
    TRAIN,
    Anchor,
    Division,
    Lists,
    Protocol,
    Truths,
    listed_division,
)
from training.evaluation.bootstrap import Artists, Candidate, mean_statistic
from training.evaluation.mapping import Mapper
from training.evaluation.song_features import Features

TRAINING_SHARE = 15 / FEWEST_SONGS

BALANCED, UNBALANCED = "15 songs of each artist in train", "two thirds of the songs of each artist in train"

OFFICIAL_SONGS = {BALANCED: {TRAIN: 271_095, TEST: 532_300}, UNBALANCED: {TRAIN: 541_892, TEST: 261_503}}
"""Songs of the 18,073 artists, as stated in [2]_."""

CELLS_AT_ONCE = 1 << 26
"""Scores in memory: 512 MB."""


def split_songs(artist_ids: pd.Series, fewest_songs: int, *, balanced: bool, seed: int = 0) -> pd.Series:
    """Return `TRAIN` or `TEST` for the songs of artists with enough songs, null for others.

    Of each artist, ``round(0.75 * fewest_songs)`` random songs are in train if `balanced`, otherwise two thirds of the
    songs, rounded up. The draw depends on the order of the songs.

    Examples
    --------
    >>> artists = pd.Series(["a"] * 4 + ["b"] * 3)
    >>> split_songs(artists, 4, balanced=True).value_counts(dropna=False).to_dict()
    {'train': 3, None: 3, 'test': 1}
    """
    counts = artist_ids.map(artist_ids.value_counts()).to_numpy()
    order = np.random.default_rng(seed).permutation(len(artist_ids))
    shuffled = artist_ids.iloc[order]
    place = np.empty(len(order), np.int64)
    place[order] = shuffled.groupby(shuffled, observed=True).cumcount().to_numpy()
    n_train = round(TRAINING_SHARE * fewest_songs) if balanced else np.ceil(counts * 2 / 3)
    splits = np.where(place < n_train, TRAIN, TEST).astype(object)
    splits[counts < fewest_songs] = None
    return pd.Series(splits, artist_ids.index, dtype=object)


class Artist(Protocol):
    """Artist of a song; each artist has songs in train."""

    name = "artist"
    title = "artist of a song, from 12 means and 78 covariances of timbre"
    features = TIMBRE
    fewest_segments = 3
    metrics = ("accuracy",)
    needs_lists = False
    anchors = (
        Anchor(
            "1-NN",
            {"accuracy": "4.82 %"},
            "quoted for Bertin-Mahieux et al., ISMIR 2011",
            "artists with at least 20 songs; which of the two splits is not stated",
        ),
    )

    def __init__(self, fewest_songs: int = FEWEST_SONGS) -> None:
        self.fewest_songs = fewest_songs

    def truths(self, warehouse: Warehouse, tracks: pd.DataFrame) -> Truths:
        """Return the index of each track's artist id."""
        true, names = pd.factorize(tracks["artist_id"], sort=True)
        return Truths(true, np.ones(len(tracks), bool), tuple(names))

    def divisions(self, tracks: pd.DataFrame, lists: Lists) -> list[Division]:
        """Divide the tracks by lists of tracks, or draw them by the two documented rules."""
        if lists.ids:
            return [listed_division(tracks, lists)]
        n_artists = int((tracks["artist_id"].value_counts() >= self.fewest_songs).sum())
        if n_artists < 2:
            raise UserError(
                f"--protocol artist: {n_artists} artists of songs/ have {self.fewest_songs} songs, and 2 are needed; "
                "ingest more songs, or lower --protocol-songs for a result that is not comparable"
            )
        name = "" if self.fewest_songs == FEWEST_SONGS else f", scaled to artists with {self.fewest_songs} songs"
        return [
            Division(
                kind + name,
                split_songs(tracks["artist_id"], self.fewest_songs, balanced=kind == BALANCED),
                OFFICIAL_SONGS[kind],
                DRAWN,
            )
            for kind in (BALANCED, UNBALANCED)
        ]

    def candidates(
        self, train: Features, test: Features, class_names: tuple[str, ...], artists: Artists, mapper: Mapper
    ) -> dict[str, Candidate]:
        """Fit 1-NN as published, 1-NN on standardised features, a linear classifier and the majority."""
        nearest = {"n_neighbors": 1, "algorithm": "brute"}
        models = {
            "1-NN": KNeighborsClassifier(**nearest),
            "1-NN, standardised": make_pipeline(StandardScaler(), KNeighborsClassifier(**nearest)),
            "linear discriminant": make_pipeline(StandardScaler(), LinearDiscriminantAnalysis()),
        }
        n_classes = len(np.unique(train.true))
        size = max(1, CELLS_AT_ONCE // n_classes)

        def predict(name: str) -> np.ndarray:
            model = models[name].fit(train.values, train.true)
            parts = range(0, len(test.true), size)
            return np.concatenate([model.predict(test.values[start : start + size]) for start in parts])

        predicted = dict(zip(models, mapper(predict, list(models)), strict=True))
        predicted["majority"] = np.full(len(test.true), np.bincount(train.true).argmax())
        return {name: _accuracy(test.true, own, n_classes, artists) for name, own in predicted.items()}


def _accuracy(true: np.ndarray, predicted: np.ndarray, n_classes: int, artists: Artists) -> Candidate:
    right = (true == predicted).astype(np.float64)
    metrics = {"accuracy": float(right.mean()), "examples": len(true), "classes": n_classes}
    return Candidate(metrics, mean_statistic({"accuracy": right}, artists))
