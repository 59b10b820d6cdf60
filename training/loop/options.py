"""The options of ``msd-spark train``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from msd_spark.core.options import NAME, OptionError, Settings, at_least, nested, option, warehouse_option
from training.data.readers.choice import ReadingSettings
from training.data.targets import TARGETS
from training.data.targets.target import CLASSES, NONE, NUMBERS
from training.loop.settings import CheckpointSettings, TrainingSettings
from training.models.settings import DEFAULTS, WIDE_DEEP, ModelOptions, ModelSettings

PROTOCOLS = {
    "2019": {
        "model": "cnn",
        "global-batch-size": 10,
        "epochs": 20,
        "train-metrics": True,
        "dropout": 0,
        "patience": 0,
        "learning-rate": 1e-3,
        "optimizer": "adam",
        "best-by": "loss",
    }
}
"""Defaults of other options under each value of ``--protocol``."""

BASELINES = ("none", "simple", "all")
"""Values of ``--baselines``: ``simple`` ones know only the truths of the train split; ``all`` adds learned ones."""


PAD, DROP = "pad", "drop"
"""Values of ``--protocol-short``."""


@dataclass(frozen=True)
class TrainOptions(Settings):
    """Options of ``msd-spark train``; each nested class is a group of the help."""

    warehouse: str = warehouse_option()
    dataset: str | None = option(
        None, "dataset/NAME of the warehouse; the only one by default", metavar="NAME", check=NAME
    )
    target: str = option("genre", "target to learn; the dataset must have it", choices=TARGETS)
    run: str | None = option(
        None, "write the run to models/NAME; the model and the time by default", metavar="NAME", check=NAME
    )
    overwrite: bool = option(False, "start over, and replace a run of the same name when this one is finished")
    resume: bool = option(
        False,
        "resume --run from its last checkpoint, on any number of ranks; start if there is none yet; a finished run "
        "continues up to a larger number of --epochs",
    )
    init_from: str | None = option(
        None,
        "start from the weights of the finished models/RUN, in all layers of the same name and size; its training "
        "examples must not be by artists in validation or test",
        metavar="RUN",
        check=NAME,
    )
    elastic: bool = option(False, "let ranks leave and join; start with horovodrun --min-np and --max-np")
    profile: bool = option(
        False, "write a trace of 20 steps, after the first 10, for TensorBoard's profiler, to the run's TensorBoard log"
    )
    baselines: str = option(
        BASELINES[-1],
        "baselines to evaluate; simple: from the class shares of the train split; all: also logistic regression "
        "and gradient boosting",
        choices=BASELINES,
    )
    protocol: str | None = option(
        None,
        "repeat an experiment, flaws included, with its model, global batch, epochs and optimizer as defaults",
        choices=PROTOCOLS,
        presets=PROTOCOLS,
    )
    protocol_rows: tuple[int, int] = option(
        (4000, 1000),
        "rows that the protocol draws from the largest genre and from each other genre",
        metavar="N",
        check=at_least(1),
    )
    protocol_short: str = option(
        PAD,
        "whether the protocol pads songs with fewer segments than a model takes, or drops them",
        choices=(PAD, DROP),
    )
    protocol_models: tuple[str, ...] = option(
        (),
        "further models that the protocol trains first, each to RUN-MODEL",
        metavar="MODEL",
        choices=sorted(DEFAULTS),
    )
    model: ModelOptions = nested(ModelOptions())
    training: TrainingSettings = nested(TrainingSettings())
    checkpoints: CheckpointSettings = nested(CheckpointSettings())
    reading: ReadingSettings = nested(ReadingSettings())

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("resume", "elastic"):
            if getattr(self, name) and not self.run:
                raise OptionError(f"--{name} needs --run NAME")
        if self.protocol_models and (not (self.protocol and self.run) or self.elastic):
            raise OptionError("--protocol-models needs --protocol and --run NAME, and excludes --elastic")
        if self.resume and self.overwrite:
            raise OptionError("--resume and --overwrite exclude each other")
        if self.protocol and self.init_from:
            raise OptionError("--protocol and --init-from exclude each other")
        feed = self.training.feed
        self._check_batch()
        self._check_embedding()
        if TARGETS[self.target].form == NUMBERS and (feed.class_weights != NONE or feed.label_smoothing):
            raise OptionError(f"--class-weights and --label-smoothing are for classes; --target {self.target} has none")
        self.check_models(self.models)
        if TARGETS[self.target].form != CLASSES and feed.prior_adjustment:
            raise OptionError(f"--prior-adjustment is for one class per song; --target {self.target} has none")
        if self.protocol and self.target != "genre":
            raise OptionError(
                f"--protocol {self.protocol} draws by genre; it does not work with --target {self.target}"
            )

    def _check_batch(self) -> None:
        """Check the options of the global batch."""
        training = self.training
        if not training.global_batch_size:
            return
        where = f", which --protocol {self.protocol} sets" if self.protocol else ""
        if training.batch_size:
            raise OptionError(f"--batch-size excludes --global-batch-size{where}; choose the latter")
        if training.schedule.scaling != "none":
            raise OptionError(f"--scale-learning-rate excludes --global-batch-size{where}; use --learning-rate")

    def _check_embedding(self) -> None:
        """Check the options of further losses, sampled softmax and mixup."""
        embedding = self.training.embedding
        if embedding.also == self.target:
            raise OptionError(f"--also is {embedding.also}, as --target; choose another target, or {NONE}")
        if embedding.contrastive and TARGETS[self.target].form == NUMBERS:
            raise OptionError(f"--contrastive is for classes and tags; --target {self.target} has none")
        feed = self.training.feed
        if feed.sampled_softmax and TARGETS[self.target].form != CLASSES:
            raise OptionError(f"--sampled-softmax is for one class per song; --target {self.target} has none")
        if feed.sampled_softmax and (embedding.contrastive or feed.label_smoothing or feed.augmentation.mixup):
            raise OptionError("--sampled-softmax excludes --contrastive, --label-smoothing and --mixup")
        if feed.augmentation.mixup and (embedding.contrastive or embedding.also != NONE):
            raise OptionError("--mixup excludes --also and --contrastive")

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models to train."""
        return (self.model.name, *self.protocol_models)

    def check_models(self, models: Sequence[str]) -> None:
        """Check that the options suit the models to train."""
        if WIDE_DEEP in models and self.training.feed.augmentation.mixup:
            raise OptionError(
                f"--mixup cannot mix bags of words, which {WIDE_DEEP} uses; leave --mixup out, or choose another model"
            )
        if models:
            self.model.check_used(models, PROTOCOLS.get(self.protocol or "", {}))

    def runs(self) -> list[TrainOptions]:
        """Return the options of each run, that of ``--model`` last."""
        main = self.model.name
        names = {name: f"{self.run}-{name}" for name in self.protocol_models if name != main} | {main: self.run}
        return [replace(self, run=run, model=self.model.of(name), protocol_models=()) for name, run in names.items()]

    def model_settings(self) -> ModelSettings:
        """Return the sizes and inputs of the model.

        Raises `OptionError` if it has another number of layers.
        """
        return self.model.settings()

    def training_settings(self) -> TrainingSettings:
        """Return the settings of the loop, with the model's defaults where nothing was chosen."""
        feed, form = self.training.feed, TARGETS[self.target].form
        embedding = self.training.embedding
        adjustment, best_by = feed.prior_adjustment, self.training.best_by
        if adjustment is None:
            adjustment = self.model.own_training("prior_adjustment") if form == CLASSES else 0.0
        feed = replace(feed, augmentation=self.model.augmentation(feed.augmentation), prior_adjustment=adjustment)
        if embedding.contrastive is None:
            excluded = form == NUMBERS or feed.augmentation.mixup or feed.sampled_softmax
            own = 0.0 if excluded else self.model.own_training("contrastive")
            embedding = replace(embedding, contrastive=own)
        return replace(
            self.training,
            batch_size=None if self.training.global_batch_size else self.training.batch_of_rank,
            feed=feed,
            embedding=embedding,
            best_by=best_by or self.model.own_training("best_by"),
        )
