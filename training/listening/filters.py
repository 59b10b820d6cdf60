"""The segments that each filter of a model responds to most."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import tensorflow as tf
from tqdm import tqdm

from msd_spark.core.errors import UserError
from msd_spark.core.model_inputs import BASIC_INPUTS, CHROMA, MASK, TIMBRE, columns_of_inputs, model_inputs, to_float32
from msd_spark.core.schemas import FILTER_RESPONSES, SPLITS, Geometry
from msd_spark.core.warehouse import Warehouse
from training.data.assembly import Columns
from training.data.dataset import Dataset
from training.data.reading import read_row_groups, to_numpy
from training.listening.receptive_field import Fields, ReceptiveField, receptive_fields
from training.listening.song_times import read_row_times, span
from training.listening.top_segments import TopSegments

BOTH = "segments"
"""Stream of a filter with both chroma and timbre as input."""

MOST_DISTINCT = 10


@dataclass(frozen=True)
class Responses:
    """The highest responses of the filters of one convolution.

    `stream` is ``chroma``, ``timbre`` or `BOTH`; song numbers in `top` are indices of the sample.
    """

    layer: str
    stream: str
    field: ReceptiveField
    top: TopSegments


def sample_songs(
    dataset: Dataset,
    size: int,
    seed: int,
    inputs: Collection[str] = BASIC_INPUTS,
    chosen: Collection[str] = (),
    *,
    others: bool = False,
) -> Columns:
    """Return the input columns and ids of a seeded sample of `size` tracks, sorted by id.

    With `chosen` tracks, all of these are returned; with `others` too, a sample of the other tracks.
    """
    addresses = [address for split in SPLITS for address in dataset.addresses(split)]
    track_ids = np.concatenate([to_numpy(dataset.targets(split, ["track_id"])["track_id"]) for split in SPLITS])
    borders = np.cumsum([n_rows for split in SPLITS for n_rows in dataset.rows(split)])
    tracks_of_file, tracks = np.split(track_ids, borders[:-1]), np.unique(track_ids)
    if not len(tracks):
        raise UserError(f"dataset {dataset.name} has no examples; run msd-spark dataset again")
    if chosen:
        is_chosen = np.isin(tracks, list(chosen))
        if missing := set(chosen).difference(tracks.tolist()):
            raise UserError(
                f"{len(missing):,} of {len(chosen):,} --tracks are not in dataset {dataset.name}, for example "
                f"{min(missing)}; remove them"
            )
        if is_chosen.all():
            raise UserError(f"--tracks are all tracks of dataset {dataset.name}; leave some out, to compare with")
        tracks = tracks[~is_chosen if others else is_chosen]
    if len(tracks) > size and (others or not chosen):
        tracks = tracks[np.random.default_rng(seed).choice(len(tracks), size, replace=False)]
    remaining, names = set(tracks.tolist()), ("track_id", *columns_of_inputs((*BASIC_INPUTS, *inputs)))
    parts: list[Columns] = []
    for address, in_file in zip(
        tqdm(addresses, desc="listen: songs", unit="file", disable=None), tracks_of_file, strict=True
    ):
        if remaining.isdisjoint(in_file.tolist()):
            continue
        for group in read_row_groups([address], names, dataset.reading):
            rows = []
            for row, track in enumerate(np.asarray(group["track_id"]).astype(str).tolist()):
                # A balanced dataset repeats tracks; only the first copy is used.
                if track in remaining:
                    remaining.remove(track)
                    rows.append(row)
            parts.append({name: values[rows] for name, values in group.items()})
    columns = {name: np.concatenate([part[name] for part in parts]) for name in names}
    order = np.argsort(columns["track_id"], kind="stable")
    return {name: values[order] for name, values in columns.items()}


def convolution_outputs(model: keras.Model, names: list[str]) -> Callable[[Mapping[str, Any]], dict[str, np.ndarray]]:
    """Return a function from a batch of inputs to the outputs of layers, by name."""
    inputs = {tensor.name: tensor for tensor in model.inputs}
    part = keras.Model(inputs, {name: model.get_layer(name).output for name in names})
    graph = tf.function(lambda values: part(values, training=False), jit_compile=False)
    return lambda values: {
        name: np.asarray(output, np.float32)
        for name, output in graph({key: tf.constant(value) for key, value in values.items()}).items()
    }


def filter_responses(
    model: keras.Model, songs: Columns, geometry: Geometry, top: int, batch: int
) -> tuple[list[Responses], list[str]]:
    """Return responses per convolution, and convolutions that depend on the entire song.

    `songs` is the result of `sample_songs`, `top` the number of songs per filter, `batch` songs per call of the model.
    """
    fields = receptive_fields(model.get_config())
    mixed = [
        layer.name for layer in model.layers if isinstance(layer, keras.layers.Conv1D) and layer.name not in fields
    ]
    responses = {
        name: Responses(name, *stream, TopSegments(model.get_layer(name).filters, top))
        for name, by_input in fields.items()
        if (stream := stream_of(by_input)) is not None
    }
    if not responses:
        return [], mixed
    outputs, n_songs = convolution_outputs(model, list(responses)), len(songs["track_id"])
    for start in tqdm(range(0, n_songs, batch), desc="listen: filters", unit="batch", disable=None):
        rows = np.arange(start, min(start + batch, n_songs))
        inputs = model_inputs({name: values[rows] for name, values in songs.items()}, geometry, tuple(model.input))
        lengths = inputs[MASK].sum(axis=1)
        for name, activations in outputs(inputs).items():
            starts = np.arange(activations.shape[1]) * responses[name].field.jump
            responses[name].top.add(rows, activations, starts < lengths[:, None])
    return list(responses.values()), mixed


def distinct_filters(chosen: list[Responses], others: list[Responses]) -> list[dict[str, Any]]:
    """Return the filters that respond more to chosen songs, the greatest difference first.

    The difference is Cohen's d of the highest activation per song: the difference of the means, divided by the root of
    the mean of both variances.
    """
    rows = []
    for item, other in zip(chosen, others, strict=True):
        (mean, within), (mean_of_others, of_others) = item.top.moments, other.top.moments
        deviation = np.sqrt((within**2 + of_others**2) / 2)
        difference = np.divide(mean - mean_of_others, deviation, out=np.zeros(len(mean)), where=deviation > 0)
        rows += [
            {
                "layer": item.layer,
                "filter": number,
                "mean": float(mean[number]),
                "mean_of_others": float(mean_of_others[number]),
                "difference": float(difference[number]),
            }
            for number in np.flatnonzero(difference > 0).tolist()
        ]
    return sorted(rows, key=lambda row: -row["difference"])[:MOST_DISTINCT]


def stream_of(fields: Fields) -> tuple[str, ReceptiveField] | None:
    """Return the stream and receptive field of a filter; None if its input is not audio."""
    own = {name: field for name, field in fields.items() if name in (CHROMA, TIMBRE)}
    if not own:
        return None
    field, *others = own.values()
    for other in others:
        field = field.joined(other) or field
    return (BOTH if others else next(iter(own))), field


def responses_table(responses: list[Responses], songs: Columns, geometry: Geometry, warehouse: Warehouse) -> pa.Table:
    """Return rows of `msd_spark.core.schemas.FILTER_RESPONSES`."""
    chosen = sorted({int(song) for item in responses for song in item.top.songs[item.top.activations > 0]})
    times = read_row_times(warehouse, {str(songs["track_id"][song]) for song in chosen}, geometry)
    rows: list[dict[str, Any]] = []
    for item in responses:
        for number, rank in zip(*np.nonzero(item.top.activations > 0), strict=True):
            song = int(item.top.songs[number, rank])
            track = str(songs["track_id"][song])
            first, count = item.field.within(int(item.top.places[number, rank]), int(songs["n_segments"][song]))
            start, end = span(times[track], first, count) if track in times else (None, None)
            patches = {
                name: to_float32(songs[name][song]).reshape(geometry.segments_shape)[first : first + count].ravel()
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
