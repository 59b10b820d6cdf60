"""Change of a model's metrics when a part of its inputs is hidden.

References
----------
.. [1] M. Zeiler, R. Fergus, "Visualizing and understanding convolutional networks", ECCV 2014: occlusion.
.. [2] I. Covert, S. Lundberg, S.-I. Lee, "Explaining by removing: a unified framework for model explanation", JMLR 22,
   2021: removed inputs are replaced by an uninformative value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from msd_spark.core.bootstrap import Bootstrap, percentile_interval
from msd_spark.core.model_inputs import (
    CHROMA,
    DYNAMICS,
    HAS_LYRICS,
    LYRIC_VECTOR,
    MASK,
    SUMMARY,
    TIMBRE,
    WORD_COUNTS,
    WORD_INDICES,
)
from msd_spark.core.schemas import OCCLUSION
from msd_spark.core.song_summary import SUMMARY_NAMES
from training.data.predictions import Predictions
from training.evaluation.bootstrap import Artists, Statistic, resample
from training.evaluation.classification import as_probabilities
from training.evaluation.confusion import confusion_metrics
from training.models.settings import Normalisation

LYRICS, AUDIO = "lyrics", "audio"
HIDDEN = {
    LYRICS: (LYRIC_VECTOR, HAS_LYRICS, WORD_INDICES, WORD_COUNTS),
    AUDIO: (CHROMA, TIMBRE, DYNAMICS, SUMMARY),
    CHROMA: (CHROMA, SUMMARY),
    TIMBRE: (TIMBRE, SUMMARY),
}
"""Inputs that are hidden together, by name; with chroma or timbre, only their numbers of the summary are hidden."""

FULL = "full"

PROBABILITY, F1 = "probability", "f1"
OVERALL = (PROBABILITY, "macro_f1", "accuracy")
"""Metrics over all classes."""


def hide(inputs: Mapping[str, np.ndarray], part: str, normalisation: Normalisation) -> dict[str, np.ndarray]:
    """Return a model's inputs with a part, a key of `HIDDEN`, hidden.

    Without lyrics, a song has the inputs of a song that has none. Hidden audio is the mean of the train split, in every
    segment and in the summary, which the model scales to 0; the number of segments remains visible.
    """
    hidden = dict(inputs)
    for name in HIDDEN[part]:
        if name not in inputs:
            continue
        if part == LYRICS:
            hidden[name] = np.zeros_like(inputs[name])
            continue
        mean = np.asarray(normalisation[name]["mean"], np.float32)
        if name == SUMMARY:
            is_hidden = [part == AUDIO or column.startswith(part) for column in SUMMARY_NAMES]
            hidden[name] = np.where(is_hidden, mean, inputs[name])
        else:
            hidden[name] = mean * inputs[MASK][..., None]
    return hidden


def occlusion_statistic(true: np.ndarray, scores: np.ndarray, artists: Artists) -> Statistic:
    """Return the statistic of accuracy, and of F1 and true-class probability by class.

    Macro F1 is included. The metrics of class `k` are named ``f1 k`` and ``probability k``; `scores` are probabilities
    ``(n, n_classes)``.
    """
    n, n_classes = scores.shape
    probabilities = as_probabilities(scores)
    cells = artists.matrix(true.astype(np.int64) * n_classes + probabilities.argmax(axis=1), n_classes**2)
    one_hot = (true[:, None] == np.arange(n_classes)).astype(np.float64)
    of_true_class = artists.sums(one_hot * probabilities[np.arange(n), true][:, None]).T

    whole = (cells @ np.ones(artists.count)).reshape(n_classes, n_classes)

    def metrics(drawn: np.ndarray) -> dict[str, np.ndarray]:
        confusion = (cells @ drawn).T.reshape(-1, n_classes, n_classes)
        support, predicted = confusion.sum(axis=2), confusion.sum(axis=1)
        total = (of_true_class @ drawn).T
        overall = confusion_metrics(confusion, whole)
        with np.errstate(invalid="ignore", divide="ignore"):
            f1 = np.where(support > 0, 2 * np.diagonal(confusion, axis1=1, axis2=2) / (support + predicted), np.nan)
            probability = np.where(support > 0, total / support, np.nan)
            overall[PROBABILITY] = total.sum(axis=1) / support.sum(axis=1)
        by_class = {f"{F1} {number}": f1[:, number] for number in range(n_classes)}
        by_class |= {f"{PROBABILITY} {number}": probability[:, number] for number in range(n_classes)}
        return {name: overall[name] for name in OVERALL} | by_class

    return metrics


def occlusion_table(
    predictions: Mapping[str, Predictions], classes: Sequence[str], has_lyrics: np.ndarray, bootstrap: Bootstrap
) -> pa.Table:
    """Return rows of `msd_spark.core.schemas.OCCLUSION`.

    `predictions` are by `FULL` and the keys of `HIDDEN`: scores of the same examples in the same order, all with a
    class. `has_lyrics` has shape ``(n,)``, bool.
    """
    full = predictions[FULL]
    artists, everything = Artists.of(full.artist_groups), np.ones(len(full), bool)
    statistics = {
        name: occlusion_statistic(full.true, predicted.scores, artists) for name, predicted in predictions.items()
    }
    once = np.ones((artists.count, 1))
    measured = {
        name: {key: float(value) for key, (value,) in statistic(once).items()} for name, statistic in statistics.items()
    }
    resampled = resample(statistics, artists, bootstrap) if artists.count > 1 else None
    metrics = [(None, name, name, everything) for name in OVERALL] + [
        (genre, name, f"{name} {number}", full.true == number)
        for number, genre in enumerate(classes)
        for name in (PROBABILITY, F1)
    ]
    rows: list[dict[str, Any]] = []
    for hidden in (name for name in predictions if name != FULL):
        for genre, metric, key, examples in metrics:
            if not examples.any():
                continue
            interval = None
            # Songs of a single artist have no interval, even if other genres have more artists.
            if resampled is not None and len(np.unique(artists.index[examples])) > 1:
                interval = percentile_interval(resampled[hidden][key] - resampled[FULL][key], bootstrap.level)
            low, high = interval or (None, None)
            before, after = measured[FULL][key], measured[hidden][key]
            rows.append(
                {
                    "hidden": hidden,
                    "genre": genre,
                    "figure": metric,
                    "examples": int(examples.sum()),
                    "affected": int((examples & (has_lyrics if hidden == LYRICS else everything)).sum()),
                    "full": before,
                    "occluded": after,
                    "change": after - before,
                    "low": low,
                    "high": high,
                }
            )
    return pa.Table.from_pylist(rows, OCCLUSION)
