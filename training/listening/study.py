"""Study a finished run and write ``studies/RUN``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf
from tqdm import tqdm

from msd_spark.core.bootstrap import Bootstrap
from msd_spark.core.errors import UserError
from msd_spark.core.model_inputs import HAS_LYRICS
from msd_spark.core.runs import read_run
from msd_spark.core.schemas import OCCLUSION
from msd_spark.core.warehouse import Warehouse
from training.data.assembly import assemble
from training.data.dataset import Dataset
from training.data.predictions import Predictions
from training.data.reading import columns_for, read_row_groups, to_batch
from training.data.targets import target_of
from training.data.targets.target import CLASSES, Target
from training.evaluation.fit import Fit, fit_to, run_target
from training.listening.filters import Responses, filter_responses, responses_table, sample_songs
from training.listening.occlusion import FULL, HIDDEN, hide, occlusion_table
from training.listening.options import ListenOptions
from training.loop.inference import Infer, compile_inference
from training.models.settings import Normalisation
from training.runs.run_folder import read_model

STUDIES = "studies"
FILTERS_FILE, OCCLUSION_FILE, SUMMARY_FILE = "filters.parquet", "occlusion.parquet", "summary.json"


def study(options: ListenOptions, run: str) -> tuple[dict[str, Any], pa.Table]:
    """Write ``studies/RUN``; return its summary and the rows of occlusion.

    Raises
    ------
    UserError
        If the run or its dataset is missing, or they do not fit.
    """
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
            notes.append(f"no example in {options.split} has a {fit.target.name}, so there is no occlusion")
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
    with warehouse.replacing(STUDIES, run) as staging:
        for file, table in ((FILTERS_FILE, filters), (OCCLUSION_FILE, occlusion)):
            pq.write_table(table, f"{staging}/{file}", filesystem=warehouse.filesystem, compression="zstd")
        warehouse.write_json(summary, staging.removeprefix(f"{warehouse.root}/"), SUMMARY_FILE)
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
    """Return scores of the examples with a class, with all inputs and with each part hidden, and which have lyrics.

    Empty if no example has a class.
    """
    n_rows, addresses = sum(dataset.rows(options.split)), dataset.addresses(options.split)
    parts: list[tuple[np.ndarray, ...]] = []
    scores: dict[str, list[np.ndarray]] = {name: [] for name in (FULL, *HIDDEN)}
    bar = tqdm(desc="listen: occlusion", total=n_rows, unit="example")
    for group in read_row_groups(addresses, columns_for(target)):
        # A batch holds rows of one row group, as in the evaluation, so that the full scores are equal.
        for columns in assemble(iter([group]), options.batch):
            n = len(columns["track_id"])
            batch = to_batch(columns, options.batch, dataset.geometry, target)
            with_lyrics = batch.inputs[HAS_LYRICS][:, 0] > 0
            values = (batch.track_ids, batch.artist_groups, batch.truth, batch.present, with_lyrics)
            parts.append(tuple(array[:n] for array in values))
            for name, part in scores.items():
                inputs = batch.inputs if name == FULL else hide(batch.inputs, name, normalisation)
                part.append(_scores(infer, inputs)[:n])
            bar.update(n)
    bar.close()
    n_read = sum(len(part[0]) for part in parts)
    if n_read != n_rows:
        raise UserError(
            f"{options.split} of dataset {dataset.name} has {n_read} rows, but its metadata say {n_rows}; "
            "run msd-spark dataset again"
        )
    if not any(part[3].any() for part in parts):
        return {}, np.zeros(0, bool)
    ids, groups, true, present, has_lyrics = (np.concatenate(column) for column in zip(*parts, strict=True))
    predictions = {
        name: fit.align(Predictions(ids, groups, true, np.concatenate(part), present)).judged()
        for name, part in scores.items()
    }
    return predictions, has_lyrics[present]


def _scores(infer: Infer, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    return np.asarray(infer({name: tf.constant(values) for name, values in inputs.items()}))
