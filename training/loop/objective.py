"""The loss that a training step minimises.

It is the sum of the losses of the target, of a second target and of the embedding. All sums are over the examples of
all ranks, so that the gradients of ranks add up to that of the global batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import keras
import tensorflow as tf

from msd_spark.core.schemas import EMBEDDING_LAYER
from training.data.feed import TrainingBatch
from training.data.targets.target import LABELS, Target
from training.models.contrastive import contrastive_losses
from training.models.losses import Loss
from training.models.parts import scores_of
from training.models.sampled import SampledSoftmax
from training.models.settings import Normalisation
from training.ranks import collectives
from training.ranks.ranks import Ranks

SCORES, ALSO = "scores", "also"
"""Outputs of `joint_model`, besides the embedding."""


def joint_model(model: keras.Model, also: Target | None, normalisation: Normalisation) -> keras.Model:
    """Return a model of the same layers with scores, embedding and scores of a second target.

    The head of the second target is linear in the embedding. The model that is saved does not have it.
    """
    embedding = model.get_layer(EMBEDDING_LAYER).output
    outputs = {SCORES: model.output, EMBEDDING_LAYER: embedding}
    if also is not None:
        outputs[ALSO] = scores_of(also, embedding, normalisation)
    return keras.Model(model.input, outputs, name=model.name)


@dataclass(frozen=True)
class Objective:
    """The weighted sum of the losses of one or two targets and the contrastive loss.

    `first_row` is the number of examples that earlier ranks have in a step.
    """

    loss: Loss
    also: Loss | None
    also_weight: float
    contrastive: float
    ranks: Ranks
    first_row: int
    sampled: SampledSoftmax | None = None

    def outputs_of(self, joint: keras.Model) -> keras.Model:
        """Return the model that a step computes: without the scores of all classes if these are sampled."""
        if self.sampled is None:
            return joint
        others = {name: output for name, output in joint.output.items() if name != SCORES}
        return keras.Model(joint.input, others | self.sampled.inputs)

    def classes(self, step: tf.Tensor) -> tf.Tensor:
        """Return the sampled classes of a step; empty without sampling."""
        return tf.zeros(0, tf.int32) if self.sampled is None else self.sampled.classes(step)

    @property
    def gathers(self) -> bool:
        """Whether `of_step` calls collectives, which XLA cannot compile."""
        return bool(self.contrastive) and self.ranks.size > 1

    def of_step(
        self, outputs: Mapping[str, tf.Tensor], batch: TrainingBatch, total: tf.Tensor, classes: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return this rank's part of the objective, and the sum of its weighted losses.

        `total` is the sum of `batch.total` over all ranks, `classes` the result of `classes`.
        """
        if self.sampled is None:
            losses = self.loss.of_examples(batch.truth, outputs[SCORES])
        else:
            losses = self.sampled.of_examples(batch.truth, outputs, classes)
        lost = tf.reduce_sum(losses * batch.weights)
        # If no example of the global batch has a weight, only the penalties change the model.
        objective = tf.math.divide_no_nan(lost, total[0])
        if self.also is not None:
            losses = self.also.of_examples(batch.also_truth, outputs[ALSO]) * batch.also_weights
            objective += self.also_weight * tf.math.divide_no_nan(tf.reduce_sum(losses), total[1])
        if self.contrastive:
            objective += self.contrastive * self._contrastive(outputs[EMBEDDING_LAYER], batch.truth)
        return objective, lost

    def _contrastive(self, embedding: tf.Tensor, truth: tf.Tensor) -> tf.Tensor:
        target, own, n_ranks = self.loss.target, tf.cast(embedding, tf.float32), self.ranks.size
        # Label smoothing leaves a label above one half, and the class of an example above the mean.
        truth = tf.cast(truth > (0.5 if target.form == LABELS else 1 / target.size), tf.float32)
        everyone, all_truth = own, truth
        if self.gathers:
            everyone, all_truth = collectives.gathered(own), collectives.gathered(truth)
            # Horovod's gradient of `allgather` is the mean over the ranks; that of the global batch is the sum.
            everyone = n_ranks * everyone - tf.stop_gradient((n_ranks - 1) * everyone)
        losses, judged = contrastive_losses(own, truth, everyone, all_truth, self.first_row)
        n_judged = tf.reduce_sum(judged)
        return tf.math.divide_no_nan(tf.reduce_sum(losses), collectives.total(n_judged) if self.gathers else n_judged)
