"""Study a finished run and write ``studies/RUN``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf
from tqdm import tqdm

from msd_spark.core.bootstrap import Bootstrap
from msd_spark.core.model_inputs import HAS_LYRICS
from msd_spark.core.runs import STUDIES, read_run
from msd_spark.core.schemas import OCCLUSION
from msd_spark.core.warehouse import Warehouse
from training.data.dataset import Dataset
from training.data.predictions import Predictions
from training.data.targets import target_of
from training.data.targets.target import CLASSES, Target
from training.evaluation.fit import Fit, fit_to, run_target
from training.listening.filters import Responses, filter_responses, responses_table, sample_songs
from training.listening.occlusion import FULL, HIDDEN, hide, occlusion_table
from training.listening.options import ListenOptions
from training.loop.inference import Infer, compile_inference, predict_split
from training.models.settings import Normalisation
from training.ranks.ranks import Ranks
from training.runs.run_folder import read_model

FILTERS_FILE, OCCLUSION_FILE, SUMMARY_FILE = "filters.parquet", "occlusion.parquet", "summary.json"


def study(options: ListenOptions, run: str) -> tuple[dict[str, Any], pa.Table]:
    """Write ``studies/RUN`` of a finished run; return its summary and the occlusion table."""
    warehouse = Warehouse(options.warehouse)
    metadata = read_run(warehouse, run)
    dataset = Dataset.open(warehouse, str(metadata["dataset"]["name"]))
    target = target_of(run_target(metadata).name, dataset)
    fit = fit_to(metadata, dataset, target, options.split)
    model = read_model(warehouse, run)
    songs = sample_songs(dataset, options.songs, options.seed)
    responses, mixed = filter_responses(model, songs, dataset.geometry, options.top, options.batch)
    filters = responses_table(responses, songs, dataset.geometry, warehouse)
    notes = []
    if not responses:
        notes.append(f"{model.name} has no convolution along the segments, so there are no filters to study")
    if mixed:
        notes.append(f"filters of {', '.join(mixed)} are left out: each position depends on the entire song")
    occlusion = OCCLUSION.empty_table()
    if fit.target.form != CLASSES:
        notes.append(f"occlusion is for genres and deciles, not for {fit.target.name}")
    else:
        infer, normalisation = compile_inference(model), metadata["normalisation"]
        predictions, has_lyrics = _occluded_predictions(infer, dataset, target, fit, normalisation, options)
        if predictions:
            bootstrap = Bootstrap(seed=options.seed)
            occlusion = occlusion_table(predictions, fit.target.class_names, has_lyrics, bootstrap)
        else:
            notes.append(f"no example in {options.split} has {fit.target.content}, so there is no occlusion")
    summary = {
        "run": run,
        "model": model.name,
        "dataset": {"name": dataset.name, "fingerprint": dataset.metadata["fingerprint"]},
        "target": fit.target.name,
        "split": options.split,
        "songs_sampled": len(songs["track_id"]),
        "top": options.top,
        "seed": options.seed,
        "convolutions": _convolutions(responses),
        "notes": notes,
    }
    with warehouse.replacing_folder(STUDIES, run) as folder:
        for file, table in ((FILTERS_FILE, filters), (OCCLUSION_FILE, occlusion)):
            pq.write_table(table, f"{folder.path}/{file}", filesystem=warehouse.filesystem, compression="zstd")
        folder.point_by_json(SUMMARY_FILE, summary)
    return summary, occlusion


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
    infer: Infer, dataset: Dataset, target: Target, fit: Fit, normalisation: Normalisation, options: ListenOptions
) -> tuple[dict[str, Predictions], np.ndarray]:
    """Return the predictions with all inputs and with each part hidden, and the lyrics flags.

    They are of the examples that have a class; empty if there are none.
    """
    size, bar = fit.target.size, tqdm(desc="listen: occlusion", unit="batch", disable=None)

    def infer_all(inputs: Mapping[str, tf.Tensor]) -> np.ndarray:
        """Return the scores of all variants and the lyrics flag, side by side."""
        variants = [inputs, *(hide(inputs, part, normalisation) for part in HIDDEN)]
        bar.update()
        return np.hstack([*(np.asarray(infer(variant)) for variant in variants), np.asarray(inputs[HAS_LYRICS])])

    n_columns = size * (1 + len(HIDDEN)) + 1
    predicted = predict_split(infer_all, n_columns, dataset, options.split, target, options.batch, Ranks.join())
    bar.close()
    if predicted is None or not predicted.present.any():
        return {}, np.zeros(0, bool)
    predicted = fit.align(predicted).judged()
    scores = np.split(predicted.scores[:, :-1], 1 + len(HIDDEN), axis=1)
    predictions = {name: replace(predicted, scores=part) for name, part in zip((FULL, *HIDDEN), scores, strict=True)}
    return predictions, predicted.scores[:, -1] > 0
