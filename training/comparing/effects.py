"""Measure the effect of each popular mistake on logistic regression and a network.

The mistakes are those of `training.comparing.mistakes`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from tabulate import tabulate

from msd_spark.core.bootstrap import Bootstrap
from msd_spark.core.formatting import mean_with_interval, number
from training.comparing.comparison import Combination, compare, pool
from training.comparing.folds import require_artists, strata_of
from training.comparing.mistakes import DUPLICATES, HONEST, RESAMPLED, Protocol, is_duplicate, protocols
from training.comparing.options import CompareOptions
from training.data.dataset import Dataset
from training.data.predictions import Predictions
from training.data.targets.target import CLASSES, NUMBERS, Target
from training.evaluation.judgement import deciding_score
from training.evaluation.learned import LOGISTIC, RIDGE, TRAINING_EXAMPLES, Encoder, fit_linear
from training.evaluation.song_features import Features, read_features
from training.evaluation.table import SHORT

NOTE = (
    "Every row has the same {examples:,} songs by {artists:,} artists, each predicted once per repeat ({repeats}) of "
    "{folds} folds. Differences have {level:.0%} intervals from {resamples:,} resamples of artists and repeats."
)

Effects = dict[Combination, dict[int, Predictions]]
"""Predictions by combination of a mistake and a model with its inputs, then by repeat."""


def read_songs(dataset: Dataset, target: Target) -> tuple[Features, np.ndarray]:
    """Return each song with the target once, sorted by track, and its song id.

    A missing song id is replaced by the track id.
    """
    splits = [split for split in dataset.metadata["files"] if sum(dataset.rows(split))]
    parts = [part for split in splits if len((part := read_features(dataset, split, target)).track_ids)]
    together = Features.concatenate(parts)
    _, first = np.unique(together.track_ids, return_index=True)
    songs = together.take(first)
    song_ids = {
        track: song
        for split in splits
        for track, song in zip(*dataset.targets(split, ["track_id", "song_id"]).to_pydict().values(), strict=True)
    }
    return songs, np.array([song_ids[track] or track for track in songs.track_ids])


def predict(target: Target, songs: Features, protocol: Protocol) -> Predictions:
    """Return the predictions of logistic (or ridge) regression for all songs under a protocol."""
    scores = np.zeros((len(songs.track_ids), target.size))
    for train, _, test in protocol.folds():
        if len(train) > TRAINING_EXAMPLES:
            train = np.sort(np.random.default_rng(0).choice(train, TRAINING_EXAMPLES, replace=False))
        learn, judged = songs.take(train), songs.take(test)
        if not protocol.by_artist:
            learn = replace(learn, artist_groups=np.arange(len(train)))
        encoder = Encoder(songs if protocol.normalise_on_all else learn)
        chosen_on = judged if protocol.choose_on_test else None
        scores[test] = fit_linear(target, learn, deciding_score(target), encoder, chosen_on).predict(judged)
    present = np.ones(len(scores), bool)
    return Predictions(songs.track_ids, songs.artist_groups, songs.true, scores, present)


def predict_all(options: CompareOptions, dataset: Dataset, target: Target) -> tuple[Effects, dict[str, Any]]:
    """Return the predictions under every protocol, and facts for ``mistakes.json``."""
    predictions: Effects = {}
    songs, song_ids = read_songs(dataset, target)
    require_artists(dataset, target, songs.artist_groups, options.folds)
    for inputs in options.input_names:
        model = f"{RIDGE if target.form == NUMBERS else LOGISTIC}, {inputs}"
        facts, left_out = {"duplicates": int(is_duplicate(song_ids).sum())}, {}
        if not facts["duplicates"]:
            left_out[DUPLICATES] = "no two tracks of the dataset have the same song id"
        if target.form != CLASSES:
            left_out[RESAMPLED] = f"target {target.name} has no classes to balance"
        for repeat in range(options.repeats):
            made = protocols(strata_of(target, songs.true), songs.artist_groups, song_ids, options.folds, repeat)
            for mistake in (name for name in made if name not in left_out):
                print(f"mistake: {mistake} ({model}, repeat {repeat})", file=sys.stderr, flush=True)
                combination = Combination(mistake, model)
                predictions.setdefault(combination, {})[repeat] = predict(
                    target, songs.of_inputs(inputs), made[mistake]
                )
    return predictions, facts | {"left_out": left_out}


def effects_of(options: CompareOptions, dataset: Dataset, target: Target, networks: Effects) -> dict[str, Any]:
    """Return the content of ``mistakes.json``."""
    predictions, facts = predict_all(options, dataset, target)
    predictions |= networks
    metrics, bootstrap = target.main_metrics, Bootstrap()
    honest = [combination for combination in predictions if combination.model == HONEST]
    compared = compare(pool(target, predictions, metrics, bootstrap), metrics, "", bootstrap, honest)
    rows = [
        {
            **{"mistake": row["model"], "model": row["inputs"], "figures": row["figures"]},
            "minus_honest": {name: row["minus_best_baseline"][name] for name in metrics}
            if row["minus_best_baseline"]
            else None,
        }
        for row in compared
    ]
    first = predictions[honest[0]][0]
    return {
        "name": options.name,
        "dataset": {"name": dataset.name, "fingerprint": dataset.metadata["fingerprint"]},
        "target": target.name,
        "examples": len(first),
        "artists": len(np.unique(first.artist_groups)),
        "folds": options.folds,
        "repeats": options.repeats,
        "figures": list(metrics),
        "bootstrap": asdict(bootstrap),
        **facts,
        "rows": rows,
    }


def effects_table(effects: Mapping[str, Any], style: str = "simple") -> str:
    """Return the content of ``mistakes.json`` as a table in a format of tabulate."""
    metrics = effects["figures"]
    honest = {row["model"]: row["figures"] for row in effects["rows"] if row["mistake"] == HONEST}
    headings = ["mistake", "model"]
    for name in metrics:
        headings += [f"honest {SHORT[name]}", f"{SHORT[name]} with the mistake", "difference"]
    rows = []
    for row in effects["rows"]:
        if row["minus_honest"] is None:
            continue
        cells = [row["mistake"], row["model"]]
        for name in metrics:
            cells += [number(honest[row["model"]][name]["mean"]), number(row["figures"][name]["mean"])]
            cells.append(mean_with_interval(row["minus_honest"][name]))
        rows.append(cells)
    return tabulate(rows, headings, style, disable_numparse=True)


def effects_note(effects: Mapping[str, Any]) -> str:
    """Return the note below the table."""
    lines = [NOTE.format(**effects, **effects["bootstrap"])]
    if effects["duplicates"]:
        lines.append(f"{effects['duplicates']:,} songs have a duplicate.")
    lines += [f"{mistake}: left out, {reason}" for mistake, reason in effects["left_out"].items()]
    return "\n".join(lines)
