"""The command ``msd-spark VERB``: parse options, run the verb, print errors as one line."""

from __future__ import annotations

import dataclasses
import difflib
import io
import itertools
import os
import re
import shlex
import signal
import sys
import threading
import time
import tomllib
import typing
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from msd_spark.core.errors import UserError
from msd_spark.core.interrupts import INTERRUPTED, end_java, noticing_interrupts
from msd_spark.core.module_path import leave_out_archives
from msd_spark.core.options import (
    Option,
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
from msd_spark.core.provenance import running
from msd_spark.core.trace_log import causes, is_from_spark, last_words, log_trace
from msd_spark.core.verbs import STAGES, VERBS, Verb

S = TypeVar("S", bound=Settings)

SECONDS_OF_FIRST_RANK = 20.0
"""Time for the first rank to print an error that all ranks have, before the others print it."""

READ_ONLY = ("similar", "lineage")
"""Verbs that write nothing to the warehouse; nor does ``score --songs``."""

MOST_CHARACTERS = 300
"""Characters of the message of an unexpected error; the log file has all."""

SETTINGS_FILE = "settings"
"""Name of the option that reads other options from a TOML file."""

_NEGATIVE = re.compile(r"-\d*\.?\d+(e[+-]?\d+)?", re.IGNORECASE)
"""Negative numbers, which are values even without an equals sign."""


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
    if words is None:  # a script, which spark-submit may have started
        leave_out_archives()
    verb = VERBS[name]
    with reported(name):
        typed = sys.argv[1:] if words is None else words
        if words is None:
            check_locale(typed, os.environ)
        settings = parse(verb.settings_class(), typed, verb)
        values = vars(settings)
        only_reads = name in READ_ONLY or (name == "score" and values.get("songs"))
        if not (only_reads or values.get("dry_run")):
            for declared in declared_options(type(settings)):
                if declared.name == "warehouse":
                    # The list of verbs is printed without pyarrow and Delta.
                    from msd_spark.core.warehouse import Warehouse

                    Warehouse(value_at(settings, declared.path)).check_writable()
        with running(name, typed, values.get("keep_versions", 0)):
            verb.function()(settings)


def check_locale(words: Sequence[str], environ: Mapping[str, str]) -> None:
    """Check that ``spark-submit`` has not replaced non-ASCII characters by ``?``.

    Options that take patterns may have ``??``.
    """
    locale = environ.get("LC_ALL") or environ.get("LC_CTYPE") or environ.get("LANG") or "not set"
    pattern_of = ""
    garbled = None
    for word in words:
        pattern_of = word if word.startswith("--") else pattern_of
        if "\ufffd" in word or ("??" in word and not pattern_of.startswith(("--songs", "--tags"))):
            garbled = word
    if garbled and "PYSPARK_GATEWAY_PORT" in environ and "utf" not in locale.lower():
        raise UserError(
            f"{garbled!r} has ? for non-ASCII characters, because the locale (LANG) is {locale}; export LANG=C.UTF-8"
        )


@contextmanager
def reported(name: str) -> Iterator[None]:
    """Print an error as one line after the stage name, without its trace, and end the process.

    The exit status is 2 for an error of the input, the options, a file or Spark, 130 for Ctrl-C, and 1 for any other
    error. A trace of Spark, and that of any other error, goes to a log file, which the line names.
    """
    is_first = os.environ.get("HOROVOD_RANK", "0") == "0"
    once = threading.Lock()

    def end_interrupted() -> None:
        if once.acquire(blocking=False) and is_first:
            print(f"{name}: interrupted", file=sys.stderr)
        end_java()

    try:
        with noticing_interrupts(end_interrupted) as interrupts:
            yield
    except (KeyboardInterrupt, Exception) as error:
        if interrupts or isinstance(error, KeyboardInterrupt):
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C would leave Java alive
            end_interrupted()
            sys.exit(INTERRUPTED)
        if not is_first and "horovod" not in sys.modules:
            # Before Horovod starts, all ranks fail alike: the first rank prints, and horovodrun ends the others.
            time.sleep(SECONDS_OF_FIRST_RANK)
        message, status = described(error)
        print(f"{name}: {message}", file=sys.stderr)
        sys.exit(status)


def described(error: Exception) -> tuple[str, int]:
    """Return the message and the exit status of an error."""
    trace = log_trace(error) if any(map(is_from_spark, causes(error))) else ""
    if isinstance(error, (UserError, OptionError, OSError)):
        first, *others = str(error).split("\n")  # others: the command to resume the pipeline
        return "\n".join([first + trace, *others]), 2
    if is_from_spark(error):
        return f"Spark failed: {last_words(error)}{trace}", 2
    text = " ".join(str(error).split())
    text = f"{type(error).__name__}: {text[:MOST_CHARACTERS]}" if text else type(error).__name__
    return f"unexpected {text}{trace or log_trace(error)}", 1


def parse(settings: type[S], words: Sequence[str], verb: Verb) -> S:
    """Return settings from the command line and from ``--settings FILE``; the former wins."""
    check_left_out(words, settings)
    typed = {word.partition("=")[0] for word in words}
    # A repeated option would otherwise add its values to those of the file.
    repeated = {one.name for one in declared_options(settings) if one.option.repeat and f"--{one.name}" in typed}
    content = read_settings(settings_path(words), settings, verb.name)
    from_file = words_of({name: content[name] for name in content if name not in repeated}, settings)
    chosen = [*from_file, *words]
    return _parsed(settings, [*_preset_words(chosen, settings), *chosen], verb)


def _preset_words(words: Sequence[str], settings: type[Settings]) -> list[str]:
    """Return the words of the defaults under the chosen values of options with presets."""
    values = {}
    for place, word in enumerate(words):
        name, equals, value = word.partition("=")
        values[name] = value if equals else "".join(words[place + 1 : place + 2])
    presets = [one.option.presets.get(values.get(f"--{one.name}"), {}) for one in declared_options(settings)]
    return [word for preset in presets for word in words_of(preset, settings)]


def check_left_out(words: Sequence[str], settings: type[Settings]) -> None:
    """Reject an option of nested settings that the verb does not have."""
    offered = {declared.name for declared in declared_options(settings)}
    instead = {name: text for field in dataclasses.fields(settings) for name, text in left_out(field).items()}
    for word in words:
        name = word.removeprefix("--").partition("=")[0]
        if word.startswith("--") and name in instead and name not in offered:
            raise OptionError(f"--{name} cannot be chosen here; {instead[name]}")


def _parsed(settings: type[S], words: Sequence[str], verb: Verb) -> S:
    import tyro

    _check_words(settings, words)
    typed: Any
    printed = io.StringIO()
    try:
        with redirect_stderr(printed):
            typed, others = tyro.cli(
                _typed_class(settings, verb.name, top=True),
                prog=f"msd-spark {verb.name}",
                description=f"{verb.help[0].upper()}{verb.help[1:]}.",
                args=words,
                config=(tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes),
                return_unknown_args=True,
            )
    except SystemExit as end:
        if not end.code:  # --help
            raise
        raise OptionError(f"{_without_box(printed.getvalue())}; see msd-spark {verb.name} --help") from None
    if others:
        raise OptionError(f"{others[0]!r} belongs to no option; see msd-spark {verb.name} --help")
    return _settings_from(settings, typed)


def _without_box(message: str) -> str:
    """Return tyro's error message, which it draws in a box, as one line."""
    text = re.sub(r"[\u2500-\u257f]+|\+?-{4,}\+?|(?<!\S)\|(?!\S)", " ", message).partition("For full helptext")[0]
    return re.sub("^Required options Missing from .*?: ", "missing: ", " ".join(text.split()))


def _check_words(settings: type[Settings], words: Sequence[str]) -> None:
    """Check that each option on the command line exists and has as many values as it needs."""
    options = {one.name: one for one in declared_options(settings)}
    flags = {name for name, one in options.items() if one.kind is bool}
    flags |= {f"no-{name}" for name in flags}
    for place, word in enumerate(words):
        if not word.startswith("--") or word in ("--help", f"--{SETTINGS_FILE}"):
            continue
        name, equals, _ = word.removeprefix("--").partition("=")
        if name in flags and equals:
            raise OptionError(f"--{name} takes no value")
        if name in flags or name == SETTINGS_FILE:
            continue
        if name not in options:
            close = difflib.get_close_matches(name, [*options, SETTINGS_FILE], n=1)
            raise OptionError(f"no option --{name}; {f'did you mean --{close[0]}?' if close else '--help lists them'}")
        n_values = 1 if options[name].option.repeat else _number_of_values(options[name].kind)
        if n_values == "*":
            continue
        following = list(itertools.takewhile(lambda value: not value.startswith("--"), words[place + 1 :]))
        if options[name].option.is_command and not equals:
            following = following or list(words[place + 1 : place + 2])  # options of another command
        dashed = [value for value in following[:n_values] if value.startswith("-") and not _NEGATIVE.fullmatch(value)]
        if dashed and not equals and dashed[0] != "-":
            value = shlex.quote(" ".join(dashed[0].split()))
            raise OptionError(f"--{name} is followed by {dashed[0]!r}; write --{name}={value} if that is its value")
        if (1 if equals else len(following)) < n_values:
            need = "a value" if n_values == 1 else f"{n_values} values"
            raise OptionError(f"--{name} needs {need}: {_metavar(name, options[name].kind, options[name].option)}")


def settings_path(words: Sequence[str]) -> Path | None:
    """Return the file named by ``--settings``, None if there is none."""
    for place, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name == f"--{SETTINGS_FILE}":
            if not equals and place + 1 == len(words):
                raise OptionError(f"--{SETTINGS_FILE} needs a FILE")
            if not (value := value if equals else words[place + 1]):
                raise OptionError(f"--{SETTINGS_FILE} is empty; give a FILE, or leave the option out")
            return Path(value)
    return None


def read_settings(path: Path | None, settings: type[Settings], verb: str) -> dict[str, Any]:
    """Return options from a TOML file: those at the top and in the table named after the verb.

    Options at the top that the verb does not have are ignored, so that one file serves all stages.
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
    """Return the content of a TOML file."""
    shown = str(path) if str(path).isprintable() else repr(str(path))
    try:
        if path.exists() and not path.is_file():
            raise UserError(f"--{SETTINGS_FILE} {shown} is not a file; name a TOML file")
        return tomllib.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"--{SETTINGS_FILE} {shown} is not a readable TOML file: {error}") from None


def check_names(options: Mapping[str, Any], names: typing.Collection[str], place: str) -> None:
    """Check that option names exist."""
    for name, value in options.items():
        if name not in names:
            close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
            hint = f"did you mean {close[0]!r}?" if close else f"allowed: {', '.join(sorted(names))}"
            raise UserError(f"{place} has no option {name!r}; {hint}")
        if isinstance(value, Mapping):
            raise UserError(f"{place} {name} is a table; write one value or a list")


def words_of(options: Mapping[str, Any], settings: type[Settings]) -> list[str]:
    """Return options of a settings class as the words of a command line."""
    declared = {one.name: one for one in declared_options(settings)}
    words: list[str] = []
    for name, value in options.items():
        if declared[name].kind is bool:
            if not isinstance(value, bool):
                raise OptionError(f"--{name} is {value!r}; allowed: true, false")
            words.append(f"--{name}" if value else f"--no-{name}")
        elif isinstance(value, list | tuple) and declared[name].option.repeat:
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
        about = tyro.conf.arg(
            name=typed_name(field),
            metavar=None if kind is bool else _metavar(field.name, kind, declared),
            help=declared.help,
            help_behavior_hint=_hint(default, declared),
        )
        markers: list[Any] = [about]
        if declared.repeat:
            markers.append(tyro.conf.UseAppendAction)
        elif kind is not bool:
            markers.append(_as_words(kind))
        if declared.positional:
            markers.append(tyro.conf.Positional)
        fields.append((field.name, Annotated[(kind, *markers)], dataclasses.field(default=default)))
    if top and all(one.name != SETTINGS_FILE for one in declared_options(settings)):
        text = "TOML file with options; the command line wins"
        about = tyro.conf.arg(name=SETTINGS_FILE, metavar="FILE", help=text, help_behavior_hint="")
        kind = Annotated[str | None, about, _as_words(str | None)]
        fields.append(("_settings_file", kind, dataclasses.field(default=None)))
    return dataclasses.make_dataclass(name, fields, frozen=True)


class _Words(list[str]):
    """The values of an option as typed."""


def _as_words(kind: Any) -> Any:
    """Return tyro's specification of an option whose values stay words until `_converted`."""
    from tyro.constructors import PrimitiveConstructorSpec

    return PrimitiveConstructorSpec(
        nargs=_number_of_values(kind),
        metavar="",
        instance_from_str=_Words,
        is_instance=lambda value: True,
        str_from_instance=lambda value: [str(value)],
    )


def _inner(kind: Any) -> Any:
    """Return a type without its alternative None."""
    return next((one for one in typing.get_args(kind) if one is not type(None)), kind) if _is_optional(kind) else kind


def _is_optional(kind: Any) -> bool:
    return type(None) in typing.get_args(kind)


def _element(kind: Any) -> Any:
    """Return the type of an option's single values."""
    inner = _inner(kind)
    return typing.get_args(inner)[0] if typing.get_origin(inner) is tuple else inner


def _number_of_values(kind: Any) -> int | Literal["*"]:
    inner = _inner(kind)
    if typing.get_origin(inner) is not tuple:
        return 1
    return "*" if Ellipsis in typing.get_args(inner) else len(typing.get_args(inner))


def _metavar(name: str, kind: Any, declared: Option) -> str:
    """Return the placeholder of an option's values in the help text."""
    n_values = _number_of_values(kind)
    if declared.metavar:
        one = declared.metavar
    elif declared.choices:
        one = f"{{{','.join(map(str, declared.choices))}}}"
    else:
        one = name.upper() if declared.positional else _element(kind).__name__.upper()
    if n_values == "*":
        return one if declared.repeat else f"{one} ..."
    return one if declared.metavar else " ".join([one] * n_values)


def _converted(name: str, kind: Any, words: _Words) -> Any:
    """Return the value of an option from its words."""
    element, values = _element(kind), []
    for word in words:
        try:
            values.append(element(word))
        except ValueError:
            expected = {int: "a whole number", float: "a number"}.get(element, element.__name__)
            raise OptionError(f"--{name} is {word!r}; allowed: {expected}") from None
    return tuple(values) if typing.get_origin(_inner(kind)) is tuple else values[0]


def _hint(default: Any, declared: Option) -> str:
    """Return the default and the allowed values for the help text."""
    parts = [declared.check.allowed] if declared.check else []
    if default is dataclasses.MISSING:
        parts.insert(0, "required")
    elif default not in (None, (), "") and not isinstance(default, bool):
        shown = " ".join(map(str, default)) if isinstance(default, tuple) else default
        parts.insert(0, f"default: {shown}")
    return f"({'; '.join(parts)})" if parts else ""


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
            value = getattr(typed, field.name)
            is_typed = isinstance(value, _Words)
            values[field.name] = _converted(typed_name(field), kind, value) if is_typed else value
    return settings(**values)
