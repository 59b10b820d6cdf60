"""Options of the pipeline, and those it passes on to the stages."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msd_spark.core.command_line import check_names, read_toml
from msd_spark.core.data_folder import DATA_HELP, DEFAULT_DATA
from msd_spark.core.errors import UserError
from msd_spark.core.options import (
    MOST_BATCH,
    NAME,
    OptionError,
    Settings,
    at_least,
    between,
    declared_options,
    option,
    warehouse_option,
)
from msd_spark.pipeline.stages import BY_NAME, DEFAULT_OPTIONS, NAMES

SHORTCUTS = ("model", "epochs", "batch-size")
"""Options of training that the pipeline also has."""

OF_THE_PIPELINE = ("data", "warehouse", "run", "settings", "overwrite", "resume")
"""Options of stages that the pipeline sets itself."""


@dataclass(frozen=True)
class PipelineOptions(Settings):
    """Options of ``msd-spark pipeline``."""

    data: str = option(DEFAULT_DATA, DATA_HELP, metavar="DIR")
    warehouse: str = warehouse_option()
    run: str = option("demo", "name of the run", metavar="NAME", check=NAME)
    ranks: int = option(2, "number of Horovod ranks", check=at_least(1))
    model: str | None = option(None, "the same as --set train.model=MODEL (wide_deep)")
    epochs: int | None = option(None, "the same as --set train.epochs=N (20)", metavar="N", check=at_least(1))
    batch_size: int | None = option(
        None, "the same as --set train.batch-size=N (16)", metavar="N", check=between(1, MOST_BATCH)
    )
    settings: str | None = option(
        None, "TOML file with one table of options per stage; the command line wins", metavar="FILE"
    )
    assignments: tuple[str, ...] = option(
        (), "one option of a stage", name="set", metavar="STAGE.OPTION=VALUE", repeat=True
    )
    first: str | None = option(None, "first stage to run", name="from", choices=NAMES)
    last: str | None = option(None, "last stage to run", name="to", choices=NAMES)
    only: tuple[str, ...] = option((), "run these stages only", metavar="STAGE", choices=NAMES)
    skip: tuple[str, ...] = option((), "skip these stages", metavar="STAGE", choices=NAMES)
    force: bool = option(False, "run stages even if they are up to date")
    ignore_code: bool = option(False, "do not run a stage only because the code has changed")
    dry_run: bool = option(False, "print the commands that would run, and run nothing")
    spark_submit: str = option(
        "",
        "submit each Spark stage by spark-submit with these options, instead of running all in one session",
        is_command=True,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.only and (self.first or self.last):
            raise OptionError("--only cannot be combined with --from or --to")
        try:
            split_command(self.spark_submit)
        except ValueError as error:
            raise OptionError(f"--spark-submit is {self.spark_submit!r}; {error}; write it as in a shell") from None
        if not self.stages:
            raise OptionError("no stage is left to run; check --from, --to, --only and --skip")

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the chosen stages, in order."""
        first, last = NAMES.index(self.first or NAMES[0]), NAMES.index(self.last or NAMES[-1])
        names = [name for name in NAMES if name in self.only] if self.only else NAMES[first : last + 1]
        return tuple(name for name in names if name not in self.skip)


def split_command(text: str) -> list[str]:
    """Return the words of part of a command line.

    As in a shell, a backslash at the end of a line continues it.
    """
    return shlex.split(re.sub(r"\\\r?\n", "", text))


@dataclass(frozen=True)
class Plan:
    """The pipeline's options together with those of every stage."""

    options: PipelineOptions
    of_stages: Mapping[str, Mapping[str, Any]]
    """By stage: option name to value."""

    @property
    def dataset(self) -> str:
        """Name of the dataset that is written and trained on."""
        return str(self.of_stages.get("dataset", {}).get("name", "genre"))

    def places(self, patterns: tuple[str, ...]) -> list[str]:
        """Return places of the warehouse with the names of this run and dataset."""
        return [place.format(run=self.options.run, dataset=self.dataset) for place in patterns]

    def content(self) -> dict[str, Any]:
        """Return the options as content of a settings file."""
        own = {name: getattr(self.options, name) for name in ("data", "warehouse", "run", "ranks")}
        if self.options.spark_submit:
            own["spark-submit"] = self.options.spark_submit
        return own | {stage: dict(options) for stage, options in self.of_stages.items()}


def make_plan(options: PipelineOptions, defaults: Mapping[str, Mapping[str, Any]] | None = None) -> Plan:
    """Return the options of every stage: defaults, overridden by the file and the command line.

    `defaults` override those of the pipeline.
    """
    content = read_toml(Path(options.settings)) if options.settings else {}
    place = str(options.settings)
    known = {*(one.name for one in declared_options(PipelineOptions)), *NAMES}
    check_names(dict.fromkeys(content), known, place)
    tables = {name: content[name] for name in content if name in NAMES}
    for stage, table in tables.items():
        if not isinstance(table, Mapping):
            raise UserError(f"{place}: {stage} is {table!r}; write a table [{stage}] with its options")
        check_options(stage, table, f"{place}: [{stage}]")
    own_values = {name: getattr(options, name.replace("-", "_")) for name in SHORTCUTS}
    shortcuts = {name: value for name, value in own_values.items() if value is not None}
    typed = [parse_assignment(text) for text in options.assignments]
    chosen = merge(tables, {"train": shortcuts} if shortcuts else {}, *typed)
    merged = merge(DEFAULT_OPTIONS, defaults or {})
    if chosen.get("train", {}).get("protocol"):  # which has its own batch and epochs
        merged["train"] = {name: value for name, value in merged["train"].items() if name not in SHORTCUTS}
    merged = merge(merged, chosen)
    plan = Plan(options, merged)
    if plan.dataset != "genre":
        plan = Plan(options, merge({"train": {"dataset": plan.dataset}}, merged))
    return plan


def check_options(stage: str, options: Mapping[str, Any], place: str) -> None:
    """Check that a stage has the options, and that the pipeline does not set them itself."""
    for name in options:
        if name in OF_THE_PIPELINE:
            raise UserError(f"{place} {name} is set by the pipeline; remove it")
    check_names(options, {one.name for one in declared_options(BY_NAME[stage].verb.settings_class())}, place)


def parse_assignment(text: str) -> dict[str, dict[str, Any]]:
    """Return the settings in ``STAGE.OPTION=VALUE``; a value that is not TOML is text."""
    name, equals, value = text.partition("=")
    stage, dot, option_name = name.strip().partition(".")
    if not (equals and dot and option_name) or stage not in NAMES:
        raise UserError(f"--set is {text!r}; allowed: STAGE.OPTION=VALUE, for example train.epochs=30")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value
    check_options(stage, {option_name: parsed}, f"--set {stage}")
    return {stage: {option_name: parsed}}


def merge(*layers: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return tables in which later layers override earlier ones, option by option."""
    merged: dict[str, dict[str, Any]] = {}
    for layer in layers:
        for stage, options in layer.items():
            merged[stage] = merged.get(stage, {}) | dict(options)
    return merged


def resume_words(words: Sequence[str], remaining: Sequence[str]) -> str:
    """Return the command that runs the remaining stages with the options of a command line."""
    rest, skipping, only = [], False, False
    for word in words:
        if word.startswith("--"):
            skipping = word.split("=")[0] in ("--from", "--only")
            only = only or word.startswith("--only")
        if not skipping:
            rest.append(word)
    stages = ["--only", *remaining] if only else ["--from", remaining[0]]
    return shlex.join(["msd-spark", "pipeline", *rest, *stages])
