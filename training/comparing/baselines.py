"""Fit the learned baselines of a comparison.

The results are in ``comparisons/NAME/baselines``, so that an interrupted comparison can resume.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from msd_spark.core.revision import code_revision
from msd_spark.core.runs import COMPARISONS
from training.comparing.comparison import Combination, pooled_folds
from training.comparing.neighbours import COMPONENTS, RAW, neighbour_agreement, spaces_without_network
from training.comparing.options import CompareOptions
from training.comparing.runs import Run
from training.data.dataset import Dataset
from training.data.predictions import Predictions
from training.data.targets.target import NUMBERS, Target
from training.evaluation.judgement import deciding_score
from training.evaluation.learned import TRAINING_EXAMPLES, fit_learned
from training.evaluation.song_features import read_features


class Fits(NamedTuple):
    """The learned baselines.

    Predictions are pooled over folds, by combination and seed; notes are by combination and dataset. The agreement of
    each song with its neighbours, shape ``(n,)``, is by dataset and space.
    """

    predictions: dict[Combination, dict[int, Predictions]]
    notes: dict[str, Any]
    agreement: dict[str, dict[str, np.ndarray]]


def fit_baselines(
    options: CompareOptions, datasets: Mapping[str, Dataset], runs: Sequence[Run], target: Target
) -> Fits:
    """Read the learned baselines of all datasets, or fit them."""
    by_seed: dict[int, dict[str, None]] = {}
    for run in runs:
        by_seed.setdefault(run.seed, {})[str(run.dataset)] = None
    parts = {name: _of_dataset(options, dataset, target) for name, dataset in datasets.items()}
    fits = Fits({}, {}, {name: _agreement(arrays) for name, arrays in parts.items()})
    notes = {name: json.loads(str(arrays["notes"])) for name, arrays in parts.items()}
    for number, (model, inputs, _) in enumerate(next(iter(notes.values()))):
        combination = Combination(model, inputs)
        predictions = {name: _predictions(arrays, number) for name, arrays in parts.items()}
        fits.predictions[combination] = {
            seed: pooled_folds([predictions[name] for name in names]) for seed, names in by_seed.items()
        }
        fits.notes[str(combination)] = {name: of_dataset[number][2] for name, of_dataset in notes.items()}
    return fits


def _agreement(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the neighbour agreement by space; empty for a target of numbers."""
    return {space: arrays[space] for space in (RAW, COMPONENTS) if space in arrays}


def _predictions(arrays: Mapping[str, np.ndarray], number: int) -> Predictions:
    scores = arrays[f"scores {number}"]
    present = np.ones(len(scores), bool)
    return Predictions(arrays["track_ids"], arrays["artist_groups"], arrays["true"], scores, present)


def _of_dataset(options: CompareOptions, dataset: Dataset, target: Target) -> Mapping[str, np.ndarray]:
    """Return the arrays of a dataset's file, written if missing, damaged or outdated.

    They are those of `_fit` and ``key``, the settings and Git revision of the file.
    """
    names = COMPARISONS, options.name, "baselines", f"{dataset.name}.npz"
    rule = {"dataset": dataset.metadata["fingerprint"], "target": target.name, "split": options.split}
    key = json.dumps(rule | {"inputs": options.input_names, "git_revision": code_revision()})
    if not options.training.overwrite and dataset.warehouse.exists(*names):
        content = io.BytesIO(dataset.warehouse.read_file(*names))
        with contextlib.suppress(Exception), np.load(content) as file:  # a damaged file raises errors of many kinds
            if str(file["key"]) == key:
                return dict(file)
    arrays = _fit(options, dataset, target) | {"key": np.array(key)}
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    dataset.warehouse.write_file(content.getvalue(), *names)
    return arrays


def _fit(options: CompareOptions, dataset: Dataset, target: Target) -> dict[str, np.ndarray]:
    """Fit the baselines of a dataset; return the arrays to store.

    Tracks, artist groups and truths are those of the split: shape ``(n,)`` or ``(n, size)``. ``notes`` lists model,
    inputs and notes of each fit as JSON, ``scores I`` has the scores of the fit with index I, and the agreement of
    neighbours is under the name of its space.
    """
    train = read_features(dataset, "train", target, TRAINING_EXAMPLES)
    songs = read_features(dataset, options.split, target)
    arrays = {"track_ids": songs.track_ids, "artist_groups": songs.artist_groups, "true": songs.true}
    notes: list[tuple[str, str, dict[str, Any]]] = []
    for inputs in options.input_names:
        fitted = fit_learned(target, train.of_inputs(inputs), deciding_score(target))
        for model, one in fitted.items():
            arrays[f"scores {len(notes)}"] = one.predict(songs.of_inputs(inputs)).astype(np.float32)
            notes.append((model, inputs, one.notes))
    if target.form != NUMBERS:
        for space, vectors in spaces_without_network(train, songs).items():
            arrays[space] = neighbour_agreement(vectors, songs.true, songs.artist_groups)
    return arrays | {"notes": np.array(json.dumps(notes))}
