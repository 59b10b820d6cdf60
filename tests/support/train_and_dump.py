"""Train on however many ranks there are, and let every rank write its weights: run by ``test_ranks.py``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import keras
import numpy as np

from msd_spark.core.warehouse import Warehouse
from training.data.dataset import Dataset
from training.data.targets import target_of
from training.evaluation.judgement import epoch_metrics
from training.loop.settings import TrainingSettings
from training.loop.trainer import Trainer
from training.models.build import MODELS
from training.models.settings import ModelSettings
from training.ranks.ranks import Ranks

warehouse, output, batch, window = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
ranks = Ranks.join()
dataset = Dataset.open(Warehouse(warehouse), "tiny")
# Every rank begins with other weights, so that equal ones at the end show that they were shared.
keras.utils.set_random_seed(1 if ranks.is_first else 100 + ranks.rank)
small = ModelSettings(filters=(8, 8, 8), hidden=(16,), dropout=0.0)
target = target_of("genre", dataset)
model = MODELS["cnn"](dataset.geometry, target, dataset.metadata["normalisation"], small)
settings = TrainingSettings(epochs=3, global_batch_size=batch, patience=0, shuffle_window=window, streams=2)
trainer = Trainer(model, dataset, target, settings, ranks)
history = trainer.fit()
predictions = trainer.predict("test")
assert predictions is not None
np.savez(output / f"weights-{ranks.size}-{ranks.rank}.npz", *model.get_weights())
if ranks.is_first:
    metrics = epoch_metrics(target, predictions)
    found = {"history": history, "metrics": metrics, "track_ids": predictions.track_ids.tolist()}
    (output / f"result-{ranks.size}.json").write_text(json.dumps(found))
