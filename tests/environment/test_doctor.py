from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from msd_spark.core.command_line import run_verb
from msd_spark.environment import doctor
from msd_spark.environment.doctor import COMPONENTS, SETUP, Finding, compare, installed, pins

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


def test_pins_are_the_exact_versions_alone() -> None:
    lines = ["numpy==1.26.4", 'horovod==0.28.1; extra == "horovod"', "Keras == 3.15.1", "pip", "setuptools>=61,<70"]
    assert pins(lines) == {"numpy": "1.26.4", "horovod": "0.28.1", "keras": "3.15.1"}
    assert pins([]) == {}


def test_every_component_has_a_pin_in_this_project() -> None:
    project = tomllib.loads(PYPROJECT.read_text())["project"]
    found = pins(project["dependencies"] + project["optional-dependencies"]["horovod"])
    assert {package for package in COMPONENTS.values() if package not in found} == set()


def test_a_pinned_version_is_ok() -> None:
    finding = compare("numpy", "1.26.4", "1.26.4")
    assert not finding.remedy
    assert str(finding) == "ok      numpy              1.26.4"


@pytest.mark.parametrize(
    ("pin", "version", "line"),
    [
        ("1.26.4", "2.0.0", "differs numpy              2.0.0  required: 1.26.4; run make setup"),
        ("1.26.4", "1.26.40", "differs numpy              1.26.40  required: 1.26.4; run make setup"),
        ("1.26.4", None, "differs numpy              not installed  required: 1.26.4; run make setup"),
        (None, "1.26.4", "differs numpy              1.26.4  required: a pin in pyproject.toml; run make setup"),
        (None, None, "differs numpy              not installed  required: a pin in pyproject.toml; run make setup"),
    ],
)
def test_any_other_version_differs_and_has_a_remedy(pin: str | None, version: str | None, line: str) -> None:
    finding = compare("numpy", pin, version)
    assert finding.remedy == SETUP
    assert str(finding) == line


def test_installed_versions() -> None:
    assert installed("pytest") == pytest.__version__
    assert installed("no-such-package-anywhere") is None


def test_the_command_prints_every_component_and_fails_if_one_differs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    findings = [Finding("Python", "3.11", "3.11.7"), compare("numpy", "1.26.4", "2.0.0")]
    monkeypatch.setattr(doctor, "check", lambda: findings)
    with pytest.raises(SystemExit) as failed:
        run_verb("doctor", [])
    assert failed.value.code == 2
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [str(finding) for finding in findings]
    assert printed.err == "doctor: 1 of 2 components differ from the pins; run the commands above\n"
    monkeypatch.setattr(doctor, "check", lambda: findings[:1])
    run_verb("doctor", [])
