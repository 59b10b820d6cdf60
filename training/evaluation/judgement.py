"""A split's predictions judged: the model's figures, and every baseline's beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from msd_spark.core.bootstrap import Bootstrap
from msd_spark.core.errors import UserError
from training.data.dataset import Dataset
from training.data.predictions import Predictions
from training.data.targets import FACTORS, GENRE, POPULARITY, TAGS, Target
from training.evaluation.baselines import TrainingTruths, artist_mean_scores, prior_scores, stratified_random
from training.evaluation.bootstrap import Artists
from training.evaluation.candidate import Candidate, with_intervals
from training.evaluation.classification import classification_metrics, classifier
from training.evaluation.divergence import DivergedError
from training.evaluation.linear import TRAINING_EXAMPLES, Linear, fit_linear
from training.evaluation.multilabel import multilabel_metrics, tagger
from training.evaluation.regression import regression_metrics, regressor
from training.evaluation.song_features import read_columns, read_features

HEADLINES = {
    GENRE: ("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "macro_average_precision", "log_loss"),
    POPULARITY: ("accuracy", "off_by_one_accuracy", "macro_f1", "weighted_f1", "macro_average_precision", "log_loss"),
    TAGS: ("macro_roc_auc", "macro_pr_auc", "log_loss"),
    FACTORS: ("cosine", "mean_squared_error", "r2"),
}
"""Figures with intervals that tables show, by target."""

PRIOR_NAME = {GENRE: "majority", POPULARITY: "majority", TAGS: "prior", FACTORS: "mean"}
"""What the baseline that says the same of every song is called, by target."""


def epoch_metrics(target: Target, predictions: Predictions) -> dict[str, Any]:
    """Return the figures of a model's predictions, without intervals; none where no example has the target.

    Parameters
    ----------
    target : Target
    predictions : Predictions
        Of at least the examples that have the target.

    Raises
    ------
    UserError
        When a score is no number.
    """
    judged = predictions.judged()
    if not len(judged):
        return {}
    check_finite(judged.scores)
    if target.name == TAGS:
        return multilabel_metrics(judged.true, judged.scores, target.class_names)
    if target.name == FACTORS:
        return regression_metrics(judged.true, judged.scores, target.class_names)
    return classification_metrics(judged.true, judged.scores, target.class_names, ordinal=target.name == POPULARITY)


def judge(
    target: Target,
    predictions: Predictions,
    training: TrainingTruths | None = None,
    learned: Mapping[str, tuple[np.ndarray, dict[str, Any]]] | None = None,
    bootstrap: Bootstrap | None = None,
) -> dict[str, Any]:
    """Return the figures of the model and the baselines on one split.

    Parameters
    ----------
    target : Target
    predictions : Predictions
        Of the whole split, sorted by track id; examples without the target are not judged.
    training : TrainingTruths, optional
        For the simple baselines; without it there are none.
    learned : mapping, optional
        Scores of other baselines, of the examples that have the target, and what to note of each, by name.
    bootstrap : Bootstrap, optional

    Returns
    -------
    dict
        By candidate, ``model`` first. Empty where no example has the target.

    Raises
    ------
    UserError
        When a score is no number.
    """
    judged = predictions.judged()
    if not len(judged):
        return {}
    artists = Artists.of(judged.artist_groups)

    def candidate(scores: np.ndarray, notes: dict[str, Any] | None = None) -> Candidate:
        check_finite(scores)
        return candidate_of(target, judged.true, scores, artists, notes or {})

    candidates = {"model": candidate(judged.scores)}
    if training is not None:
        candidates[PRIOR_NAME[target.name]] = candidate(prior_scores(training.prior, len(judged)))
        if not target.is_vector:
            candidates["stratified"] = stratified_random(
                judged.true, training.prior, target.class_names, artists, ordinal=target.name == POPULARITY
            )
        if target.name == POPULARITY:
            scores, known = artist_mean_scores(judged.artist_groups, training)
            candidates["artist_mean"] = candidate(scores, {"examples_of_known_artists": known})
    for name, (scores, notes) in (learned or {}).items():
        candidates[name] = candidate(scores, notes)
    for item in candidates.values():
        item.figures["artists"] = artists.count
    return with_intervals(candidates, artists, bootstrap or Bootstrap())


def candidate_of(
    target: Target, true: np.ndarray, scores: np.ndarray, artists: Artists, notes: dict[str, Any]
) -> Candidate:
    """Return scores to be judged with intervals, by what the target is.

    Parameters
    ----------
    target : Target
    true : numpy.ndarray
        Shape ``(n,)``: classes; or ``(n, size)``: tags or factors.
    scores : numpy.ndarray
        Shape ``(n, size)``.
    artists : Artists
    notes : dict
        What one must know of how the scores came about.
    """
    if target.name == TAGS:
        made = tagger(true, scores, target.class_names, artists)
    elif target.name == FACTORS:
        made = regressor(true, scores, target.class_names, artists)
    else:
        made = classifier(true, scores, target.class_names, artists, ordinal=target.name == POPULARITY)
    return Candidate(made.figures, made.statistic, notes)


def check_finite(scores: np.ndarray) -> None:
    """Refuse scores that are no numbers.

    Raises
    ------
    DivergedError
    """
    wrong = int((~np.isfinite(scores)).any(axis=1).sum())
    if wrong:
        raise DivergedError(
            f"{wrong} of {len(scores)} examples have scores that are not finite; a lower --learning-rate may help"
        )


def read_training_truths(dataset: Dataset, target: Target) -> TrainingTruths:
    """Read what is true of a dataset's train split, from its light columns.

    A track that stands there several times, to balance genres, counts once.

    Parameters
    ----------
    dataset : Dataset
    target : Target
    """
    names = ["track_id", "artist_group", target.column, target.presence]
    parts = list(read_columns(dataset, "train", names))
    track_ids, groups, true, present = (np.concatenate([part[name] for part in parts]) for name in names)
    tracks, once = np.unique(track_ids.astype(str), return_index=True)
    return TrainingTruths.of(tracks, groups[once].astype(str), true[once], present[once] > 0, target.size)


def judge_splits(
    dataset: Dataset,
    target: Target,
    predictions: Mapping[str, Predictions],
    training: TrainingTruths,
    *,
    baselines: str = "all",
    inputs: str = "both",
    bootstrap: Bootstrap | None = None,
) -> dict[str, Any]:
    """Judge the predictions of a run's splits beside the baselines that are wanted, as ``metrics.json`` holds it.

    Parameters
    ----------
    dataset : Dataset
        What the run was trained on.
    target : Target
    predictions : mapping
        By split.
    training : TrainingTruths
        As `read_training_truths` gives them.
    baselines : str
        One of `training.evaluation.baselines.BASELINES`.
    inputs : str
        What the model sees, ``audio``, ``lyrics`` or ``both``; the linear baseline sees no more.
    bootstrap : Bootstrap, optional
    """
    linear: Linear | None = None
    if baselines == "all" and any(made.present.any() for made in predictions.values()):
        train = read_features(dataset, "train", target, inputs, TRAINING_EXAMPLES)
        if len(train.track_ids):
            linear = fit_linear(target, train, read_features(dataset, "validation", target, inputs))
        del train
    judged = {}
    for split, made in predictions.items():
        learned = {}
        if linear is not None and made.present.any():
            features = read_features(dataset, split, target, inputs)
            if not np.array_equal(features.track_ids, made.judged().track_ids):
                raise UserError(f"{split} of dataset {dataset.name} changed while the run was trained; train again")
            name = "linear" if target.name == FACTORS else "logistic"
            learned[name] = (linear.predict(features.values), {"fit": linear.notes})
        judged[split] = judge(target, made, None if baselines == "none" else training, learned, bootstrap)
    return {split: figures for split, figures in judged.items() if figures}
