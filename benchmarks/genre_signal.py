"""How well logistic regression predicts the genre of generated songs from sound, words and temporal order."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack, lil_matrix
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import GroupKFold, KFold, cross_val_predict
from sklearn.preprocessing import scale

from benchmarks import publish
from msd_spark.synthetic.analysis import analysis
from msd_spark.synthetic.catalogue import Catalogue, Integers, make_catalogue
from msd_spark.synthetic.draws import Floats
from msd_spark.synthetic.labels import noisy_genres
from msd_spark.synthetic.lyrics import bag_of_words
from msd_spark.synthetic.settings import SyntheticSettings
from msd_spark.synthetic.vocabulary import VOCABULARY_SIZE

SONGS = 2000
SEEDS = (7, 8, 9)
LYRICS, AUDIO, BOTH, ORDER = "words", "audio", "audio and words", "audio, words and temporal order"
LEAKING = "audio, split by track"
PAIRS = np.triu_indices(12)
INVERSE_PENALTY = 1.0
FOLDS = 5


def levels(timbre: Floats, pitches: Floats) -> Floats:
    """Return mean and covariance of timbre, and mean chroma, which do not depend on the order of segments."""
    return np.concatenate([timbre.mean(axis=0), np.cov(timbre.T)[PAIRS], pitches.mean(axis=0)])


def order(timbre: Floats) -> Floats:
    """Return the covariance of consecutive differences of timbre, shape ``(144,)``."""
    steps = np.diff(timbre, axis=0)
    return np.asarray(steps[:-1].T @ steps[1:] / len(steps)).ravel()


def words(catalogue: Catalogue, tracks: Integers) -> csr_matrix:
    """Return tf-idf vectors of unit length, shape ``(tracks, 5000)``."""
    bags = lil_matrix((len(tracks), VOCABULARY_SIZE))
    for row, track in enumerate(tracks.tolist()):
        places, counts = bag_of_words(catalogue, track)
        bags[row, places] = counts
    return TfidfTransformer(sublinear_tf=True).fit_transform(bags.tocsr())


def inputs(catalogue: Catalogue, tracks: Integers) -> dict[str, csr_matrix]:
    """Return the features of each combination of inputs; every kind of input has unit mean square length."""
    sounds = [analysis(catalogue, track).arrays for track in tracks.tolist()]
    timbre = [sound["analysis/segments_timbre"] for sound in sounds]
    pitches = [sound["analysis/segments_pitches"] for sound in sounds]
    static = scale(np.array([levels(*song) for song in zip(timbre, pitches, strict=True)]))
    moving = scale(np.array([order(song) for song in timbre]))
    audio, motion = (csr_matrix(values / np.sqrt(values.shape[1])) for values in (static, moving))
    lyrics = words(catalogue, tracks)
    return {
        LYRICS: lyrics,
        AUDIO: audio,
        BOTH: hstack([audio, lyrics], format="csr"),
        ORDER: hstack([audio, lyrics, motion], format="csr"),
    }


def macro_f1(features: csr_matrix, genre: Integers, artist: Integers, leaks: bool = False) -> float:
    """Cross-validate logistic regression by artist; with `leaks`, by track."""
    model = LogisticRegression(C=INVERSE_PENALTY, class_weight="balanced", max_iter=300)
    folds = KFold(FOLDS, shuffle=True, random_state=0) if leaks else GroupKFold(FOLDS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a fold without the rarest genre
        predicted: NDArray[np.intp] = cross_val_predict(model, features, genre, cv=folds, groups=artist)
    return float(f1_score(genre, predicted, average="macro"))


def scores(catalogue: Catalogue) -> dict[str, float]:
    """Return macro F1 per combination of inputs, on the songs with label and words."""
    tracks = np.flatnonzero(catalogue.in_cd1 & catalogue.has_lyrics & (catalogue.segments > 100))
    genre, artist = noisy_genres(catalogue)[tracks], catalogue.artist[tracks]
    features = inputs(catalogue, tracks)
    by_artist = {name: macro_f1(values, genre, artist) for name, values in features.items()}
    return by_artist | {LEAKING: macro_f1(features[AUDIO], genre, artist, leaks=True)}


def main() -> None:
    """Measure and publish."""
    measured = [scores(make_catalogue(SyntheticSettings(songs=SONGS, seed=seed))) for seed in SEEDS]
    rows = [(name, *(by_seed[name] for by_seed in measured)) for name in measured[0]]
    figures = {
        f"{name}, seed {seed}": by_seed[name] for seed, by_seed in zip(SEEDS, measured, strict=True) for name in by_seed
    }
    publish("genre_signal", ["macro F1", *(f"seed {seed}" for seed in SEEDS)], rows, figures)


if __name__ == "__main__":
    main()
