"""Study a finished run and write ``studies/RUN``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf
from tqdm import tqdm

from msd_spark.core.bootstrap import Bootstrap
from msd_spark.core.errors import UserError
from msd_spark.core.model_inputs import HAS_LYRICS
from msd_spark.core.runs import STUDIES, read_run
from msd_spark.core.schemas import OCCLUSION, SPLITS
from msd_spark.core.track_ids import TRACK_ID
from msd_spark.core.warehouse import Warehouse
from training.data.dataset import Dataset
from training.data.predictions import Predictions
from training.data.targets import target_of
from training.data.targets.target import CLASSES, Target
from training.evaluation.fit import Fit, fit_to, run_target
from training.listening.filters import (
    Responses,
    distinct_filters,
    filter_responses,
    responses_table,
    sample_songs,
)
from training.listening.occlusion import FULL, HIDDEN, hide, occlusion_table
from training.listening.options import ListenOptions
from training.loop.inference import compile_inference, predict_split
from training.models.settings import Normalisation
from training.ranks.ranks import Ranks
from training.runs.run_folder import read_model

FILTERS_FILE, OCCLUSION_FILE, SUMMARY_FILE = "filters.parquet", "occlusion.parquet", "summary.json"


def chosen_tracks(values: Sequence[str]) -> list[str]:
    """Return track ids, each once: values that are no files, and the ids in files."""
    ids: dict[str, None] = {}
    for value in values:
        if not Path(value).is_file():
            ids[value] = None
            continue
        try:
            in_file = TRACK_ID.findall(Path(value).read_text(encoding="utf-8", errors="replace"))
        except OSError as error:
            raise UserError(f"--tracks {value} cannot be read: {error.strerror}") from None
        if not in_file:
            raise UserError(f"--tracks {value} has no track id; write one per line")
        ids |= dict.fromkeys(in_file)
    return list(ids)


def study(options: ListenOptions, run: str) -> tuple[dict[str, Any], pa.Table]:
    """Write ``studies/NAME`` of a finished run; return its summary and the occlusion table."""
    chosen = chosen_tracks(options.tracks)
    warehouse = Warehouse(options.warehouse)
    metadata = read_run(warehouse, run)
    dataset = Dataset.open(warehouse, str(metadata["dataset"]["name"]))
    target = target_of(run_target(metadata).name, dataset)
    splits = [split for split in SPLITS if dataset.rows(split)] if chosen else [options.split]
    fits = {split: fit_to(metadata, dataset, target, split) for split in splits}
    fit = fits[splits[0]]
    model = read_model(warehouse, run)
    songs = sample_songs(dataset, options.songs, options.seed, tuple(model.input), chosen)
    responses, mixed = filter_responses(model, songs, dataset.geometry, options.top, options.batch_size)
    filters = responses_table(responses, songs, dataset.geometry, warehouse)
    distinct = []
    if chosen and responses:
        others = sample_songs(dataset, options.songs, options.seed, tuple(model.input), chosen, others=True)
        distinct = distinct_filters(
            responses, filter_responses(model, others, dataset.geometry, options.top, options.batch_size)[0]
        )
    notes = []
    if not responses:
        notes.append(f"{model.name} has no convolution along the segments, so there are no filters to study")
    if mixed:
        notes.append(f"filters of {', '.join(mixed)} are left out: each position depends on the entire song")
    occlusion = OCCLUSION.empty_table()
    if fit.target.form != CLASSES:
        notes.append(f"occlusion is for genres and deciles, not for {fit.target.name}")
    else:
        predictions, has_lyrics = _occluded_predictions(
            model, dataset, target, fits, metadata["normalisation"], options.batch_size, chosen
        )
        if predictions:
            bootstrap = Bootstrap(seed=options.seed)
            occlusion = occlusion_table(predictions, fit.target.class_names, has_lyrics, bootstrap)
        else:
            part = "among --tracks" if chosen else f"in {options.split}"
            notes.append(f"no example {part} has {fit.target.content}, so there is no occlusion")
    summary = {
        "run": run,
        "model": model.name,
        "dataset": {"name": dataset.name, "fingerprint": dataset.metadata["fingerprint"]},
        "target": fit.target.name,
        "split": ", ".join(splits),
        "chosen": len(chosen),
        "distinct_filters": distinct,
        "songs_sampled": len(songs["track_id"]),
        "top": options.top,
        "seed": options.seed,
        "convolutions": _convolutions(responses),
        "notes": notes,
    }
    name = options.name or (f"{run}-tracks" if chosen else run)
    with warehouse.replacing_folder(STUDIES, name) as folder:
        for file, table in ((FILTERS_FILE, filters), (OCCLUSION_FILE, occlusion)):
            pq.write_table(table, f"{folder.path}/{file}", filesystem=warehouse.filesystem, compression="zstd")
        folder.point_by_json(SUMMARY_FILE, summary)
    return summary | {"name": name}, occlusion


def _convolutions(responses: Sequence[Responses]) -> list[dict[str, Any]]:
    return [
        {
            "layer": item.layer,
            "stream": item.stream,
            "filters": len(item.top.silent),
            "silent_filters": np.flatnonzero(item.top.silent).tolist(),
            "segments_seen": item.field.last - item.field.first + 1,
            "segments_a_place": item.field.jump,
        }
        for item in responses
    ]


def _occluded_predictions(
    model: keras.Model,
    dataset: Dataset,
    target: Target,
    fits: Mapping[str, Fit],
    normalisation: Normalisation,
    batch: int,
    chosen: Sequence[str],
) -> tuple[dict[str, Predictions], np.ndarray]:
    """Return the predictions with all inputs and with each part hidden, and the lyrics flags.

    They are of all examples with a class in the splits of `fits`, or of those of the `chosen` tracks; empty if there
    are none.
    """
    infer = compile_inference(model)
    size, bar = next(iter(fits.values())).target.size, tqdm(desc="listen: occlusion", unit="batch", disable=None)

    def infer_all(inputs: Mapping[str, tf.Tensor]) -> np.ndarray:
        """Return the scores of all variants and the lyrics flag, side by side."""
        variants = [inputs, *(hide(inputs, part, normalisation) for part in HIDDEN)]
        bar.update()
        return np.hstack([*(np.asarray(infer(variant)) for variant in variants), np.asarray(inputs[HAS_LYRICS])])

    n_columns = size * (1 + len(HIDDEN)) + 1
    parts, ranks = [], Ranks.join()
    for split, fit in fits.items():
        part = predict_split(infer_all, n_columns, dataset, split, target, batch, ranks, tuple(model.input))
        if part is not None:
            parts.append(fit.align(part).judged())
    bar.close()
    if not parts:
        return {}, np.zeros(0, bool)
    predicted = Predictions.concatenate(parts)
    if chosen:
        # A balanced dataset repeats tracks.
        places = np.unique(predicted.track_ids, return_index=True)[1]
        predicted = predicted.take(places[np.isin(predicted.track_ids[places], chosen)])
    if not len(predicted):
        return {}, np.zeros(0, bool)
    scores = np.split(predicted.scores[:, :-1], 1 + len(HIDDEN), axis=1)
    predictions = {name: replace(predicted, scores=part) for name, part in zip((FULL, *HIDDEN), scores, strict=True)}
    return predictions, predicted.scores[:, -1] > 0
