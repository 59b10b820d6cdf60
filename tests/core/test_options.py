from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from msd_spark.core.options import (
    OptionError,
    Settings,
    above,
    at_least,
    between,
    declared_options,
    nested,
    option,
    value_at,
)


@dataclass(frozen=True)
class Layers(Settings):
    depth: int = option(3, "number of layers", check=at_least(1))
    width: int = option(8, "units per layer", check=at_least(1))


@dataclass(frozen=True)
class Model(Settings):
    """Settings of the tests."""

    rate: float = option(0.1, "learning rate", check=above(0))
    dropout: float | None = option(None, "share of units to drop", check=between(0, 1))
    kinds: tuple[str, ...] = option(("a",), "kinds", choices=("a", "b"))
    layers: Layers = Layers()
    head: Layers = nested(Layers(1, 2), without={"width": "use --depth"})
    batch: int = 32


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rate": 0}, "--rate is 0; allowed: greater than 0"),
        ({"rate": float("nan")}, "--rate is nan; allowed: greater than 0"),
        ({"dropout": 1.5}, "--dropout is 1.5; allowed: 0 to 1"),
        ({"kinds": ("a", "c")}, "--kinds is 'c'; allowed: a, b"),
    ],
)
def test_a_value_outside_its_range_names_the_option_and_the_allowed_values(
    values: dict[str, object], message: str
) -> None:
    with pytest.raises(OptionError) as caught:
        Model(**values)  # type: ignore[arg-type]
    assert str(caught.value) == message


def test_values_are_checked_whenever_settings_are_made() -> None:
    with pytest.raises(OptionError, match="--depth is 0; allowed: 1 or more"):
        replace(Layers(), depth=0)


def test_bounds_are_inclusive_and_none_is_not_checked() -> None:
    assert Model(dropout=0).dropout == 0
    assert Model(dropout=1).dropout == 1
    assert Model(dropout=None).dropout is None


def test_declared_options_include_those_of_nested_settings_with_their_defaults() -> None:
    declared = {(*one.path, one.name): one.default for one in declared_options(Model)}
    assert declared == {
        ("rate", "rate"): 0.1,
        ("dropout", "dropout"): None,
        ("kinds", "kinds"): ("a",),
        ("layers", "depth", "depth"): 3,
        ("layers", "width", "width"): 8,
        ("head", "depth", "depth"): 1,
    }


def test_a_path_leads_to_the_value() -> None:
    assert value_at(Model(layers=Layers(depth=7)), ("layers", "depth")) == 7
