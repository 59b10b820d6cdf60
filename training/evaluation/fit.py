"""Compatibility of a run and a dataset, and the mapping of the dataset's classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from msd_spark.core.errors import UserError
from msd_spark.core.schemas import Geometry
from training.data.dataset import Dataset
from training.data.predictions import Predictions
from training.data.targets import make_target
from training.data.targets.target import CLASSES, LABELS, NUMBERS, Target
from training.evaluation.baselines import TrainingTruths


@dataclass(frozen=True)
class Fit:
    """Mapping between the truths of a dataset and the outputs of a run.

    `target` is what is evaluated: the run's classes or factors, or the dataset's tags. `places` has the run's output
    for each class of the dataset; -1 for a class that the run does not have and that has no example in the split.
    """

    target: Target
    places: np.ndarray

    def align(self, predictions: Predictions) -> Predictions:
        """Return predictions on the dataset with truths and scores in the order of `target`."""
        if self.target.form == LABELS:
            return replace(predictions, scores=predictions.scores[:, self.places])
        if self.target.is_vector:
            return predictions
        known = np.where(predictions.present, predictions.true, 0)
        return replace(predictions, true=np.where(predictions.present, self.places[known], -1).astype(np.int32))

    def training(self, training: TrainingTruths) -> TrainingTruths:
        """Return the truths of the run's training with their prior in the order of `target`."""
        return replace(training, prior=training.prior[self.places]) if self.target.form == LABELS else training


def run_target(metadata: Mapping[str, Any]) -> Target:
    """Return the target of a run from its metadata."""
    target = metadata["target"]
    return make_target(target["name"], target["class_names"])


def fit_to(metadata: Mapping[str, Any], dataset: Dataset, target: Target, split: str) -> Fit:
    """Check that a run's model can be evaluated on a dataset, and map the classes.

    Geometry and lyric vectors must be equal; normalisation is part of the model. Genres are matched by name; a genre
    that the run does not have must have no example in the split. Tags are matched by name, and only those of the
    dataset are evaluated. `target` is the run's target in the dataset.
    """
    run, name = metadata["run"], dataset.name
    geometry, lyrics = Geometry(**metadata["geometry"]), metadata["arguments"].get("inputs") != "audio"
    if geometry != dataset.geometry:
        raise UserError(
            f"run {run} was trained on {geometry}, but dataset {name} has {dataset.geometry}; "
            "write the dataset with the run's geometry (msd-spark dataset), or train on this one"
        )
    if lyrics and metadata["lyric_vectors"] != dataset.metadata["lyric_vectors"]:
        raise UserError(
            f"dataset {name} has other lyric vectors than run {run} was trained on; run msd-spark lyrics with those "
            "vectors, then msd-spark dataset, or train on this one"
        )
    own = run_target(metadata)
    if own.form == NUMBERS:
        if target.size != own.size or metadata.get("factors") != factors_of(dataset):
            raise UserError(
                f"dataset {name} has other factors than run {run} was trained on ({target.size} and {own.size} "
                "dimensions), which are not comparable; train on this dataset"
            )
        return Fit(own, np.arange(own.size))
    known = {label: place for place, label in enumerate(own.class_names)}
    unknown = [label for label in target.class_names if label not in known]
    if own.form == CLASSES:
        by_genre = dataset.metadata["examples_by_genre"]
        unknown = [label for label in unknown if by_genre.get(label, {split: 1})[split]]
    if unknown:
        kind = "tags" if own.form == LABELS else f"{own.name} classes in {split}"
        raise UserError(
            f"dataset {name} has {kind} that run {run} does not have: {', '.join(unknown)}; "
            "write a dataset of the run's classes only (msd-spark dataset), or train on this one"
        )
    places = np.array([known.get(label, -1) for label in target.class_names])
    return Fit(target if own.form == LABELS else own, places)


def factors_of(dataset: Dataset) -> str | None:
    """Return the fingerprint of the factors in a dataset; None if its metadata have none."""
    fingerprint = dataset.metadata.get("inputs", {}).get("factors", {}).get("fingerprint")
    return None if fingerprint is None else str(fingerprint)
