"""Which segments of which songs each filter of a model responds to most."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf
from tqdm import tqdm

from msd_spark.core.errors import UserError
from msd_spark.core.model_inputs import CHROMA, MASK, TIMBRE, model_inputs
from msd_spark.core.schemas import FILTER_RESPONSES, SPLITS, Geometry
from msd_spark.core.warehouse import Warehouse
from training.data.assembly import Columns
from training.data.dataset import Dataset
from training.data.reading import INPUT_COLUMNS, read_row_groups
from training.listening.receptive_field import Fields, ReceptiveField, receptive_fields
from training.listening.song_times import read_row_times
from training.listening.top_segments import TopSegments

BOTH = "segments"
"""What a filter hears that hears chroma and timbre."""


@dataclass(frozen=True)
class Responses:
    """What the filters of one convolution respond to.

    Attributes
    ----------
    layer, stream : str
    field : ReceptiveField
    top : TopSegments
        Its songs are places in the sample.
    """

    layer: str
    stream: str
    field: ReceptiveField
    top: TopSegments


def sample_songs(dataset: Dataset, size: int, seed: int) -> Columns:
    """Return a seeded sample of a dataset's tracks from all splits, each once, by track id.

    Parameters
    ----------
    dataset : Dataset
    size : int
        Tracks at most.
    seed : int

    Returns
    -------
    dict
        `INPUT_COLUMNS` of the examples.

    Raises
    ------
    UserError
        When the dataset has no example.
    """
    files = [
        (split, address, file["name"])
        for split in SPLITS
        for address, file in zip(dataset.addresses(split), dataset.metadata["files"][split], strict=True)
    ]
    filesystem = dataset.warehouse.filesystem
    held = [
        pq.read_table(
            dataset.warehouse.path("dataset", dataset.name, split, name),
            columns=["track_id"],
            filesystem=filesystem,
            partitioning=None,
        )["track_id"].to_pylist()
        for split, _, name in files
    ]
    tracks = np.unique(np.array([track for part in held for track in part], dtype=str))
    if len(tracks) > size:
        tracks = tracks[np.random.default_rng(seed).choice(len(tracks), size, replace=False)]
    wanted = set(tracks.tolist())
    parts: list[Columns] = []
    for (_, address, _), part in zip(tqdm(files, desc="listen: songs", unit="file"), held, strict=True):
        if wanted.isdisjoint(part):
            continue
        for group in read_row_groups([address], INPUT_COLUMNS):
            ids = np.asarray(group["track_id"]).astype(str)
            # A resampled dataset repeats tracks: the first copy is taken.
            rows = []
            for row, track in enumerate(ids.tolist()):
                if track in wanted:
                    wanted.remove(track)
                    rows.append(row)
            parts.append({name: values[rows] for name, values in group.items()})
    if not parts:
        raise UserError(f"dataset {dataset.name} has no examples; run jobs/dataset.py again")
    together = {name: np.concatenate([part[name] for part in parts]) for name in INPUT_COLUMNS}
    order = np.argsort(together["track_id"], kind="stable")
    return {name: values[order] for name, values in together.items()}


def convolution_outputs(model: keras.Model, names: list[str]) -> Callable[[Mapping[str, Any]], dict[str, np.ndarray]]:
    """Return what gives the outputs of some layers, by name, for a batch of inputs."""
    inputs = {tensor.name: tensor for tensor in model.inputs}
    part = keras.Model(inputs, {name: model.get_layer(name).output for name in names})
    graph = tf.function(lambda values: part(values, training=False), jit_compile=False)
    return lambda values: {
        name: np.asarray(found, np.float32)
        for name, found in graph({key: tf.constant(value) for key, value in values.items()}).items()
    }


def filter_responses(
    model: keras.Model, songs: Columns, geometry: Geometry, top: int, batch: int
) -> tuple[list[Responses], list[str]]:
    """Return what each convolution's filters respond to, and convolutions that see whole songs at once.

    Parameters
    ----------
    model : keras.Model
    songs : dict
        As `sample_songs` gives them.
    geometry : Geometry
    top : int
        Songs a filter.
    batch : int
        Songs a call of the model.
    """
    fields = receptive_fields(model.get_config())
    mixed = [
        layer.name for layer in model.layers if isinstance(layer, keras.layers.Conv1D) and layer.name not in fields
    ]
    heard = {name: heard_by(seen) for name, seen in fields.items()}
    found = {
        name: Responses(name, stream, field, TopSegments(model.get_layer(name).filters, top))
        for name, (stream, field) in ((name, pair) for name, pair in heard.items() if pair is not None)
    }
    if not found:
        return [], mixed
    outputs = convolution_outputs(model, list(found))
    for rows in tqdm(list(_batches(len(songs["track_id"]), batch)), desc="listen: filters", unit="batch"):
        inputs = model_inputs({name: values[rows] for name, values in songs.items()}, geometry)
        lengths = inputs[MASK].sum(axis=1)
        for name, activations in outputs(inputs).items():
            starts = np.arange(activations.shape[1]) * found[name].field.jump
            found[name].top.add(rows, activations, starts < lengths[:, None])
    return list(found.values()), mixed


def heard_by(fields: Fields) -> tuple[str, ReceptiveField] | None:
    """Return what a filter hears and what it sees of it; None for one that hears neither chroma nor timbre."""
    seen = {name: field for name, field in fields.items() if name in (CHROMA, TIMBRE)}
    if not seen:
        return None
    field, *others = seen.values()
    for other in others:
        field = field.joined(other) or field
    return (BOTH if others else next(iter(seen))), field


def _batches(n: int, size: int) -> Iterator[np.ndarray]:
    for start in range(0, n, size):
        yield np.arange(start, min(start + size, n))


def responses_table(responses: list[Responses], songs: Columns, geometry: Geometry, warehouse: Warehouse) -> pa.Table:
    """Return rows of `msd_spark.core.schemas.FILTER_RESPONSES`."""
    chosen = sorted({int(song) for item in responses for song in item.top.songs[item.top.activations > 0]})
    times = read_row_times(warehouse, {str(songs["track_id"][song]) for song in chosen}, geometry)
    rows: list[dict[str, Any]] = []
    for item in responses:
        for number, rank in zip(*np.nonzero(item.top.activations > 0), strict=True):
            song = int(item.top.songs[number, rank])
            track = str(songs["track_id"][song])
            length = int(songs["n_segments"][song])
            first, count = item.field.within(int(item.top.places[number, rank]), length)
            start, end = times[track].span(first, count) if track in times else (None, None)
            patches = {
                name: songs[name][song].reshape(geometry.segments_shape)[first : first + count].ravel()
                if item.stream in (name, BOTH)
                else None
                for name in (CHROMA, TIMBRE)
            }
            rows.append(
                {
                    "layer": item.layer,
                    "stream": item.stream,
                    "filter": int(number),
                    "rank": int(rank) + 1,
                    "track_id": track,
                    "activation": float(item.top.activations[number, rank]),
                    "first_segment": first,
                    "n_segments": count,
                    "start": start,
                    "end": end,
                    **patches,
                }
            )
    return pa.Table.from_pylist(rows, FILTER_RESPONSES)
