"""Compare what is installed with the versions that were proved together.

``make doctor`` prints one line a component and exits with 1 where one is off, with the cure.
Setting up and the start of training run the same check. The pins are those of
``pyproject.toml``, read from the installed project's metadata, so they stand in one place.
"""

from __future__ import annotations

import importlib
import os
import platform
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version

from msd_spark.core.errors import UserError
from msd_spark.environment.java import REQUIRED_MAJOR, find_java

PROJECT = "msd-spark"
REBUILD = "make setup"
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

TENSORFLOW_PACKAGES = ("tensorflow-cpu", "tensorflow")
"""Packages that provide TensorFlow; an environment has one of them."""


@dataclass(frozen=True)
class Finding:
    """One component compared with its pin.

    Attributes
    ----------
    component, wanted, found : str
        Its name, the version or feature that was proved, and what is here.
    cure : str
        What to type, where it is off; empty where it is not.
    """

    component: str
    wanted: str
    found: str
    cure: str = ""

    @property
    def sound(self) -> bool:
        """Whether the component is as it was proved."""
        return not self.cure

    def __str__(self) -> str:
        """One line for people."""
        verdict = "ok " if self.sound else "OFF"
        cure = "" if self.sound else f"  wanted {self.wanted}; cure: {self.cure}"
        return f"{verdict} {self.component:<20} {self.found}{cure}"


def pins(requirements: Iterable[str]) -> dict[str, str]:
    """Return the exactly pinned versions in requirement lines, by lower-case package name.

    Examples
    --------
    >>> pins(["numpy==1.26.4", "horovod==0.28.1; extra == 'horovod'", "pip"])
    {'numpy': '1.26.4', 'horovod': '0.28.1'}
    """
    found = (re.match(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?\s*==\s*([^\s;,]+)", line) for line in requirements)
    return {match[1].lower(): match[2] for match in found if match}


def compare(component: str, wanted: str | None, found: str | None, cure: str = REBUILD) -> Finding:
    """Compare one version with its pin."""
    sound = wanted is not None and found == wanted
    return Finding(component, wanted or "a pin in pyproject.toml", found or "not installed", "" if sound else cure)


def installed(package: str) -> str | None:
    """Return the installed version of `package`, or None."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def tensorflow_package() -> str:
    """Return the installed package that provides TensorFlow; the CPU build if there is none."""
    return next((name for name in TENSORFLOW_PACKAGES if installed(name)), TENSORFLOW_PACKAGES[0])


def check_packages() -> list[Finding]:
    """Compare Python, Java and every pinned package; no engine is loaded."""
    python = platform.python_version()
    findings = [Finding("Python", "3.11", python, "" if python.startswith("3.11.") else "make setup PYTHON=python3.11")]
    java = find_java()
    sound = java is not None and java.major == REQUIRED_MAJOR
    seen = f"{java.version} ({java.executable})" if java else "not installed"
    findings.append(
        Finding(
            "Java", str(REQUIRED_MAJOR), seen, "" if sound else "apt-get install openjdk-17-jre-headless, or make setup"
        )
    )
    try:
        wanted = pins(requires(PROJECT) or [])
    except PackageNotFoundError:
        return [*findings, Finding(PROJECT, "installed", "not installed", REBUILD)]
    components = {"TensorFlow": tensorflow_package(), **COMPONENTS}
    return findings + [compare(name, wanted.get(package), installed(package)) for name, package in components.items()]


def check_horovod_features() -> list[Finding]:
    """Compare the features that Horovod was built with; this loads TensorFlow."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        horovod = importlib.import_module("horovod.tensorflow")
    except Exception as error:  # whatever a mis-linked extension raises
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        return [Finding("Horovod extension", "loads", f"does not load: {reason}", REBUILD)]
    features: dict[str, Callable[[], bool]] = {"Gloo": horovod.gloo_built}
    return [
        Finding(f"Horovod {name}", "built", "built" if built() else "not built", "" if built() else REBUILD)
        for name, built in features.items()
    ]


def examine() -> list[Finding]:
    """Return every finding, packages first."""
    packages = check_packages()
    loadable = all(finding.sound for finding in packages if finding.component in {"Horovod", "TensorFlow", "numpy"})
    return packages + (check_horovod_features() if loadable else [])


def require_sound_environment() -> None:
    """Raise where anything is off: called as training starts.

    Raises
    ------
    UserError
        With the line of each component that is off.
    """
    off = [str(finding) for finding in examine() if not finding.sound]
    if off:
        raise UserError("not what was proved to work\n" + "\n".join(off))


def main() -> int:
    """Print one line a component; return 1 where one is off."""
    findings = examine()
    print("\n".join(map(str, findings)))
    return 0 if all(finding.sound for finding in findings) else 1


if __name__ == "__main__":
    sys.exit(main())
