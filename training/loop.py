"""Train a model on all ranks and evaluate it exactly.

The gradient of a step is that of the weighted mean loss over the global batch: each rank
contributes its sum of weighted losses over the weight of all ranks, and the sums are added
(`grouped_allreduce`). So two ranks with half the batch do what one rank does with all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import horovod.tensorflow as hvd
import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from msd_spark.errors import StageError
from training.dataset import STAGE, Dataset
from training.metrics import genre_metrics
from training.plan import plan_epoch
from training.ranks import Ranks
from training.reading import Batch, batches, to_tensorflow


@dataclass(frozen=True)
class TrainingSettings:
    """How a model is trained.

    Attributes
    ----------
    epochs : int
        At most; training stops early after `patience` epochs without a lower validation loss.
    batch : int
        Examples a rank takes a step.
    learning_rate : float
    patience : int
        0 never stops early.
    shuffle_window : int
        Row groups within which examples are shuffled.
    seed : int
    """

    epochs: int = 30
    batch: int = 32
    learning_rate: float = 1e-3
    patience: int = 6
    shuffle_window: int = 4
    seed: int = 0


@dataclass(frozen=True)
class Predictions:
    """Genre probabilities of a split, sorted by track id; on rank 0 those of all ranks.

    Attributes
    ----------
    track_ids : numpy.ndarray
        Shape ``(n,)``.
    true : numpy.ndarray
        Shape ``(n,)``: genre indices.
    probabilities : numpy.ndarray
        Shape ``(n, n_genres)``, float32.
    """

    track_ids: np.ndarray
    true: np.ndarray
    probabilities: np.ndarray


@dataclass
class Trainer:
    """A model, its optimizer and the ranks that train it.

    Attributes
    ----------
    model : keras.Model
    dataset : Dataset
    settings : TrainingSettings
    ranks : Ranks
    """

    model: keras.Model
    dataset: Dataset
    settings: TrainingSettings
    ranks: Ranks
    optimizer: keras.optimizers.Optimizer = field(init=False)

    def __post_init__(self) -> None:
        """Start every rank from the same weights."""
        self.optimizer = keras.optimizers.Adam(self.settings.learning_rate)
        self.optimizer.build(self.model.trainable_variables)
        self.ranks.share_weights(self.model)
        self._step = self._compile_step()

    def _compile_step(self) -> Callable[..., tf.Tensor]:
        model, optimizer, n_ranks = self.model, self.optimizer, self.ranks.size

        @tf.function(jit_compile=False)
        def step(inputs: dict[str, tf.Tensor], true: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
            total_weight = hvd.allreduce(tf.reduce_sum(weights), op=hvd.Sum, name="weight")
            variables = model.trainable_variables
            with tf.GradientTape() as tape:
                losses = keras.losses.sparse_categorical_crossentropy(true, model(inputs, training=True))
                loss = tf.reduce_sum(losses * weights) / total_weight
                objective = loss + tf.add_n([tf.constant(0.0), *model.losses]) / n_ranks
            gradients = tape.gradient(objective, [variable.value for variable in variables])
            optimizer.apply(hvd.grouped_allreduce(gradients, op=hvd.Sum), variables)
            return loss

        return step

    def fit(self) -> list[dict[str, Any]]:
        """Train; the model ends with the weights of its best epoch. Returns a row of figures an epoch.

        Raises
        ------
        StageError
            When there are fewer training files than ranks, or the loss is no number.
        """
        rows = self.dataset.rows("train")
        if len(rows) < self.ranks.size:
            raise StageError(
                "dataset",
                f"{len(rows)} training files for {self.ranks.size} ranks; "
                f"write at least {self.ranks.size} (jobs/dataset.py --rows-per-file, --min-files)",
            )
        history: list[dict[str, Any]] = []
        best_loss, best_weights, since_best = np.inf, self.model.get_weights(), 0
        for epoch in range(self.settings.epochs):
            figures: dict[str, Any] = {"epoch": epoch + 1, "loss": self._run_epoch(epoch)}
            predictions = self.predict("validation")
            if predictions is not None:
                metrics = self.ranks.agree_on(self._score(predictions))
                figures |= {f"validation_{name}": metrics[name] for name in ("log_loss", "accuracy", "macro_f1")}
            history.append(figures)
            if self.ranks.is_first:
                tqdm.write(
                    "  ".join(
                        f"{name} {value:.4f}" if isinstance(value, float) else f"{name} {value}"
                        for name, value in figures.items()
                    )
                )
            judged_by = figures.get("validation_log_loss", -float(epoch))
            if judged_by < best_loss:
                best_loss, best_weights, since_best = judged_by, self.model.get_weights(), 0
            else:
                since_best += 1
            if self.settings.patience and since_best >= self.settings.patience:
                break
        self.model.set_weights(best_weights)
        return history

    def _score(self, predictions: Predictions) -> dict[str, Any] | None:
        return (
            genre_metrics(predictions.true, predictions.probabilities, self.dataset.labels)
            if self.ranks.is_first
            else None
        )

    def _run_epoch(self, epoch: int) -> float:
        """Train for one epoch; return the mean loss over the steps of all ranks."""
        batch, seed = self.settings.batch, self.settings.seed
        plan = plan_epoch(self.dataset.rows("train"), ranks=self.ranks.size, batch=batch, seed=seed, epoch=epoch)[
            self.ranks.rank
        ]
        addresses = self.dataset.addresses("train")

        def read() -> Iterator[Batch]:
            return batches(
                addresses,
                plan,
                batch,
                self.dataset.geometry,
                window=self.settings.shuffle_window,
                seed=(seed, epoch, self.ranks.rank),
            )

        total = steps = 0.0
        feed = to_tensorflow(read, batch, self.dataset.geometry)
        with tqdm(
            total=plan.steps,
            desc=f"epoch {epoch + 1}",
            unit="step",
            disable=not self.ranks.is_first,
            mininterval=2,
            leave=False,
        ) as bar:
            for inputs, true, weights in feed:
                loss = float(self._step(inputs, true, weights))
                total, steps = total + loss, steps + 1
                bar.update()
                bar.set_postfix(loss=f"{total / steps:.4f}", refresh=False)
        mean = self.ranks.total(total) / max(steps, 1)
        if not np.isfinite(mean):
            raise StageError(STAGE, f"the loss of epoch {epoch + 1} is {mean}; a lower --learning-rate may help")
        return mean

    def predict(self, split: str) -> Predictions | None:
        """Return the predictions on a split, gathered from all ranks; None where the split is empty."""
        rows = self.dataset.rows(split)
        if not sum(rows):
            return None
        batch, n_genres = self.settings.batch, len(self.dataset.labels)
        plan = plan_epoch(rows, ranks=self.ranks.size, batch=batch)[self.ranks.rank]
        track_ids, true, probabilities = (
            [np.empty(0, "U32")],
            [np.empty(0, np.int32)],
            [np.empty((0, n_genres), np.float32)],
        )
        for item in batches(self.dataset.addresses(split), plan, batch, self.dataset.geometry):
            real = item.track_ids != ""
            if real.any():
                probabilities.append(np.asarray(self._infer(item.inputs))[real])
                track_ids.append(item.track_ids[real])
                true.append(item.genre_indices[real])
        gathered = [self.ranks.gather(np.concatenate(parts)) for parts in (track_ids, true, probabilities)]
        order = np.argsort(gathered[0], kind="stable")
        return Predictions(*(values[order] for values in gathered))

    def _infer(self, inputs: dict[str, np.ndarray]) -> tf.Tensor:
        if not hasattr(self, "_compiled_inference"):
            self._compiled_inference = tf.function(lambda given: self.model(given, training=False), jit_compile=False)
        return self._compiled_inference({name: tf.convert_to_tensor(values) for name, values in inputs.items()})
