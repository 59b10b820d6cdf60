"""Train a model on all ranks, and predict with it.

The gradient of a step is that of the weighted mean loss over the global batch: each rank divides its sum of weighted
losses by the weight of all ranks, and `grouped_allreduce` adds the gradients. So two ranks with half the batch train
exactly as one rank with the whole batch. Padding and examples without the target have weight 0. Class weights are left
out of the divisor: they would shrink the gradient of batches with many examples of rare classes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from msd_spark.core.errors import UserError
from training.data.assembly import Tally
from training.data.dataset import Dataset
from training.data.feed import Feed, TrainingBatch
from training.data.plan import even_shares, plan_epoch
from training.data.predictions import Predictions
from training.data.reading import Batch, batches
from training.data.targets import target_of
from training.data.targets.target import CLASSES, NONE, Target
from training.evaluation.deciding import cost_of_epoch
from training.evaluation.judgement import DivergedError, check_finite, epoch_metrics
from training.loop.calibration import best_temperature, scale_scores
from training.loop.inference import compile_inference, predict_split
from training.loop.objective import Objective, joint_model
from training.loop.optimizers import make_optimizer
from training.loop.progress import Progress, is_terminal
from training.loop.settings import AUTO, ON, TrainingSettings
from training.loop.state import Best, TrainingState
from training.loop.target_summary import check_classes, summarise
from training.models.losses import Loss, prior_adjustment
from training.models.sampled import SampledSoftmax
from training.models.settings import LSTM, WIDE_DEEP
from training.ranks import collectives
from training.ranks.ranks import Ranks
from training.ranks.seeds import drawing_states, seed_dropout


@dataclass
class Trainer:
    """A model, its optimizer and the ranks that train it."""

    model: keras.Model
    dataset: Dataset
    target: Target
    settings: TrainingSettings
    ranks: Ranks
    examples: float = field(init=False)
    global_batch: int = field(init=False)
    streams: int = field(init=False)
    steps_per_pass: int = field(init=False)
    optimizer: keras.optimizers.Optimizer = field(init=False)
    feed: Feed = field(init=False)
    also: Target | None = field(init=False)
    joint: keras.Model = field(init=False)

    def __post_init__(self) -> None:
        """Give every rank the same weights and its own dropout."""
        self.settings = settings = self.settings.of_run(self.ranks.size)
        self.global_batch, self.streams = settings.global_batch_size or 1, settings.streams or 1
        size_option = "--batch-size" if settings.batch_size else "--global-batch-size"
        for needed, what in ((self.ranks.size, "ranks"), (self.streams, "streams")):
            if needed > self.global_batch:
                self.ranks.fail(
                    f"{needed} {what} cannot share {self.global_batch} examples per step; "
                    f"use at most {self.global_batch} {what}, or a larger {size_option}"
                )
        self.steps_per_pass = -(-sum(self.dataset.rows("train")) // self.global_batch)
        self.examples, totals, mean_square = summarise(self.dataset, self.target, self.ranks)
        check_classes(self.dataset, self.target, totals, self.ranks, "train")
        weights = self.target.class_weights(totals, self.examples, settings.feed.class_weights)
        embedding = settings.embedding
        self.also = None if embedding.also == NONE else target_of(embedding.also, self.dataset)
        self.feed = Feed(self.dataset, self.target, settings.feed, weights, settings.seed, self.also)
        adjustment = prior_adjustment(totals, settings.feed.prior_adjustment or 0.0)
        self._loss = Loss(self.target, weights, mean_square, adjustment)
        n_sampled = settings.feed.sampled_softmax
        self._objective = Objective(
            self._loss,
            None
            if self.also is None
            else Loss(self.also, mean_square=summarise(self.dataset, self.also, self.ranks)[2]),
            embedding.also_weight,
            embedding.contrastive or 0.0,
            self.ranks,
            sum(even_shares(self.global_batch, self.ranks.size)[: self.ranks.rank]),
            SampledSoftmax(self.model, self._loss, min(n_sampled, self.target.size), settings.seed)
            if n_sampled
            else None,
        )
        self.joint = joint_model(self.model, self.also, self.dataset.metadata["normalisation"])
        self.optimizer = make_optimizer(settings.optimizer, settings.schedule.peak(settings.first_ranks))
        self.optimizer.build(self.joint.trainable_variables)
        self.ranks.share_weights(self.joint)
        seed_dropout(self.model, settings.seed, self.ranks.rank)
        self.step = self._compile_step()
        self._infer = compile_inference(self.model)

    def _compile_step(self) -> Callable[..., tf.Tensor]:
        model, optimizer, objective, n_ranks = self.joint, self.optimizer, self._objective, self.ranks.size
        outputs_of = objective.outputs_of(model)
        variables, moving = model.trainable_variables, model.non_trainable_weights
        if self.settings.xla == ON and objective.gathers:
            self.ranks.fail(
                "--compile on excludes --contrastive on several ranks, which exchange embeddings within a step; "
                "add --contrastive 0, or leave out --compile on"
            )

        def differentiate(
            batch: TrainingBatch, total: tf.Tensor, classes: tf.Tensor
        ) -> tuple[tf.Tensor, list[tf.Tensor]]:
            """Return this rank's sum of weighted losses, and its part of the gradient."""
            with tf.GradientTape() as tape:
                value, lost = objective.of_step(outputs_of(batch.inputs, training=True), batch, total, classes)
                value += tf.add_n([tf.constant(0.0), *model.losses]) / n_ranks
                scaled = optimizer.scale_loss(value)
            return lost, tape.gradient(scaled, [variable.value for variable in variables])

        if self._compiles:
            differentiate = tf.function(differentiate, autograph=False, jit_compile=True)

        @tf.function(autograph=False, jit_compile=False)
        def step(batch: TrainingBatch, total: tf.Tensor, following: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            """Take a step; return this rank's sums of losses and weights, and the next `total`.

            The losses are weighted; the weights exclude class weights. `total` is the sum of `batch.total` over all
            ranks, `following` this rank's total of the next batch. `following` is summed in the collective of the
            gradients, so that a step without the contrastive loss has only one.
            """
            lost, gradients = differentiate(batch, total, objective.classes(optimizer.iterations.value))
            # Every rank has moving statistics of its own examples: the mean is that of all examples.
            means = [variable.value / n_ranks for variable in moving]
            *sums, next_total = collectives.totals([*gradients, *means, following])
            optimizer.apply(sums[: len(variables)], variables)
            for variable, mean in zip(moving, sums[len(variables) :], strict=True):
                variable.assign(mean)
            return tf.stack([lost, batch.total[0]]), next_total

        return step

    @property
    def _compiles(self) -> bool:
        """Whether XLA compiles the step; on CPUs, it speeds up LSTMs and slows other models."""
        if self.settings.xla == AUTO:
            on_cpu = not tf.config.get_visible_devices("GPU")
            return self.model.name == LSTM and on_cpu and not self._objective.gathers
        return self.settings.xla == ON

    def use(self, model: keras.Model) -> None:
        """Replace the model by one with the same layers and weights, in another precision."""
        model.set_weights(self.model.get_weights())
        self.model = model
        self._infer = compile_inference(self.model)

    def fit(
        self,
        begin: TrainingState | None = None,
        keep: Callable[[TrainingState], None] | None = None,
        keep_steps: int = 0,
    ) -> list[dict[str, Any]]:
        """Train, restore the weights of the best epoch, and return the history: one row per epoch.

        `begin` is the state to resume from. `keep` is called on every rank with the state after every epoch, and also
        every `keep_steps` steps within an epoch unless that is 0.
        """
        settings, main_metric = self.settings, self.target.main_metrics[0]
        progress = Progress(settings.epochs, main_metric, shown=self.ranks.is_first, bar=is_terminal(sys.stderr))
        best = Best(weights=tuple(self.joint.get_weights()))
        state = begin or TrainingState(0, 0, (), (), (), np.zeros((self.ranks.size, 2)), best=best)
        if begin is not None:
            self._restore(begin)
        while not state.ended(settings.epochs, settings.patience):
            epoch = state.epoch
            row: dict[str, Any] = {"epoch": epoch + 1, **self._run_epoch(state, progress, keep, keep_steps)}
            row["learning_rate"] = float(self.optimizer.learning_rate)
            row |= self._evaluate("train") if settings.train_metrics else {}
            row |= self._evaluate("validation")
            progress.report(row)
            cost = cost_of_epoch(row, self.target, settings.best_by)
            best = state.best.after(epoch + 1, cost, self.joint.get_weights())
            state = self._state(epoch + 1, 0, np.zeros(2), [*state.history, row], best)
            if keep is not None:
                keep(state)
        self.joint.set_weights(list(state.best.weights))
        self._calibrate()
        return state.history

    def _calibrate(self) -> None:
        """Scale the scores of a wide and deep model by the best temperature on the validation split."""
        if self.target.form != CLASSES or self.model.name != WIDE_DEEP:
            return
        predictions = self.predict("validation")
        if predictions is not None and predictions.present.any():
            scale_scores(self.model, best_temperature(predictions, self._loss))

    def _state(
        self, epoch: int, step: int, sums: np.ndarray, history: list[dict[str, Any]], best: Best
    ) -> TrainingState:
        """Return the state of the training, the same on every rank."""
        return TrainingState(
            epoch,
            step,
            tuple(self.joint.get_weights()),
            tuple(np.asarray(variable) for variable in self.optimizer.variables),
            tuple(self.ranks.gather(np.asarray(state)[None]) for state in drawing_states(self.model)),
            self.ranks.gather(sums[None]),
            history,
            best,
            self.global_batch,
            self.streams,
        )

    def _restore(self, state: TrainingState) -> None:
        """Restore a state; dropout continues as it was unless the number of ranks has changed."""
        pairs = [(self.joint.weights, state.weights), (self.optimizer.variables, state.optimizer)]
        draws = drawing_states(self.model)
        same_ranks = state.ranks == self.ranks.size
        if same_ranks:
            pairs.append((draws, tuple(of_ranks[self.ranks.rank] for of_ranks in state.draws)))
        for variables, arrays in [*pairs, (self.joint.weights, state.best.weights)]:
            if [tuple(variable.shape) for variable in variables] != [array.shape for array in arrays]:
                raise UserError("the state to resume from belongs to another model; start over with --overwrite")
        for variables, arrays in pairs:
            for variable, array in zip(variables, arrays, strict=True):
                variable.assign(array)
        if not same_ranks:
            seed_dropout(self.model, self.settings.seed, self.ranks.rank, state.epoch, state.step)

    def _evaluate(self, split: str) -> dict[str, float]:
        """Return loss and metrics on a split, the same on every rank; empty without an example."""
        predictions = self.predict(split)
        if predictions is None or not predictions.present.any():
            return {}
        # Every rank checks: if only one stopped, the others would wait for it.
        check_finite(predictions.judged().scores)
        row: dict[str, float] = {}
        if self.ranks.is_first:
            with self.ranks.alone.running():
                metrics = epoch_metrics(self.target, predictions)
                row = {f"{split}_{name}": metrics[name] for name in self.target.headline_metrics}
                row[f"{split}_loss"] = self._loss.of_predictions(predictions)
        return dict(self.ranks.agree_on(row))

    def _run_epoch(
        self,
        begin: TrainingState,
        progress: Progress,
        keep: Callable[[TrainingState], None] | None,
        keep_steps: int,
    ) -> dict[str, float]:
        """Train to the end of an epoch; return the weighted mean loss over all ranks, and the speed."""
        settings, epoch, tally = self.settings, begin.epoch, Tally()
        steps = settings.steps_per_epoch or self.steps_per_pass
        # Losses stay on the device until they are needed: a GPU must not wait after every step.
        losses: list[tf.Tensor] = []
        total: tf.Tensor | None = None
        sums = begin.sums_of(self.ranks.rank, self.ranks.size) if begin.step else np.zeros(2)
        progress.begin(epoch, begin.step, steps)
        # After an error, the thread of the feed must end before the interpreter does.
        with closing(self._batches(epoch * steps + begin.step, (epoch + 1) * steps, tally)) as feed:
            for step, (batch, following) in enumerate(_with_next(progress.waiting_for(feed)), begin.step + 1):
                if total is None:
                    total = collectives.total(batch.total)
                rate = settings.schedule.at(epoch + step / steps, settings.epochs, settings.first_ranks)
                self.optimizer.learning_rate = rate
                sums_of_step, total = self.step(batch, total, following)
                losses.append(sums_of_step)
                progress.step(self.global_batch, partial(_mean, losses[-1]))
                if keep is not None and keep_steps and step % keep_steps == 0 and step < steps:
                    sums, losses = _added(sums, losses), []
                    keep(self._state(epoch, step, sums, begin.history, begin.best))
        sums = _added(sums, losses)
        progress.end()
        speed = [self.ranks.total(value) / self.ranks.size for value in progress.speed]
        self._check_rows(epoch, tally.planned, tally.read)
        mean = _mean([self.ranks.total(value) for value in sums])
        if not np.isfinite(mean):
            raise DivergedError(f"the loss of epoch {epoch + 1} is {mean}; a lower --learning-rate may help")
        self._check_weights(epoch)
        return {"loss": mean, "examples_per_second": speed[0], "waiting": speed[1]}

    def _batches(self, first: int, last: int, tally: Tally) -> Generator[TrainingBatch]:
        """Yield this rank's batches of steps ``first`` to ``last`` (exclusive) of the run.

        The steps run over the train split again and again, in a new order in each pass. `tally` counts the rows of
        the passes that end within these steps.
        """
        rows, addresses, settings = self.dataset.rows("train"), self.dataset.addresses("train"), self.settings
        while first < last:
            number, step = divmod(first, self.steps_per_pass)
            size = min(self.steps_per_pass - step, last - first)
            ends = step + size == self.steps_per_pass
            plans = plan_epoch(
                rows,
                ranks=self.ranks.size,
                global_batch=self.global_batch,
                streams=self.streams,
                seed=settings.seed,
                epoch=number,
            )
            read = partial(
                batches,
                addresses,
                rows,
                plans[self.ranks.rank],
                self.dataset.geometry,
                self.target,
                window=settings.shuffle_window,
                seed=(settings.seed, number),
                first_step=step,
                tally=tally if ends else Tally(),
                inputs=tuple(self.model.input),
                also=self.also,
                reading=self.dataset.reading,
            )
            # Only a pass that is read beyond its last batch counts its rows to the end.
            yield from self.feed.steps(read if ends else partial(_first, read, size), number)
            first += size

    def _check_weights(self, epoch: int) -> None:
        """Compare the weights of all ranks, which differ after a fault of a machine."""
        for rank in self.ranks.differing(self.joint.get_weights())[:1]:
            self.ranks.fail(
                f"the weights of rank {rank} differ from those of rank 0 after epoch {epoch + 1}; "
                "run msd-spark doctor on its machine, then start again with --resume"
            )

    def _check_rows(self, epoch: int, planned: int, read: int) -> None:
        """Compare the rows that each rank read with its plan."""
        for rank, (expected, actual) in enumerate(self.ranks.gather(np.array([[planned, read]])).tolist()):
            if expected != actual:
                self.ranks.fail(
                    f"rank {rank} read {actual:,} instead of {expected:,} training examples in epoch {epoch + 1}: "
                    f"files of dataset {self.dataset.name} have changed; run msd-spark dataset again"
                )

    def predict(self, split: str) -> Predictions | None:
        """Return the predictions on a split, gathered from all ranks; None if the split is empty."""
        return predict_split(
            self._infer,
            self.target.size,
            self.dataset,
            split,
            self.target,
            self.settings.evaluation_batch,
            self.ranks,
            tuple(self.model.input),
        )


def _first(read: Callable[[], Iterator[Batch]], size: int) -> Iterator[Batch]:
    return islice(read(), size)


def _with_next(feed: Iterator[TrainingBatch]) -> Iterator[tuple[TrainingBatch, tf.Tensor]]:
    """Yield each batch and the total of the next one, 0 after the last."""
    batch = next(feed, None)
    while batch is not None:
        following = next(feed, None)
        yield batch, tf.zeros(2) if following is None else following.total
        batch = following


def _added(sums: np.ndarray, losses: list[tf.Tensor]) -> np.ndarray:
    """Add the losses and weights step by step: checkpoints must not change the order of the sum."""
    for pair in losses:
        sums = sums + np.asarray(pair, np.float64)
    return sums


def _mean(sums: tf.Tensor | list[float]) -> float:
    lost, weight = np.asarray(sums)
    return float(lost / weight) if weight else 0.0
