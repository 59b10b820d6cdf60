"""Ask a finished run what it listens to, and write ``studies/RUN``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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
from training.data.targets import GENRE, POPULARITY, Target
from training.evaluation.fit import Fit, fit_to, run_target
from training.listening.filters import filter_responses, responses_table, sample_songs
from training.listening.occlusion import FULL, HIDDEN, hide, occlusion_table
from training.loop.inference import Infer, compile_inference
from training.models.settings import Normalisation
from training.runs.run_folder import read_model

STAGE = "listen"
STUDIES = "studies"
FILTERS_FILE, OCCLUSION_FILE, SUMMARY_FILE = "filters.parquet", "occlusion.parquet", "summary.json"


@dataclass(frozen=True)
class StudySettings:
    """What is asked.

    Attributes
    ----------
    warehouse, run : str
    songs : int
        Of the seeded sample that filters are tried on.
    top : int
        Songs a filter.
    split : str
        Which occlusion is judged on.
    batch : int
        Examples a call of the model.
    seed : int
        Of the sample and the bootstrap.
    """

    warehouse: str
    run: str
    songs: int = 2000
    top: int = 8
    split: str = "test"
    batch: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be asked for."""
        for name in ("songs", "top", "batch"):
            if getattr(self, name) < 1:
                raise UserError(f"--{name} is at least 1, not {getattr(self, name)}")


def study(settings: StudySettings) -> tuple[dict[str, Any], pa.Table]:
    """Write ``studies/RUN``; return its summary and the rows of occlusion.

    Raises
    ------
    UserError
        When the run or its dataset is missing, or they do not fit.
    """
    warehouse = Warehouse(settings.warehouse)
    metadata = read_run(warehouse, settings.run)
    name = str(metadata["dataset"]["name"])
    warehouse.require("dataset", name)
    dataset = Dataset.open(warehouse, name)
    found = Target.of(run_target(metadata).name, dataset)
    fit = fit_to(metadata, dataset, found, settings.split)
    model = read_model(warehouse, settings.run)
    songs = sample_songs(dataset, settings.songs, settings.seed)
    responses, mixed = filter_responses(model, songs, dataset.geometry, settings.top, settings.batch)
    filters = responses_table(responses, songs, dataset.geometry, warehouse)
    notes = []
    if not responses:
        notes.append(f"{model.name} has no convolution along the segments: there are no filters to tell of")
    if mixed:
        notes.append(f"of {', '.join(mixed)} each place sees the whole song: their filters are left out")
    occlusion = OCCLUSION.empty_table()
    if fit.target.name not in (GENRE, POPULARITY):
        notes.append(f"occlusion is told of genres and deciles, not of {fit.target.name}")
    else:
        infer = compile_inference(model)
        judged = _hidden_predictions(infer, dataset, found, fit, metadata["normalisation"], settings)
        if judged is None:
            notes.append(f"no example in {settings.split} has a {fit.target.name}: there is no occlusion to tell of")
        else:
            predictions, has_lyrics = judged
            bootstrap = Bootstrap(seed=settings.seed)
            occlusion = occlusion_table(predictions, fit.target.class_names, has_lyrics, bootstrap)
    summary = {
        "run": settings.run,
        "model": model.name,
        "dataset": {"name": name, "fingerprint": dataset.metadata["fingerprint"]},
        "target": fit.target.name,
        "split": settings.split,
        "songs_sampled": len(songs["track_id"]),
        "top": settings.top,
        "seed": settings.seed,
        "convolutions": [
            {
                "layer": item.layer,
                "stream": item.stream,
                "filters": len(item.top.silent),
                "silent_filters": np.flatnonzero(item.top.silent).tolist(),
                "segments_seen": item.field.last - item.field.first + 1,
                "segments_a_place": item.field.jump,
            }
            for item in responses
        ],
        "notes": notes,
    }
    with warehouse.replacing(STUDIES, settings.run) as staging:
        for file, table in ((FILTERS_FILE, filters), (OCCLUSION_FILE, occlusion)):
            pq.write_table(table, f"{staging}/{file}", filesystem=warehouse.filesystem, compression="zstd")
        warehouse.write_json(summary, staging.removeprefix(f"{warehouse.root}/"), SUMMARY_FILE)
    return summary, occlusion


def _hidden_predictions(
    infer: Infer,
    dataset: Dataset,
    found: Target,
    fit: Fit,
    normalisation: Normalisation,
    settings: StudySettings,
) -> tuple[dict[str, Predictions], np.ndarray] | None:
    """Return scores with all and with each part hidden of the examples that have a class, and which have lyrics."""
    rows, addresses = dataset.rows(settings.split), dataset.addresses(settings.split)
    parts: list[tuple[np.ndarray, ...]] = []
    scores: dict[str, list[np.ndarray]] = {name: [] for name in (FULL, *HIDDEN)}
    bar = tqdm(desc="listen: hidden", total=sum(rows), unit="example")
    for group in read_row_groups(addresses, columns_for(found)):
        # A batch holds rows of one row group, as in the evaluation, so that the full scores are its scores.
        for columns in assemble(iter([group]), settings.batch):
            n = len(columns["track_id"])
            item = to_batch(columns, settings.batch, dataset.geometry, found)
            made = (item.track_ids, item.artist_groups, item.truth, item.present, item.inputs[HAS_LYRICS][:, 0] > 0)
            parts.append(tuple(values[:n] for values in made))
            for name, part in scores.items():
                inputs = item.inputs if name == FULL else hide(item.inputs, name, normalisation)
                part.append(_scores(infer, inputs)[:n])
            bar.update(n)
    bar.close()
    read = sum(len(part[0]) for part in parts)
    if read != sum(rows):
        raise UserError(f"{settings.split} of dataset {dataset.name}: {sum(rows)} rows planned and {read} read")
    if not parts or not any(part[3].any() for part in parts):
        return None
    ids, groups, true, present, has_lyrics = (np.concatenate(column) for column in zip(*parts, strict=True))
    predictions = {
        name: fit.align(Predictions(ids, groups, true, np.concatenate(part), present)).judged()
        for name, part in scores.items()
    }
    return predictions, has_lyrics[present]


def _scores(infer: Infer, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    return np.asarray(infer({name: tf.constant(values) for name, values in inputs.items()}))
