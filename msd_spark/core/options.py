"""Declare each option once, for the command line, TOML settings, help and reference page.

A stage's settings are one frozen dataclass derived from `Settings`, whose fields are made by `option`. A field of
another `Settings` class adds that class's options under a heading of their own.
"""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")
S = TypeVar("S", bound="Settings")

REQUIRED: Any = dataclasses.MISSING
"""Default of an option that must be given."""

DEFAULT_WAREHOUSE = "./warehouse"
"""The warehouse if no other is given."""

_UNPRINTABLE = re.compile("[\0-\x1f\x7f\ud800-\udfff]")
_KEY = "option"
_WITHOUT = "without"


class OptionError(ValueError):
    """A value that an option does not accept; the message names option, value and alternatives."""


@dataclass(frozen=True)
class Check:
    """A condition on a value.

    `allowed` lists the accepted values, as text after "allowed:". Whole numbers are at most `MOST`, unless the check
    `is_bounded`, that is, has an upper bound of its own.
    """

    accepts: Callable[[Any], bool]
    allowed: str
    is_bounded: bool = False


MOST = 2**31 - 1
"""Largest whole number: Spark's integers have 32 bits."""

MOST_BATCH = 65_536
"""Largest batch: its features take 2 GB."""


def at_least(lowest: float) -> Check:
    """Return a check for numbers of at least `lowest`."""
    return Check(lambda value: value >= lowest, f"{lowest} or more")


def above(bound: float) -> Check:
    """Return a check for numbers greater than `bound`."""
    return Check(lambda value: value > bound, f"greater than {bound}")


def between(lowest: float, highest: float) -> Check:
    """Return a check for numbers from `lowest` to `highest`, both included."""
    return Check(lambda value: lowest <= value <= highest, f"{lowest} to {highest}", is_bounded=True)


def plain_name(most: int) -> Check:
    """Return a check for the name of a folder of the warehouse.

    `most` is its maximum size in bytes.
    """
    return Check(
        lambda text: re.fullmatch(r"[^\W_]([\w .-]*[\w.-])?", text) is not None and len(text.encode()) <= most,
        f"letters, digits, spaces, _ . and -; a letter or digit first, no space last, at most {most} bytes",
    )


SEED = between(0, MOST - 1)
"""Check for a random seed: NumPy and Keras refuse negative ones, faiss seed + 1 above `MOST`."""

NAME = plain_name(100)
"""Check for the name of a run, a dataset or a label set."""

PREFIX = plain_name(50)
"""Check for a name that begins the names of runs."""


@dataclass(frozen=True)
class Option:
    """Everything about an option except its type and default.

    Attributes
    ----------
    help : str
        A complete phrase.
    name : str or None
        The name as typed, without dashes; None for the field's name with hyphens.
    metavar : str or None
        Placeholder of the value in the help text.
    check : Check or None
        A further condition, applied to each value of a tuple; None values are not checked.
    repeat : bool
        Whether each occurrence of the option adds one value.
    positional : bool
        Whether the values are typed without the option's name.
    is_command : bool
        Whether the value is part of a command line, which may have line breaks and tabs.
    presets : mapping
        Defaults of other options, by name, for each value of this one.
    """

    help: str
    name: str | None = None
    metavar: str | None = None
    choices: tuple[Any, ...] | None = None
    check: Check | None = None
    repeat: bool = False
    positional: bool = False
    is_command: bool = False
    presets: Mapping[Any, Mapping[str, Any]] = dataclasses.field(default_factory=dict)


def option(
    default: T,
    help: str,
    *,
    name: str | None = None,
    metavar: str | None = None,
    choices: typing.Iterable[Any] | None = None,
    check: Check | None = None,
    repeat: bool = False,
    positional: bool = False,
    is_command: bool = False,
    presets: Mapping[Any, Mapping[str, Any]] | None = None,
) -> T:
    """Return a dataclass field that is an option; see `Option` for the parameters."""
    allowed = tuple(choices) if choices is not None else None
    declared = Option(help, name, metavar, allowed, check, repeat, positional, is_command, presets or {})
    return dataclasses.field(default=default, metadata={_KEY: declared})


def warehouse_option() -> str:
    """Return the field of the option ``--warehouse``."""
    return option(DEFAULT_WAREHOUSE, "folder of the tables; local, s3:// or hdfs://", metavar="URI")


