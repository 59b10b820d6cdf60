"""Train variants of a step on however many ranks there are: run by ``test_step.py``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from msd_spark.core.errors import UserError
from msd_spark.core.model_inputs import SUMMARY, WORD_INDICES
from msd_spark.core.schemas import EMBEDDING_LAYER, EMBEDDING_SIZE, GEOMETRY
from msd_spark.core.warehouse import Warehouse
from msd_spark.core.words import WORDS
from tests.support.memory import peak
from training.data.dataset import Dataset
from training.data.feed import FeedSettings
from training.data.targets import target_of
from training.data.targets.target import Target
from training.loop import session
from training.loop.schedule import Schedule
from training.loop.settings import AUTO, ON, EmbeddingSettings, TrainingSettings
from training.loop.trainer import Trainer
from training.models.build import MODELS
from training.models.parts import make_inputs, scores_of
from training.models.settings import ModelSettings

SAMPLED = "sampled"
"""Begins the names of variants with a sampled softmax."""

FAILING = ("compiled-contrastive", "diverging")
"""Variants that fail on two ranks."""


def words_model(target: Target, *, words_last: bool, normalised: bool) -> keras.Model:
    """Return a model with an `Embedding`, whose gradient is sparse."""
    inputs = make_inputs(GEOMETRY, (SUMMARY, WORD_INDICES))
    summary, words = (
        inputs[SUMMARY],
        layers.Embedding(WORDS + 1, 4, name="words")(ops.cast(inputs[WORD_INDICES], "int32")),
    )
    if words_last:
        summary = layers.Dense(8)(layers.Dense(8)(layers.Dense(8)(summary)))
    values = layers.Concatenate()([summary, layers.GlobalAveragePooling1D()(words)])
    if normalised:
        values = layers.BatchNormalization(momentum=0.5, name="normalised")(values)
    embedding = layers.Dense(EMBEDDING_SIZE, activation="tanh", name=EMBEDDING_LAYER)(values)
    return keras.Model(dict(inputs), scores_of(target, embedding, {}))


if __name__ == "__main__":
    warehouse, output, global_batch = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    ranks = session.join_ranks()
    for variant in sys.argv[4:]:
        # Datasets with many classes have the name of their variant.
        dataset = Dataset.open(Warehouse(warehouse), variant if variant.startswith(SAMPLED) else "tiny")
        target, before = target_of("genre", dataset), peak()
        keras.utils.set_random_seed(1 + ranks.rank)
        rate = 0.05
        if variant in ("plain", "compiled") or variant.startswith(SAMPLED):
            small = ModelSettings(filters=(8, 8, 8), hidden=(16,), dropout=0.0)
            model = MODELS["cnn"](dataset.geometry, target, dataset.metadata["normalisation"], small)
        else:
            model = words_model(target, words_last=variant == "words-last", normalised=variant == "normalised")
            rate = 1e-6 if variant == "normalised" else rate
        settings = TrainingSettings(
            epochs=2,
            global_batch_size=global_batch,
            streams=2,
            patience=0,
            best_by="loss",
            shuffle_window=0,
            xla=ON if variant in ("compiled", "compiled-contrastive") else AUTO,
            schedule=Schedule(rate),
            embedding=EmbeddingSettings(contrastive=0.1 if variant == "compiled-contrastive" else 0.0),
            feed=FeedSettings(sampled_softmax=100 if variant.startswith(SAMPLED) else 0),
        )
        try:
            trainer = Trainer(model, dataset, target, settings, ranks)
            if variant == "diverging":
                trainer.joint.weights[0].assign_add(0.001 * ranks.rank * np.ones(trainer.joint.weights[0].shape))
            history = trainer.fit()
        except (UserError, SystemExit) as error:
            if variant not in FAILING:
                raise
            (output / f"{variant}-{ranks.rank}.txt").write_text(str(error))
            continue
        losses, validation = ([row[name] for row in history] for name in ("loss", "validation_loss"))
        measured: dict[str, Any] = {"losses": losses, "validation": validation, "growth": peak() - before}
        weights = {variable.path: np.asarray(variable) for variable in model.weights}
        np.savez(output / f"{variant}-{ranks.size}-{ranks.rank}.npz", **weights, **measured)
