"""Train a model on all ranks and predict with it exactly.

The gradient of a step is that of the weighted mean loss over the global batch: each rank
contributes its sum of weighted losses over the weight of all ranks, and the sums are added
(`grouped_allreduce`). So two ranks with half the batch do what one rank does with all of it,
whatever the weights: class weights and mixing change them before the step, and a rank whose
batch holds padding or examples without the target adds nothing for those.
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
from training.evaluation.judgement import HEADLINES, epoch_figures
from training.feed import Feed
from training.inference import compile_inference, predict_split
from training.losses import Loss
from training.optimizers import make_optimizer
from training.plan import RankPlan, plan_epoch
from training.predictions import Predictions
from training.ranks import Ranks
from training.reading import Batch, batches
from training.seeds import seed_dropout
from training.target_summary import summarise
from training.targets import TAGS, Target
from training.training_settings import TrainingSettings


@dataclass
class Trainer:
    """A model, its optimizer and the ranks that train it.

    Attributes
    ----------
    model : keras.Model
    dataset : Dataset
    target : Target
    settings : TrainingSettings
    ranks : Ranks

    Raises
    ------
    StageError
        When the train split has fewer files than there are ranks, or no example with the target.
    """

    model: keras.Model
    dataset: Dataset
    target: Target
    settings: TrainingSettings
    ranks: Ranks
    optimizer: keras.optimizers.Optimizer = field(init=False)

    def __post_init__(self) -> None:
        """Start every rank from the same weights, and from dropout of its own."""
        files = len(self.dataset.rows("train"))
        if files < self.ranks.size:
            raise StageError(
                "dataset",
                f"{files} training files for {self.ranks.size} ranks; "
                f"write at least {self.ranks.size} (jobs/dataset.py --rows-per-file, --min-files)",
            )
        settings = self.settings
        summary = summarise(self.dataset, self.target, self.ranks)
        self._feed = Feed.of(self.dataset, self.target, settings.feed, summary.totals, summary.examples, settings.seed)
        tag_weights = self._feed.of_classes if self.target.name == TAGS else None
        self._loss = Loss(self.target, tag_weights, summary.mean_square)
        self.optimizer = make_optimizer(settings.optimizer, settings.schedule.peak(self.ranks.size))
        self.optimizer.build(self.model.trainable_variables)
        self.ranks.share_weights(self.model)
        seed_dropout(self.model, settings.seed, self.ranks.rank)
        self._step = self._compile_step()
        self._infer = compile_inference(self.model)

    def _compile_step(self) -> Callable[..., tf.Tensor]:
        model, optimizer, loss, n_ranks = self.model, self.optimizer, self._loss, self.ranks.size

        @tf.function(autograph=False, jit_compile=False)
        def step(inputs: dict[str, tf.Tensor], truth: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
            """Take a step; return this rank's sum of weighted losses, and of weights."""
            weight = tf.reduce_sum(weights)
            total_weight = hvd.allreduce(weight, op=hvd.Sum, name="weight")
            variables = model.trainable_variables
            with tf.GradientTape() as tape:
                losses = loss.of_examples(truth, model(inputs, training=True))
                lost = tf.reduce_sum(losses * weights)
                # A global batch without any weight moves the weights by their penalties alone.
                objective = tf.math.divide_no_nan(lost, total_weight)
                objective += tf.add_n([tf.constant(0.0), *model.losses]) / n_ranks
                scaled = optimizer.scale_loss(objective)
            gradients = tape.gradient(scaled, [variable.value for variable in variables])
            optimizer.apply(hvd.grouped_allreduce(gradients, op=hvd.Sum), variables)
            return tf.stack([lost, weight])

        return step

    def use(self, model: keras.Model) -> None:
        """Predict with another model from now on, that has this one's weights: the same in full precision."""
        model.set_weights(self.model.get_weights())
        self.model = model
        self._infer = compile_inference(self.model)

    def fit(self) -> list[dict[str, Any]]:
        """Train; the model ends with the weights of its best epoch. Returns a row of figures an epoch.

        Raises
        ------
        StageError
            When the loss is no number, or the files hold other rows than planned.
        """
        history: list[dict[str, Any]] = []
        best_loss, best_weights, since_best = np.inf, self.model.get_weights(), 0
        for epoch in range(self.settings.epochs):
            figures: dict[str, Any] = {"epoch": epoch + 1, "loss": self._run_epoch(epoch)}
            figures["learning_rate"] = float(self.optimizer.learning_rate)
            figures |= self._validate()
            history.append(figures)
            if self.ranks.is_first:
                tqdm.write("  ".join(f"{name} {value:.4g}" for name, value in figures.items() if value is not None))
            judged_by = figures.get("validation_loss", -float(epoch))
            if judged_by < best_loss:
                best_loss, best_weights, since_best = judged_by, self.model.get_weights(), 0
            else:
                since_best += 1
            if self.settings.patience and since_best >= self.settings.patience:
                break
        self.model.set_weights(best_weights)
        return history

    def _validate(self) -> dict[str, float]:
        """Return the loss and the figures on the validation split, the same on every rank; none where it is empty."""
        predictions = self.predict("validation")
        if predictions is None or not predictions.present.any():
            return {}
        figures: dict[str, float] = {}
        if self.ranks.is_first:
            found = epoch_figures(self.target, predictions)
            figures = {f"validation_{name}": found[name] for name in HEADLINES[self.target.name]}
            figures["validation_loss"] = self._loss.of_predictions(predictions)
        return dict(self.ranks.agree_on(figures))

    def _plan(self, epoch: int) -> RankPlan:
        return plan_epoch(
            self.dataset.rows("train"),
            ranks=self.ranks.size,
            batch=self.settings.batch,
            seed=self.settings.seed,
            epoch=epoch,
        )[self.ranks.rank]

    def _run_epoch(self, epoch: int) -> float:
        """Train for one epoch; return the weighted mean loss over the examples of all ranks."""
        settings, plan = self.settings, self._plan(epoch)
        addresses = self.dataset.addresses("train")

        def read() -> Iterator[Batch]:
            return batches(
                addresses,
                plan,
                settings.batch,
                self.dataset.geometry,
                self.target,
                window=settings.shuffle_window,
                seed=(settings.seed, epoch, self.ranks.rank),
            )

        # Losses stay on the device until somebody looks: a GPU must not wait for every step's number.
        sums: list[tf.Tensor] = []
        with tqdm(
            total=plan.steps,
            desc=f"epoch {epoch + 1}",
            unit="step",
            disable=not self.ranks.is_first,
            mininterval=2,
            leave=False,
        ) as bar:
            for step, batch in enumerate(self._feed.to_tensorflow(read, settings.batch, epoch), 1):
                rate = settings.schedule.at(epoch + step / plan.steps, settings.epochs, self.ranks.size)
                self.optimizer.learning_rate = rate
                sums.append(self._step(*batch))
                if bar.update():
                    lost, weight = np.asarray(sums[-1])
                    bar.set_postfix(loss=f"{lost / max(weight, 1e-12):.4f}", refresh=False)
        lost, weight = np.sum([np.asarray(pair, np.float64) for pair in sums], axis=0)
        lost, weight = self.ranks.total(lost), self.ranks.total(weight)
        mean = lost / weight if weight else 0.0
        if not np.isfinite(mean):
            raise StageError(STAGE, f"the loss of epoch {epoch + 1} is {mean}; a lower --learning-rate may help")
        return float(mean)

    def predict(self, split: str) -> Predictions | None:
        """Return the predictions on a split, gathered from all ranks; None where the split is empty."""
        return predict_split(
            self._infer, self.target.size, self.dataset, split, self.target, self.settings.batch, self.ranks
        )
