"""What a model's figures lose when a part of its inputs is hidden.

References
----------
.. [1] M. Zeiler, R. Fergus, "Visualizing and understanding convolutional networks", ECCV 2014: occlusion.
.. [2] I. Covert, S. Lundberg, S.-I. Lee, "Explaining by removing: a unified framework for model explanation", JMLR 22,
   2021: what is removed is replaced by what the model knows as nothing in particular.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from msd_spark.core.bootstrap import Bootstrap, percentile_interval
from msd_spark.core.model_inputs import CHROMA, HAS_LYRICS, LYRIC_VECTOR, MASK, TIMBRE
from msd_spark.core.schemas import OCCLUSION
from training.data.predictions import Predictions
from training.evaluation.bootstrap import Artists, Statistic, resample
from training.evaluation.classification import as_probabilities
from training.evaluation.confusion import confusion_metrics
from training.models.settings import Normalisation

LYRICS, AUDIO = "lyrics", "audio"
HIDDEN = {LYRICS: (LYRIC_VECTOR,), AUDIO: (CHROMA, TIMBRE), CHROMA: (CHROMA,), TIMBRE: (TIMBRE,)}
"""What can be hidden, and the inputs that it is."""

FULL = "full"

PROBABILITY, F1 = "probability", "f1"
OF_ALL = (PROBABILITY, "macro_f1", "accuracy")
"""Figures of all examples together."""


def hide(inputs: Mapping[str, np.ndarray], what: str, normalisation: Normalisation) -> dict[str, np.ndarray]:
    """Return a model's inputs with something hidden.

    Lyrics are hidden as a song is shown that has none. Of chroma and timbre every segment that is there becomes the
    mean of the train split, which the model's scaling makes 0; how long the song is can still be seen.

    Parameters
    ----------
    inputs : mapping
        As `msd_spark.core.model_inputs.model_inputs` makes them.
    what : str
        Of `HIDDEN`.
    normalisation : mapping
        Of the run.
    """
    hidden = dict(inputs)
    for name in HIDDEN[what]:
        if name == LYRIC_VECTOR:
            hidden |= {key: np.zeros_like(inputs[key]) for key in (LYRIC_VECTOR, HAS_LYRICS)}
        else:
            hidden[name] = np.asarray(normalisation[name]["mean"], np.float32) * inputs[MASK][..., None]
    return hidden


def occlusion_statistic(true: np.ndarray, scores: np.ndarray, artists: Artists) -> Statistic:
    """Return the statistic of a classifier's accuracy, macro F1, each class's F1 and right probability.

    Figures of classes are called ``f1 K`` and ``probability K`` by the class's number.

    Parameters
    ----------
    true : numpy.ndarray
        Shape ``(n,)``: classes.
    scores : numpy.ndarray
        Shape ``(n, n_classes)``: probabilities.
    artists : Artists
    """
    n, n_classes = scores.shape
    probabilities = as_probabilities(scores)
    cells = artists.matrix(true.astype(np.int64) * n_classes + probabilities.argmax(axis=1), n_classes**2)
    of_class = (true[:, None] == np.arange(n_classes)).astype(np.float64)
    right = artists.sums(of_class * probabilities[np.arange(n), true][:, None]).T

    def figures(drawn: np.ndarray) -> dict[str, np.ndarray]:
        confusion = (cells @ drawn).T.reshape(-1, n_classes, n_classes)
        support, predicted = confusion.sum(axis=2), confusion.sum(axis=1)
        gained = (right @ drawn).T
        with np.errstate(invalid="ignore", divide="ignore"):
            f1 = np.where(support > 0, 2 * np.diagonal(confusion, axis1=1, axis2=2) / (support + predicted), np.nan)
            probability = np.where(support > 0, gained / support, np.nan)
            overall = confusion_metrics(confusion)
            made = {name: overall[name] for name in OF_ALL if name != PROBABILITY}
            made[PROBABILITY] = gained.sum(axis=1) / support.sum(axis=1)
        for number in range(n_classes):
            made |= {f"{F1} {number}": f1[:, number], f"{PROBABILITY} {number}": probability[:, number]}
        return made

    return figures


def occlusion_table(
    predictions: Mapping[str, Predictions], classes: Sequence[str], has_lyrics: np.ndarray, bootstrap: Bootstrap
) -> pa.Table:
    """Return rows of `msd_spark.core.schemas.OCCLUSION`.

    Parameters
    ----------
    predictions : mapping
        By `FULL` and what was hidden: scores of the same examples in the same order, all of which have a class.
    classes : sequence of str
        Names by index.
    has_lyrics : numpy.ndarray
        Shape ``(n,)``, bool.
    bootstrap : Bootstrap
    """
    full = predictions[FULL]
    artists = Artists.of(full.artist_groups)
    statistics = {name: occlusion_statistic(full.true, made.scores, artists) for name, made in predictions.items()}
    once = np.ones((artists.count, 1))
    whole = {name: {key: float(value[0]) for key, value in found(once).items()} for name, found in statistics.items()}
    resampled = resample(statistics, artists, bootstrap) if artists.count > 1 else None
    rows: list[dict[str, Any]] = []
    for hidden in predictions:
        if hidden == FULL:
            continue
        affected = has_lyrics if hidden == LYRICS else np.ones(len(full), bool)
        wanted: list[tuple[str | None, str, str, np.ndarray]] = [
            (None, name, name, np.ones(len(full), bool)) for name in OF_ALL
        ]
        wanted += [
            (genre, name, f"{name} {number}", full.true == number)
            for number, genre in enumerate(classes)
            for name in (PROBABILITY, F1)
        ]
        for genre, figure, key, examples in wanted:
            if not examples.any():
                continue
            before, after = whole[FULL][key], whole[hidden][key]
            interval = None
            # The songs of one artist alone make no interval of a genre, however the others are drawn.
            if resampled is not None and len(np.unique(artists.index[examples])) > 1:
                interval = percentile_interval(resampled[hidden][key] - resampled[FULL][key], bootstrap.level)
            low, high = interval or (None, None)
            rows.append(
                {
                    "hidden": hidden,
                    "genre": genre,
                    "figure": figure,
                    "examples": int(examples.sum()),
                    "affected": int((examples & affected).sum()),
                    "full": before,
                    "occluded": after,
                    "change": after - before,
                    "low": low,
                    "high": high,
                }
            )
    return pa.Table.from_pylist(rows, OCCLUSION)
