"""Keras models: from chroma, timbre and lyrics to genre probabilities, by way of a 50-dimensional embedding.

Every model is functional and made of Keras's own layers alone, so that plain Keras loads it
in safe mode. All take the inputs of `msd_spark.model_inputs.input_shapes` and carry a layer
named ``embedding`` before the head.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import keras
from keras import layers, regularizers

from msd_spark.model_inputs import CHROMA, HAS_LYRICS, LYRIC_VECTOR, MASK, TIMBRE, input_shapes
from msd_spark.schema import EMBEDDING_LAYER, EMBEDDING_SIZE, Geometry

Normalisation = Mapping[str, Mapping[str, Sequence[float]]]
"""Mean and deviation of chroma, timbre and lyric vector, as in a dataset's metadata."""


@dataclass(frozen=True)
class ModelSettings:
    """Sizes and regularisation.

    Attributes
    ----------
    filters, pools : tuple of int
        Of each convolution of a stream, and of the pooling behind it.
    width : int
        Segments that a filter spans.
    hidden : tuple of int
        Units of the dense layers before the embedding.
    dropout : float
        Share of units dropped before each dense layer.
    l1, l2 : float
        Penalties on the dense layers' weights.
    """

    filters: tuple[int, ...] = (128, 128, 256)
    pools: tuple[int, ...] = (4, 2, 2)
    width: int = 4
    hidden: tuple[int, ...] = (128, 128)
    dropout: float = 0.2
    l1: float = 1e-6
    l2: float = 1e-5


def cnn(geometry: Geometry, n_genres: int, normalisation: Normalisation, settings: ModelSettings) -> keras.Model:
    """Return a 1-D CNN with a stream each for chroma and timbre.

    A stream is a row of convolutions, each followed by max pooling, and a mean over the
    segments that are there: ``(300, 12)`` → ``(18, 256)`` → ``(256,)``. Both streams and the
    lyric vector meet in dense layers.

    Parameters
    ----------
    geometry : Geometry
    n_genres : int
    normalisation : mapping
    settings : ModelSettings

    Returns
    -------
    keras.Model
        From the named inputs to probabilities of shape ``(n_genres,)``.
    """
    inputs = _inputs(geometry)
    streams = [
        _convolutions(_normalised(inputs, name, normalisation), inputs[MASK], name, settings)
        for name in (CHROMA, TIMBRE)
    ]
    return _head(inputs, streams, n_genres, normalisation, settings, "cnn")


def dense(geometry: Geometry, n_genres: int, normalisation: Normalisation, settings: ModelSettings) -> keras.Model:
    """Return the original project's baseline: dense layers over the flattened chroma and timbre."""
    inputs = _inputs(geometry)
    streams = [
        layers.Flatten(name=f"{name}_flat")(_normalised(inputs, name, normalisation)) for name in (CHROMA, TIMBRE)
    ]
    return _head(inputs, streams, n_genres, normalisation, settings, "dense")


MODELS: dict[str, Callable[[Geometry, int, Normalisation, ModelSettings], keras.Model]] = {"cnn": cnn, "dense": dense}
"""Every model by the name that ``--model`` takes."""


def _inputs(geometry: Geometry) -> dict[str, keras.KerasTensor]:
    return {name: keras.Input(shape, name=name) for name, shape in input_shapes(geometry).items()}


def _normalised(inputs: Mapping[str, keras.KerasTensor], name: str, normalisation: Normalisation) -> keras.KerasTensor:
    """Return an input at mean 0 and deviation 1; padding, and lyrics that are not there, at exactly 0."""
    mean, deviation = normalisation[name]["mean"], normalisation[name]["deviation"]
    scaled = layers.Normalization(
        mean=list(mean), variance=[value**2 for value in deviation], name=f"{name}_normalised"
    )(inputs[name])
    if name == LYRIC_VECTOR:
        return layers.Multiply(name=f"{name}_present")([scaled, inputs[HAS_LYRICS]])
    return layers.Multiply(name=f"{name}_masked")([scaled, _column(inputs[MASK], f"{name}_mask")])


def _column(mask: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return layers.Reshape((mask.shape[1], 1), name=name)(mask)


def _convolutions(
    features: keras.KerasTensor, mask: keras.KerasTensor, name: str, settings: ModelSettings
) -> keras.KerasTensor:
    there = _column(mask, f"{name}_there")
    for number, (filters, pool) in enumerate(zip(settings.filters, settings.pools, strict=True), 1):
        label = f"{name}_{number}"
        features = layers.Conv1D(
            filters, settings.width, padding="same", activation="relu", name=f"{label}_convolution"
        )(features)
        # A filter's answer beyond the song's end must not outlive the pooling.
        features = layers.Multiply(name=f"{label}_masked")([features, there])
        features = layers.MaxPooling1D(pool, padding="same", name=f"{label}_pool")(features)
        there = layers.MaxPooling1D(pool, padding="same", name=f"{label}_mask_pool")(there)
    flat_mask = layers.Reshape((there.shape[1],), name=f"{name}_mask_flat")(there)
    return layers.GlobalAveragePooling1D(name=f"{name}_mean")(features, mask=flat_mask)


def _head(
    inputs: Mapping[str, keras.KerasTensor],
    streams: Sequence[keras.KerasTensor],
    n_genres: int,
    normalisation: Normalisation,
    settings: ModelSettings,
    name: str,
) -> keras.Model:
    lyrics = _normalised(inputs, LYRIC_VECTOR, normalisation)
    values = layers.Concatenate(name="together")([*streams, lyrics, inputs[HAS_LYRICS]])
    for number, units in enumerate(settings.hidden, 1):
        values = layers.Dropout(settings.dropout, name=f"dropout_{number}")(values)
        values = layers.Dense(units, activation="relu", kernel_regularizer=_penalty(settings), name=f"dense_{number}")(
            values
        )
    values = layers.Dropout(settings.dropout, name="dropout_embedding")(values)
    embedding = layers.Dense(
        EMBEDDING_SIZE, activation="relu", kernel_regularizer=_penalty(settings), name=EMBEDDING_LAYER
    )(values)
    genres = layers.Dense(n_genres, activation="softmax", dtype="float32", name="genre")(embedding)
    return keras.Model(dict(inputs), genres, name=name)


def _penalty(settings: ModelSettings) -> regularizers.Regularizer:
    return regularizers.L1L2(l1=settings.l1, l2=settings.l2)
