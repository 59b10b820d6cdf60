"""The command ``msd-spark VERB``: parse options, run the verb, print errors as one line."""

from __future__ import annotations

import dataclasses
import difflib
import sys
import tomllib
import typing
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from msd_spark.core.errors import UserError
from msd_spark.core.options import (
    OptionError,
    Settings,
    declared_options,
    default_of,
    is_settings,
    left_out,
    option_of,
    typed_name,
    value_at,
)
from msd_spark.core.verbs import STAGES, VERBS, Verb

S = TypeVar("S", bound=Settings)

SETTINGS_FILE = "settings"
"""Name of the option that reads other options from a TOML file."""


def main(words: Sequence[str] | None = None) -> None:
    """Run ``msd-spark``."""
    typed = list(sys.argv[1:] if words is None else words)
    if not typed or typed[0] in ("-h", "--help"):
        print(overview())
        return
    if typed[0] not in VERBS:
        close = difflib.get_close_matches(typed[0], VERBS, n=1)
        hint = f"did you mean {close[0]}?" if close else "msd-spark --help lists the verbs"
        print(f"msd-spark: no verb {typed[0]!r}; {hint}", file=sys.stderr)
        sys.exit(2)
    run_verb(typed[0], typed[1:])


def overview() -> str:
    """Return the help text of the command: every verb under the heading of its stage."""
    lines = ["usage: msd-spark VERB [OPTIONS]", ""]
    for stage, verbs in STAGES.items():
        lines += [f"{stage}:", *(f"  {verb.name:<11}{verb.help}" for verb in verbs), ""]
    lines += [
        "msd-spark VERB --help lists the options of a verb.",
        "Data is in ./data and tables in ./warehouse by default.",
    ]
    return "\n".join(lines)


def run_verb(name: str, words: Sequence[str] | None = None) -> None:
    """Run a verb with the words of the command line.

    A `UserError` ends the process with one line on standard error and exit status 2.
    """
    verb = VERBS[name]
    with reported(name):
        settings = parse(verb.settings_class(), sys.argv[1:] if words is None else words, verb)
        verb.function()(settings)


