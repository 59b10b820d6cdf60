"""Evaluate the predictions of a split: the metrics of the model and of the baselines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from msd_spark.core.bootstrap import Bootstrap
from msd_spark.core.errors import UserError
from training.data.dataset import Dataset
from training.data.predictions import Predictions
from training.data.reading import to_numpy
from training.data.targets.target import CLASSES, LABELS, NUMBERS, Target
from training.evaluation.baselines import TrainingTruths, artist_mean_scores, stratified_random
from training.evaluation.bootstrap import Artists, Candidate, Statistic, with_intervals
from training.evaluation.classification import MOST_CLASSES, classification_metrics, classification_statistic
from training.evaluation.deciding import LESS_IS_BETTER
from training.evaluation.learned import TRAINING_EXAMPLES, fit_learned
from training.evaluation.mapping import Mapper, map_here
from training.evaluation.multilabel import multilabel_metrics, multilabel_statistic
from training.evaluation.regression import regression_metrics, regression_statistic
from training.evaluation.song_features import files_with, read_features, read_file


class DivergedError(UserError):
    """A training diverged with these settings; every rank raises it at the same step."""


METRICS: dict[str, tuple[Callable[..., dict[str, Any]], Callable[..., Statistic]]] = {
    CLASSES: (classification_metrics, classification_statistic),
    LABELS: (multilabel_metrics, multilabel_statistic),
    NUMBERS: (regression_metrics, regression_statistic),
}
"""Functions that return the metrics and the statistic of resamples, by the form of the target."""


def functions_of(target: Target) -> tuple[Callable[..., dict[str, Any]], Callable[..., Statistic]]:
    """Return the functions that compute a target's metrics, and the statistic of resamples."""
    metrics, statistic = METRICS[target.form]
    if target.ordinal:
        return partial(metrics, ordinal=True), partial(statistic, ordinal=True)
    return metrics, statistic


def epoch_metrics(target: Target, predictions: Predictions) -> dict[str, Any]:
    """Return the metrics of a model without intervals; empty if no example has the target."""
    with_truth = predictions.judged()
    if not len(with_truth):
        return {}
    check_finite(with_truth.scores)
    metrics, _ = functions_of(target)
    return metrics(with_truth.true, with_truth.scores, target.class_names)


def candidate_of(target: Target, true: np.ndarray, scores: np.ndarray, artists: Artists) -> Candidate:
    """Return the metrics and the statistic of scores of shape ``(n, size)``."""
    check_finite(scores)
    metrics, statistic = functions_of(target)
    return Candidate(metrics(true, scores, target.class_names), statistic(true, scores, artists))


def check_finite(scores: np.ndarray) -> None:
    """Raise `DivergedError` unless all scores are finite."""
    wrong = int((~np.isfinite(scores)).any(axis=1).sum())
    if wrong:
        raise DivergedError(
            f"{wrong} of {len(scores)} examples have scores that are not finite; a lower --learning-rate may help"
        )


def judge(
    target: Target,
    predictions: Predictions,
    training: TrainingTruths | None = None,
    learned: Mapping[str, tuple[np.ndarray, dict[str, Any]]] | None = None,
    bootstrap: Bootstrap | None = None,
    mapper: Mapper = map_here,
) -> dict[str, Any]:
    """Return the metrics of the model and the baselines on one split, ``model`` first.

    Empty if no example has the target; examples without it are left out.

    Parameters
    ----------
    predictions : Predictions
        Of the entire split, sorted by track id.
    training : TrainingTruths, optional
        Input of the simple baselines; without it there are none.
    learned : mapping, optional
        Other baselines by name: scores of the examples that have the target, and notes for ``metrics.json``.
    """
    with_truth = predictions.judged()
    if not len(with_truth):
        return {}
    true, artists = with_truth.true, Artists.of(with_truth.artist_groups)
    candidates: dict[str, Candidate] = {}

    def add(name: str, scores: np.ndarray, notes: Mapping[str, Any]) -> None:
        candidates[name] = candidate_of(target, true, scores, artists)
        candidates[name].metrics.update(notes)

    add("model", with_truth.scores, {})
    if training is not None:
        add(target.prior_name, np.tile(training.prior, (len(true), 1)), {})
        if not target.is_vector and target.size <= MOST_CLASSES:
            candidates["stratified"] = stratified_random(
                true, training.prior, target.class_names, artists, ordinal=target.ordinal
            )
        if target.ordinal:
            scores, known = artist_mean_scores(with_truth.artist_groups, training)
            add("artist_mean", scores, {"examples_of_known_artists": known})
    for name, (scores, notes) in (learned or {}).items():
        add(name, scores, notes)
    return with_intervals(candidates, artists, bootstrap or Bootstrap(), mapper)


