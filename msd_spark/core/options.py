"""Declare each option once; the command line, TOML settings, help and reference page are generated from it.

A stage's settings are one frozen dataclass derived from `Settings`, whose fields are made by `option`. A field of
another `Settings` class adds that class's options under a heading of their own.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")

_KEY = "option"


class OptionError(ValueError):
    """A value that an option does not accept; the message names the option, the value and the allowed values."""


@dataclass(frozen=True)
class Check:
    """A condition on a value.

    Attributes
    ----------
    accepts : callable
    allowed : str
        The accepted values, as text after "allowed:".
    """

    accepts: Callable[[Any], bool]
    allowed: str


def at_least(lowest: float) -> Check:
    """Return a check for numbers of at least `lowest`."""
    return Check(lambda value: value >= lowest, f"{lowest} or more")


def above(bound: float) -> Check:
    """Return a check for numbers greater than `bound`."""
    return Check(lambda value: value > bound, f"greater than {bound}")


def between(lowest: float, highest: float) -> Check:
    """Return a check for numbers from `lowest` to `highest`, both included."""
    return Check(lambda value: lowest <= value <= highest, f"{lowest} to {highest}")


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
    choices : tuple or None
        The only allowed values.
    check : Check or None
        A further condition, applied to each value of a tuple; None values are not checked.
    repeat : bool
        Whether each occurrence of the option adds one value.
    positional : bool
        Whether the values are typed without the option's name.
    """

    help: str
    name: str | None = None
    metavar: str | None = None
    choices: tuple[Any, ...] | None = None
    check: Check | None = None
    repeat: bool = False
    positional: bool = False


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
) -> T:
    """Return a dataclass field that is an option; see `Option` for the parameters."""
    declared = Option(help, name, metavar, tuple(choices) if choices is not None else None, check, repeat, positional)
    return dataclasses.field(default=default, metadata={_KEY: declared})


@dataclass(frozen=True)
class Settings:
    """Base of all settings; checks every option when an instance is made.

    Raises
    ------
    OptionError
        If a value is not one of the choices or fails the option's check.
    """

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
    kind : Any
        Type of the value.
    default : Any
    option : Option
    """

    name: str
    path: tuple[str, ...]
    kind: Any
    default: Any
    option: Option


def declared_options(settings: type[Settings], prefix: tuple[str, ...] = ()) -> Iterator[Declared]:
    """Yield the options of a settings class, those of nested settings in place of their field."""
    hints = typing.get_type_hints(settings)
    for field in dataclasses.fields(settings):
        path = (*prefix, field.name)
        if _KEY in field.metadata:
            declared = field.metadata[_KEY]
            yield Declared(typed_name(field), path, hints[field.name], field.default, declared)
        elif is_settings(hints[field.name]):
            yield from declared_options(hints[field.name], path)


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
    for item in value if isinstance(value, tuple | list) else (value,):
        if item is None:
            continue
        if declared.choices is not None and item not in declared.choices:
            allowed = ", ".join(map(str, declared.choices))
            raise OptionError(f"--{typed_name(field)} is {item!r}; allowed: {allowed}")
        if declared.check is not None and not declared.check.accepts(item):
            raise OptionError(f"--{typed_name(field)} is {item!r}; allowed: {declared.check.allowed}")