@contextmanager
def reported(name: str) -> Iterator[None]:
    """Print a `UserError` or `OptionError` as one line after the stage name, and exit with status 2."""
    try:
        yield
    except (UserError, OptionError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(2)


def parse(settings: type[S], words: Sequence[str], verb: Verb) -> S:
    """Return settings from the words of a command line and from ``--settings FILE``; the command line wins.

    An unknown option or a value of the wrong type prints an explanation and exits with status 2.

    Raises
    ------
    UserError
        If the settings file cannot be read or has an unknown option.
    OptionError
        If a value is not allowed.
    """
    check_left_out(words, settings)
    from_file = words_of(read_settings(settings_path(words), settings, verb.name), settings)
    parsed = _parsed(settings, [*from_file, *words], verb)
    presets = [
        preset
        for declared in declared_options(settings)
        if (preset := declared.option.presets.get(value_at(parsed, declared.path)))
    ]
    for preset in presets:
        parsed = _parsed(settings, [*words_of(preset, settings), *from_file, *words], verb)
    return parsed


def check_left_out(words: Sequence[str], settings: type[Settings]) -> None:
    """Check that no option is typed that the nested settings have but the verb does not.

    Raises
    ------
    OptionError
        With what to do instead.
    """
    offered = {declared.name for declared in declared_options(settings)}
    instead = {name: text for field in dataclasses.fields(settings) for name, text in left_out(field).items()}
    for word in words:
        name = word.removeprefix("--").partition("=")[0]
        if word.startswith("--") and name in instead and name not in offered:
            raise OptionError(f"--{name} cannot be chosen here; {instead[name]}")


def _parsed(settings: type[S], words: Sequence[str], verb: Verb) -> S:
    import tyro

    typed: Any = tyro.cli(
        _typed_class(settings, verb.name, top=True),
        prog=f"msd-spark {verb.name}",
        description=f"{verb.help[0].upper()}{verb.help[1:]}.",
        args=words,
        config=(tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes),
    )
    return _settings_from(settings, typed)


def settings_path(words: Sequence[str]) -> Path | None:
    """Return the file named by ``--settings``, None if there is none."""
    for place, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name == f"--{SETTINGS_FILE}":
            if not equals and place + 1 == len(words):
                raise OptionError(f"--{SETTINGS_FILE} needs a FILE")
            return Path(value if equals else words[place + 1])
    return None


def read_settings(path: Path | None, settings: type[Settings], verb: str) -> dict[str, Any]:
    """Return a verb's options from a TOML file: those at the top and those in the table named after the verb.

    Options at the top that the verb does not have are ignored, so that one file serves all stages.

    Raises
    ------
    UserError
        If the file cannot be read, or the verb's table has an unknown option.
    """
    content = read_toml(path) if path else {}
    names = {one.name for one in declared_options(settings)}
    top = {name: value for name, value in content.items() if name in names and not isinstance(value, Mapping)}
    own = content.get(verb, {})
    if not isinstance(own, Mapping):
        raise UserError(f"{path}: {verb} is {own!r}; write a table [{verb}] with its options")
    check_names(own, names, f"{path}: [{verb}]")
    return {**top, **own}


def read_toml(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file.

    Raises
    ------
    UserError
        If the file is missing or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"--{SETTINGS_FILE} {path} is not a readable TOML file: {error}") from None


def check_names(options: Mapping[str, Any], names: typing.Collection[str], place: str) -> None:
    """Check that option names exist.

    Raises
    ------
    UserError
        With the nearest name, or all of them.
    """
    for name, value in options.items():
        if name not in names:
            close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
            hint = f"did you mean {close[0]!r}?" if close else f"allowed: {', '.join(sorted(names))}"
            raise UserError(f"{place} has no option {name!r}; {hint}")
        if isinstance(value, Mapping):
            raise UserError(f"{place} {name} is a table; write one value or a list")


def words_of(options: Mapping[str, Any], settings: type[Settings]) -> list[str]:
    """Return options of a settings class as the words of a command line."""
    repeated = {one.name for one in declared_options(settings) if one.option.repeat}
    words: list[str] = []
    for name, value in options.items():
        if isinstance(value, bool):
            words.append(f"--{name}" if value else f"--no-{name}")
        elif isinstance(value, list | tuple) and name in repeated:
            words += [word for item in value for word in (f"--{name}", str(item))]
        elif isinstance(value, list | tuple):
            words += [f"--{name}", *map(str, value)]
        elif value is not None:
            text = str(value)
            words += [f"--{name}={text}"] if text.startswith("-") else [f"--{name}", text]
    return words


def _typed_class(
    settings: type[Settings],
    name: str,
    defaults: Settings | None = None,
    without: frozenset[str] = frozenset(),
    *,
    top: bool = False,
) -> type:
    """Return a class that tyro turns into a parser with the options of a settings class."""
    import tyro

    hints = typing.get_type_hints(settings)
    fields: list[tuple[str, Any, Any]] = []
    for field in dataclasses.fields(settings):
        declared, kind, default = option_of(field), hints[field.name], default_of(field, defaults)
        if declared is None:
            if is_settings(kind):
                nested = _typed_class(kind, field.name, default, without.union(left_out(field)))
                fields.append((field.name, nested, dataclasses.field(default_factory=nested)))
            continue
        if typed_name(field) in without:
            continue
        if declared.choices is not None and type(None) not in typing.get_args(kind):
            kind = _with_choices(kind, declared.choices)
        about = tyro.conf.arg(
            name=typed_name(field),
            metavar=declared.metavar,
            help=declared.help,
            help_behavior_hint=_hint(default),
        )
        markers: list[Any] = [about]
        if type(None) in typing.get_args(kind):
            markers.append(_optional(kind, declared.choices))
        if declared.repeat:
            markers.append(tyro.conf.UseAppendAction)
        if declared.positional:
            markers.append(tyro.conf.Positional)
        fields.append((field.name, Annotated[(kind, *markers)], dataclasses.field(default=default)))
    if top and all(field.name != SETTINGS_FILE for field in dataclasses.fields(settings)):
        text = "TOML file with options; the command line wins"
        about = tyro.conf.arg(name=SETTINGS_FILE, metavar="FILE", help=text, help_behavior_hint="")
        kind = Annotated[str | None, about, _optional(str | None, None)]
        fields.append(("_settings_file", kind, dataclasses.field(default=None)))
    return dataclasses.make_dataclass(name, fields, frozen=True)


def _with_choices(kind: Any, choices: tuple[Any, ...]) -> Any:
    literal: Any = Literal.__getitem__(choices)
    return tuple[literal, ...] if typing.get_origin(kind) is tuple else literal


def _optional(kind: Any, choices: tuple[Any, ...] | None) -> Any:
    """Return how tyro parses an optional value: by its type alone, since None cannot be typed."""
    from tyro.constructors import PrimitiveConstructorSpec

    inner = next(one for one in typing.get_args(kind) if one is not type(None))
    element = typing.get_args(inner)[0] if typing.get_origin(inner) is tuple else inner
    size = len(typing.get_args(inner)) if typing.get_origin(inner) is tuple else 1
    several = typing.get_origin(inner) is tuple and Ellipsis in typing.get_args(inner)

    def read(words: list[str]) -> Any:
        values = tuple(element(word) for word in words)
        return values if typing.get_origin(inner) is tuple else values[0]

    return PrimitiveConstructorSpec(
        nargs="*" if several else size,
        metavar=f"{{{','.join(map(str, choices))}}}" if choices else element.__name__.upper(),
        instance_from_str=read,
        is_instance=lambda value: True,
        str_from_instance=lambda value: [str(value)],
        choices=tuple(map(str, choices)) if choices else None,
    )


def _hint(default: Any) -> str:
    if default is dataclasses.MISSING:
        return "(required)"
    if default is None or default == () or isinstance(default, bool):
        return ""
    shown = " ".join(map(str, default)) if isinstance(default, tuple) else default
    return f"(default: {shown})"


def _settings_from(settings: type[S], typed: Any, defaults: S | None = None) -> S:
    values = {}
    hints = typing.get_type_hints(settings)
    for field in dataclasses.fields(settings):
        kind, default = hints[field.name], default_of(field, defaults)
        if not hasattr(typed, field.name):
            if defaults is not None:
                values[field.name] = default
        elif is_settings(kind) and option_of(field) is None:
            values[field.name] = _settings_from(kind, getattr(typed, field.name), default)
        else:
            values[field.name] = getattr(typed, field.name)
    return settings(**values)