def read_training_truths(dataset: Dataset, target: Target) -> TrainingTruths:
    """Read the truths of a dataset's train split.

    A track that is repeated to balance genres counts once.
    """
    names = ["track_id", "artist_group", target.column, target.presence]
    table = dataset.targets("train", names)
    track_ids, groups, true, present = (to_numpy(table[name]) for name in names)
    tracks, first = np.unique(track_ids.astype(str), return_index=True)
    return TrainingTruths.of(tracks, groups[first].astype(str), true[first], present[first] > 0, target.size)


class Learned(NamedTuple):
    """Predictions of a learned baseline for the examples of a split that have the target."""

    predictions: Predictions
    notes: dict[str, Any]


def deciding_score(target: Target) -> Callable[[np.ndarray, np.ndarray], float | None]:
    """Return the function from truths and scores to the deciding metric.

    Higher is better; None if undefined.
    """
    metric, (metrics, _) = target.main_metrics[0], functions_of(target)
    sign = -1 if metric in LESS_IS_BETTER else 1

    def score(true: np.ndarray, scores: np.ndarray) -> float | None:
        value = metrics(true, scores, target.class_names)[metric]
        return None if value is None else sign * value

    return score


def learned_baselines(
    dataset: Dataset, target: Target, splits: Sequence[str], inputs: str, mapper: Mapper = map_here
) -> dict[str, dict[str, Learned]]:
    """Return the predictions of baselines fitted on the train split, by split and name."""
    if not splits:
        return {}
    train = read_features(dataset, "train", target, TRAINING_EXAMPLES, mapper).of_inputs(inputs)
    if not len(train.track_ids):
        return {}
    fitted = fit_learned(target, train, deciding_score(target), mapper)
    predicted = {}
    for split in splits:

        def predict(file: int, split: str = split) -> list[np.ndarray]:
            songs = read_file(dataset, split, target, file).of_inputs(inputs)
            scores = [one.predict(songs) for one in fitted.values()] if len(songs.track_ids) else []
            return [songs.track_ids, songs.artist_groups, songs.true, *scores]

        parts = [part for part in mapper(predict, files_with(dataset.rows(split))) if len(part[0])]
        track_ids, groups, true, *scores = (np.concatenate(column) for column in zip(*parts, strict=True))
        order, present = np.argsort(track_ids, kind="stable"), np.ones(len(track_ids), bool)
        predicted[split] = {
            name: Learned(
                Predictions(track_ids[order], groups[order], true[order], of_model[order], present), fitted[name].notes
            )
            for name, of_model in zip(fitted, scores, strict=True)
        }
    return predicted


def judge_splits(
    dataset: Dataset,
    target: Target,
    predictions: Mapping[str, Predictions],
    training: TrainingTruths,
    *,
    baselines: str = "all",
    inputs: str = "both",
    bootstrap: Bootstrap | None = None,
    mapper: Mapper = map_here,
) -> dict[str, Any]:
    """Return the content of ``metrics.json``: metrics of the model and baselines by split.

    The dataset is the one that the run was trained on. `baselines` is one of
    `training.loop.options.BASELINES`; the learned ones have the same `inputs` as the model. The work is spread by
    `mapper`.
    """
    learned: dict[str, dict[str, Learned]] = {}
    if baselines == "all":
        splits = [split for split, predicted in predictions.items() if predicted.present.any()]
        learned = learned_baselines(dataset, target, splits, inputs, mapper)
    metrics = {}
    for split, predicted in predictions.items():
        own = learned.get(split, {})
        for scored in own.values():
            if not np.array_equal(scored.predictions.track_ids, predicted.judged().track_ids):
                raise UserError(
                    f"{split} of dataset {dataset.name} changed during the training; run msd-spark train again"
                )
        scores = {name: (one.predictions.scores, {"fit": one.notes}) for name, one in own.items()}
        metrics[split] = judge(target, predicted, None if baselines == "none" else training, scores, bootstrap, mapper)
    return {split: by_candidate for split, by_candidate in metrics.items() if by_candidate}
