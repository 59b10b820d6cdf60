"""A wide and deep model on the summary, words and segments of a song.

It has a linear part and a deep part. The wide part is a multinomial regression, whose penalty on the weights is that of
scikit-learn's logistic regression with C = `WIDE_C`. The deep part ends in the embedding of 50 units. Both are trained
together, and their scores are added: H.-T. Cheng et al., "Wide & deep learning for recommender systems", 2016.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers, ops, regularizers

from msd_spark.core.model_inputs import (
    CHROMA,
    DYNAMICS,
    HAS_LYRICS,
    MASK,
    SUMMARY,
    TIMBRE,
    WORD_COUNTS,
    WORD_INDICES,
)
from msd_spark.core.normalisation import WORD_WEIGHTS
from msd_spark.core.schemas import EMBEDDING_LAYER, EMBEDDING_SIZE
from training.data.targets.target import LABELS, Target
from training.models.attention import attentive_statistics
from training.models.cnn import convolutions
from training.models.parts import Inputs, normalised, scores_of
from training.models.settings import SCORE_LAYERS, ModelSettings, Normalisation

WIDE_DEEP_INPUTS = (CHROMA, TIMBRE, MASK, HAS_LYRICS, SUMMARY, WORD_INDICES, WORD_COUNTS, DYNAMICS)
"""Inputs of the model."""

WIDE_C = 4.0
"""Inverse strength of the penalty on the weights of the wide part, as scikit-learn's C."""

WIDE_SCALE = 10.0
"""Factor of the wide part's features, so that its weights are learned as fast as those of the deep part."""

LARGEST_DEVIATION = 4.0
"""Numbers of the summary are clipped to this many standard deviations."""


def wide_deep(
    inputs: Inputs, target: Target, normalisation: Normalisation, settings: ModelSettings, examples: float
) -> keras.KerasTensor:
    """Return the scores ``(target.size,)``; the wide part's penalty is divided by `examples`."""
    wide, deep = [], []
    if settings.uses_audio:
        summary = ops.clip(normalised(inputs, SUMMARY, normalisation), -LARGEST_DEVIATION, LARGEST_DEVIATION)
        wide.append(layers.Rescaling(WIDE_SCALE / summary.shape[1] ** 0.5, name="wide_summary")(summary))
        deep.append(_dense(summary, "summary", settings))
        if settings.filters:
            deep.append(_segments(inputs, normalisation, settings))
    if settings.uses_lyrics:
        words = _words(inputs, normalisation[WORD_WEIGHTS]["weight"])
        wide.append(layers.Rescaling(WIDE_SCALE, name="wide_words")(words))
        deep.append(_dense(words, "words", settings))
    together = layers.Dropout(settings.dropout, name="dropout_embedding")(_joined(deep, "together"))
    if settings.uses_lyrics:  # dropout keeps the flag
        together = layers.Concatenate(name="with_flag")([together, inputs[HAS_LYRICS]])
    embedding = layers.Dense(EMBEDDING_SIZE, activation=settings.embedding_activation, name=EMBEDDING_LAYER)(together)
    # The penalty of scikit-learn is |w|² / (2 C n); with features times the scale, the weights are w / scale.
    # The loss of labels is the mean over them, and scikit-learn has one regression per label.
    n_losses = target.size if target.form == LABELS else 1
    penalty = regularizers.L2(WIDE_SCALE**2 / (2 * WIDE_C * examples * n_losses))
    linear = layers.Dense(
        target.size,
        kernel_initializer="zeros",
        kernel_regularizer=penalty,
        use_bias=False,
        dtype="float32",
        name=SCORE_LAYERS[0],
    )(_joined(wide, "wide"))
    kept = layers.Dropout(settings.dropout / 2, name="dropout_scores")(embedding)
    return scores_of(target, kept, normalisation, linear)


def _joined(features: Sequence[keras.KerasTensor], name: str) -> keras.KerasTensor:
    return layers.Concatenate(name=name)(list(features)) if len(features) > 1 else features[0]


def _dense(features: keras.KerasTensor, name: str, settings: ModelSettings) -> keras.KerasTensor:
    """Return features after dropout and dense layers."""
    penalty = regularizers.L1L2(l1=settings.l1, l2=settings.l2)
    for number, units in enumerate(settings.hidden, 1):
        features = layers.Dropout(settings.dropout, name=f"{name}_dropout_{number}")(features)
        features = layers.Dense(units, activation="relu", kernel_regularizer=penalty, name=f"{name}_dense_{number}")(
            features
        )
    return features


def _segments(inputs: Inputs, normalisation: Normalisation, settings: ModelSettings) -> keras.KerasTensor:
    """Return attentive statistics of convolutions over chroma, timbre and dynamics."""
    streams = [normalised(inputs, name, normalisation) for name in (CHROMA, TIMBRE, DYNAMICS)]
    features, mask = convolutions(layers.Concatenate(name="segments")(streams), inputs[MASK], "segments", settings)
    return attentive_statistics(features, mask)


def _words(inputs: Inputs, weights: Sequence[float]) -> keras.KerasTensor:
    """Return weighted log counts of unit length: shape ``(n_words + 1,)``, zeros without lyrics."""
    bag = layers.CategoryEncoding(num_tokens=len(weights), output_mode="count", dtype="float32", name="bag")(
        ops.cast(inputs[WORD_INDICES], "int32"), count_weights=ops.log1p(inputs[WORD_COUNTS])
    )
    weighted = layers.Rescaling(list(weights), dtype="float32", name="words_weighted")(bag)
    return layers.UnitNormalization(dtype="float32", name="words_unit")(weighted)
