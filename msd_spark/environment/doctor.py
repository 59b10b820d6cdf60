"""Compare the installed versions with the pins of ``pyproject.toml``.

``msd-spark doctor`` prints one line per component; set-up and training run the same check. The pins are read from the
metadata of the installed project, so that they are stated once.
"""

from __future__ import annotations

import importlib
import os
import platform
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version

from msd_spark.core.errors import UserError
from msd_spark.core.options import Settings
from msd_spark.environment.java import REQUIRED_MAJOR, find_java

PROJECT = "msd-spark"
SETUP = "make setup"
COMPONENTS = {
    "Spark": "pyspark",
    "pyarrow": "pyarrow",
    "Keras": "keras",
    "Horovod": "horovod",
    "Petastorm": "petastorm",
    "numpy": "numpy",
    "pandas": "pandas",
    "h5py": "h5py",
    "gensim": "gensim",
    "scikit-learn": "scikit-learn",
}
"""Package of each component besides TensorFlow."""

TENSORFLOW_PACKAGES = ("tensorflow-cpu", "tensorflow")
"""Packages that provide TensorFlow; an environment has one of them."""


@dataclass(frozen=True)
class DoctorSettings(Settings):
    """Settings of doctor, which has no options."""


@dataclass(frozen=True)
class Finding:
    """One component compared with its pin, and the command to run if they differ."""

    component: str
    required: str
    installed: str
    remedy: str = ""

    def __str__(self) -> str:
        status = "differs" if self.remedy else "ok"
        remedy = f"  required: {self.required}; run {self.remedy}" if self.remedy else ""
        return f"{status:<8}{self.component:<18} {self.installed}{remedy}"


def run(_: DoctorSettings) -> None:
    """Run ``msd-spark doctor``."""
    findings = check()
    print("\n".join(map(str, findings)))
    n_differing = sum(bool(finding.remedy) for finding in findings)
    if n_differing:
        raise UserError(f"{n_differing} of {len(findings)} components differ from the pins; run the commands above")


def require_sound_environment() -> None:
    """Raise a `UserError` before training if a component differs from its pin."""
    differing = [str(finding) for finding in check() if finding.remedy]
    if differing:
        raise UserError("the installed versions differ from the pins:\n" + "\n".join(differing))


def check() -> list[Finding]:
    """Compare Python, Java and every pinned package; load Horovod only if its version is right."""
    python, java = platform.python_version(), find_java()
    findings = [
        Finding("Python", "3.11", python, "" if python.startswith("3.11.") else "make setup PYTHON=python3.11"),
        Finding(
            "Java",
            str(REQUIRED_MAJOR),
            f"{java.version} ({java.executable})" if java else "not installed",
            "" if java and java.major == REQUIRED_MAJOR else f"apt-get install openjdk-17-jre-headless, or {SETUP}",
        ),
    ]
    try:
        required = pins(requires(PROJECT) or [])
    except PackageNotFoundError:
        findings.append(Finding(PROJECT, "installed", "not installed", SETUP))
    else:
        components = {"TensorFlow": tensorflow_package(), **COMPONENTS}
        findings += [compare(name, required.get(package), installed(package)) for name, package in components.items()]
    loadable = not any(one.remedy for one in findings if one.component in {"Horovod", "TensorFlow", "numpy"})
    return [*findings, check_horovod()] if loadable else findings


def check_horovod() -> Finding:
    """Check that Horovod loads and was built with Gloo; this loads TensorFlow."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_HOME", os.devnull)
    try:
        horovod = importlib.import_module("horovod.tensorflow")
    except Exception as error:  # a wrongly linked extension raises errors of many kinds
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        return Finding("Horovod extension", "loads", f"does not load: {reason}", SETUP)
    if not horovod.gloo_built():
        return Finding("Horovod Gloo", "built", "not built", SETUP)
    return Finding("Horovod Gloo", "built", "built")


def pins(requirements: Iterable[str]) -> dict[str, str]:
    """Return the exactly pinned versions in requirement lines, by lower-case package name.

    Examples
    --------
    >>> pins(["numpy==1.26.4", "horovod==0.28.1; extra == 'horovod'", "pip"])
    {'numpy': '1.26.4', 'horovod': '0.28.1'}
    """
    matches = (re.match(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?\s*==\s*([^\s;,]+)", line) for line in requirements)
    return {match[1].lower(): match[2] for match in matches if match}


def compare(component: str, pin: str | None, found: str | None) -> Finding:
    """Compare an installed version with its pin."""
    remedy = "" if pin is not None and found == pin else SETUP
    return Finding(component, pin or "a pin in pyproject.toml", found or "not installed", remedy)


def installed(package: str) -> str | None:
    """Return the installed version of a package, or None."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def tensorflow_package() -> str:
    """Return the installed package that provides TensorFlow; the CPU build if there is none."""
    return next((name for name in TENSORFLOW_PACKAGES if installed(name)), TENSORFLOW_PACKAGES[0])