def keep_versions_option() -> int:
    """Return the field of the option ``--keep-versions``."""
    text = "older versions of the written tables to keep; readers that do not know Delta see their rows too"
    return option(0, text, metavar="N", check=at_least(0))


def nested(default: S, *, without: Mapping[str, str] | None = None) -> S:
    """Return a field of nested settings, with other defaults or fewer options than their class.

    The options named in `without`, as typed, keep the value of `default`: the command line does not offer them, and
    prints what the user can do instead.
    """
    return dataclasses.field(default=default, metadata={_WITHOUT: without or {}})


@dataclass(frozen=True)
class Settings:
    """Base of all settings; checks the value of every option when an instance is made."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if _KEY in field.metadata:
                _check(field, getattr(self, field.name))


@dataclass(frozen=True)
class Declared:
    """An option of a settings class.

    Attributes
    ----------
    name : str
        As typed, without dashes.
    path : tuple of str
        Attribute names from the settings class to the value.
    """

    name: str
    path: tuple[str, ...]
    kind: Any
    default: Any
    option: Option


def declared_options(
    settings: type[Settings],
    prefix: tuple[str, ...] = (),
    defaults: Settings | None = None,
    without: frozenset[str] = frozenset(),
) -> Iterator[Declared]:
    """Yield the options of a settings class, those of nested settings in place of their field.

    `prefix` has the attribute names that lead to the class; the values of `defaults` replace the declared ones;
    `without` has the names of options to leave out.
    """
    hints = typing.get_type_hints(settings)
    for field in dataclasses.fields(settings):
        path, default = (*prefix, field.name), default_of(field, defaults)
        if _KEY in field.metadata:
            if typed_name(field) not in without:
                yield Declared(typed_name(field), path, hints[field.name], default, field.metadata[_KEY])
        elif is_settings(hints[field.name]):
            yield from declared_options(hints[field.name], path, default, without.union(left_out(field)))


def default_of(field: dataclasses.Field[Any], defaults: Settings | None = None) -> Any:
    """Return a field's default; for nested settings None if the class has required options."""
    if defaults is not None:
        return getattr(defaults, field.name)
    if _KEY in field.metadata or field.default is not dataclasses.MISSING:
        return field.default
    return None


def left_out(field: dataclasses.Field[Any]) -> Mapping[str, str]:
    """Return what to do instead of each option of nested settings that is not offered."""
    return field.metadata.get(_WITHOUT, {})


def value_at(settings: Settings, path: tuple[str, ...]) -> Any:
    """Return the value at the end of attribute names, as in `Declared.path`."""
    value: Any = settings
    for name in path:
        value = getattr(value, name)
    return value


def typed_name(field: dataclasses.Field[Any]) -> str:
    """Return an option's name as typed, without dashes."""
    declared: Option = field.metadata[_KEY]
    return declared.name or field.name.replace("_", "-")


def option_of(field: dataclasses.Field[Any]) -> Option | None:
    """Return the option that a dataclass field declares; None for other fields."""
    return field.metadata.get(_KEY)


def is_settings(kind: Any) -> bool:
    """Return whether a type is a settings class."""
    return isinstance(kind, type) and issubclass(kind, Settings)


def _check(field: dataclasses.Field[Any], value: Any) -> None:
    declared: Option = field.metadata[_KEY]
    name = (declared.metavar or field.name.upper()) if declared.positional else f"--{typed_name(field)}"
    for item in value if isinstance(value, tuple | list) else (value,):
        if item is None:
            continue
        # A command line may have several lines.
        if isinstance(item, str) and _UNPRINTABLE.search(
            re.sub("[\t\r\n]", " ", item) if declared.is_command else item
        ):
            raise OptionError(f"{name} is {item!r}; allowed: UTF-8 text without control characters")
        if declared.choices is not None and item not in declared.choices:
            allowed = ", ".join(map(str, declared.choices))
            raise OptionError(f"{name} is {item!r}; allowed: {allowed}")
        if declared.check is not None and not declared.check.accepts(item):
            raise OptionError(f"{name} is {item!r}; allowed: {declared.check.allowed}")
        if isinstance(item, int) and abs(item) > MOST and not (declared.check and declared.check.is_bounded):
            raise OptionError(f"{name} is {item}; allowed: at most {MOST}")
        if item == "" and declared.check is None and declared.choices is None and field.default != "":
            remedy = "" if declared.positional else ", or leave the option out"
            raise OptionError(f"{name} is empty; give a value{remedy}")
