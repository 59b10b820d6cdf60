"""Whether a run can be judged on a dataset, and how the dataset's classes are found among the run's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from msd_spark.core.errors import UserError
from msd_spark.core.schemas import Geometry
from training.data.dataset import Dataset
from training.data.predictions import Predictions
from training.data.targets import FACTORS, GENRE, TAGS, Target
from training.evaluation.baselines import TrainingTruths

STAGE = "evaluate"


@dataclass(frozen=True)
class Fit:
    """How the truths of a dataset and the outputs of a run come together.

    Attributes
    ----------
    target : Target
        What is judged: the run's own classes, or the dataset's tags.
    places : numpy.ndarray
        Shape ``(size of the dataset's target,)``: the run's output for each of the dataset's classes; -1 for
        a class that the run does not know and that has no example in the split.
    """

    target: Target
    places: np.ndarray

    def align(self, predictions: Predictions) -> Predictions:
        """Return predictions on the dataset with truths and scores in the places of `target`."""
        made = {name: getattr(predictions, name) for name in ("track_ids", "artist_groups", "present")}
        true, scores = predictions.true, predictions.scores
        if self.target.name == TAGS:
            scores = scores[:, self.places]
        elif not self.target.is_vector:
            true = np.where(predictions.present, self.places[np.where(predictions.present, true, 0)], -1).astype(
                np.int32
            )
        return Predictions(true=true, scores=scores, **made)

    def training(self, training: TrainingTruths) -> TrainingTruths:
        """Return the truths of the run's training with their prior in the places of `target`."""
        return replace(training, prior=training.prior[self.places]) if self.target.name == TAGS else training


def run_target(metadata: Mapping[str, Any]) -> Target:
    """Return what a run learned to tell, from its metadata."""
    target = metadata["target"]
    return Target(target["name"], len(target["class_names"]), tuple(target["class_names"]))


def fit_to(metadata: Mapping[str, Any], dataset: Dataset, found: Target, split: str) -> Fit:
    """Check that a run's model can read a dataset's examples and that its outputs mean what the dataset's truths mean.

    Geometry (with the part of a song that is taken) and word vectors have to be the same. Normalisation has
    not: a model carries its own. Genres are found by name: the dataset may have fewer than the run, or in
    another order; one that the run does not know must have no example in the split, as nothing the model
    could say of it were right. Tags are found by name too, and only the dataset's are judged.

    Parameters
    ----------
    metadata : mapping
        Of the run.
    dataset : Dataset
    found : Target
        The run's target as the dataset has it.
    split : str

    Raises
    ------
    UserError
        When they do not fit, with what to do.
    """
    run, name = metadata["run"], dataset.name
    trained, here = Geometry(**metadata["geometry"]), dataset.geometry
    if trained != here:
        raise UserError(
            f"run {run} was trained on {trained}, dataset {name} has {here}; "
            "write the dataset again with that geometry (jobs/dataset.py), or train on it",
        )
    if metadata["lyric_vectors"] != dataset.metadata["lyric_vectors"] and _sees_lyrics(metadata):
        raise UserError(
            f"dataset {name} has other lyric vectors than run {run} was trained on: their numbers mean other things; "
            "run jobs/lyrics.py with the vectors of then and jobs/dataset.py, or train on it",
        )
    wanted = run_target(metadata)
    if wanted.name == FACTORS:
        if found.size != wanted.size or metadata.get("factors") != factors_of(dataset):
            raise UserError(
                f"dataset {name} has other factors than run {run} was trained on ({found.size} and {wanted.size} of "
                "them); factors of two factorisations cannot be compared, train on it",
            )
        return Fit(wanted, np.arange(wanted.size))
    known = {label: place for place, label in enumerate(wanted.class_names)}
    places = np.array([known.get(label, -1) for label in found.class_names])
    unknown = [label for label in found.class_names if label not in known]
    if wanted.name == GENRE:
        by_genre = dataset.metadata["examples_by_genre"]
        unknown = [label for label in unknown if by_genre[label][split]]
    if unknown:
        what = "tags" if wanted.name == TAGS else f"{wanted.name} classes in {split}"
        raise UserError(
            f"dataset {name} has {what} that run {run} does not know: {', '.join(unknown)}; "
            "write a dataset of the run's alone (jobs/dataset.py), or train on this one",
        )
    return Fit(found if wanted.name == TAGS else wanted, places)


def factors_of(dataset: Dataset) -> str | None:
    """Return the fingerprint of the factors that a dataset was made of; None where its metadata say nothing of it."""
    fingerprint = dataset.metadata.get("inputs", {}).get("factors", {}).get("fingerprint")
    return None if fingerprint is None else str(fingerprint)


def _sees_lyrics(metadata: Mapping[str, Any]) -> bool:
    return metadata["arguments"].get("inputs") != "audio"
