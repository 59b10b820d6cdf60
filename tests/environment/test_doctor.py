from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from msd_spark.environment.doctor import COMPONENTS, REBUILD, compare, installed, pins

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


def test_pins_are_the_exact_versions_alone() -> None:
    lines = ["numpy==1.26.4", 'horovod==0.28.1; extra == "horovod"', "Keras == 3.15.1", "pip", "setuptools>=61,<70"]
    assert pins(lines) == {"numpy": "1.26.4", "horovod": "0.28.1", "keras": "3.15.1"}
    assert pins([]) == {}


def test_every_component_has_a_pin_in_this_project() -> None:
    project = tomllib.loads(PYPROJECT.read_text())["project"]
    found = pins(project["dependencies"] + project["optional-dependencies"]["horovod"])
    assert {package for package in COMPONENTS.values() if package not in found} == set()


def test_the_version_that_was_proved_is_sound() -> None:
    finding = compare("numpy", "1.26.4", "1.26.4")
    assert finding.sound
    assert str(finding) == "ok  numpy                1.26.4"


@pytest.mark.parametrize(
    ("wanted", "found", "line"),
    [
        ("1.26.4", "2.0.0", "OFF numpy                2.0.0  wanted 1.26.4; cure: make setup"),
        ("1.26.4", "1.26.40", "OFF numpy                1.26.40  wanted 1.26.4; cure: make setup"),
        ("1.26.4", None, "OFF numpy                not installed  wanted 1.26.4; cure: make setup"),
        (None, "1.26.4", "OFF numpy                1.26.4  wanted a pin in pyproject.toml; cure: make setup"),
        (None, None, "OFF numpy                not installed  wanted a pin in pyproject.toml; cure: make setup"),
    ],
)
def test_anything_else_is_off_with_a_cure(wanted: str | None, found: str | None, line: str) -> None:
    finding = compare("numpy", wanted, found)
    assert not finding.sound
    assert finding.cure == REBUILD
    assert str(finding) == line


def test_what_is_installed() -> None:
    assert installed("pytest") == pytest.__version__
    assert installed("no-such-package-anywhere") is None
