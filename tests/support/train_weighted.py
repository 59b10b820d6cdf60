"""Train by every rule that touches weights, on however many ranks there are: run by ``test_trainer_weighted.py``."""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np

from msd_spark.core.warehouse import Warehouse
from training.data.augmentation import AugmentationSettings
from training.data.dataset import Dataset
from training.data.feed import FeedSettings
from training.data.targets import target_of
from training.loop.optimizers import OptimizerSettings
from training.loop.schedule import Schedule
from training.loop.settings import EmbeddingSettings, TrainingSettings
from training.loop.trainer import Trainer
from training.models.build import MODELS
from training.models.settings import ModelSettings
from training.ranks.ranks import Ranks

warehouse, output, global_batch = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
ranks = Ranks.join()
dataset = Dataset.open(Warehouse(warehouse), "tiny")
for name, also in (("genre", "none"), ("tags", "none"), ("genre", "tags")):
    keras.utils.set_random_seed(1 + ranks.rank)
    target = target_of(name, dataset)
    small = ModelSettings(filters=(6, 6), pools=(4, 2), hidden=(8,), heads=2, dropout=0.0, l2=1e-3)
    model = MODELS["attention"](dataset.geometry, target, dataset.metadata["normalisation"], small)
    settings = TrainingSettings(
        epochs=2,
        global_batch_size=global_batch,
        streams=2,
        patience=0,
        shuffle_window=0,
        seed=4,
        schedule=Schedule(0.1, warm_up=1, decay="cosine"),
        # The length of a gradient that is not the one over all ranks would be cut elsewhere.
        optimizer=OptimizerSettings("sgd", clip_norm=0.5),
        feed=FeedSettings(
            "balanced", 0.1, augmentation=AugmentationSettings(0.2, 1, 0.2, 2, 1, 0.3, 0.4 if also == "none" else 0.0)
        ),
        embedding=EmbeddingSettings(also, contrastive=0.0 if also == "none" else 0.5),
    )
    trainer = Trainer(model, dataset, target, settings, ranks)
    losses = [row["loss"] for row in trainer.fit()]
    np.savez(output / f"{name}-{also}-{ranks.size}-{ranks.rank}.npz", *trainer.joint.get_weights(), losses=losses)
