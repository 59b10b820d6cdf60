"""Pack the locked packages in a relocatable virtual environment for the cluster."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from msd_spark.core.errors import UserError
from msd_spark.environment.doctor import PROJECT
from tools.deployment.archive import write_archive

OF_THE_CLUSTER = frozenset({"pyspark", "py4j"})
"""Packages that are not packed: the cluster's Spark has its own."""

PYTHON_HOME = "/usr/bin"
"""Folder of Python 3.11 on EMR 7."""

PYTHON = "python3.11"
LEFT_OUT = re.compile(
    r"(^|/)(__pycache__/|bin/activate|bin/Activate|\.lock$|\.gitignore$|CACHEDIR\.TAG$|tensorflow/include/"
    r"|(numpy|pandas|scipy|sklearn)/(.*/)?tests/)"
)
"""Files that no job reads. Every executor unpacks the environment, which takes longer the more files it has."""


def needed(project: str = PROJECT) -> set[str]:
    """Return the names of all packages that jobs need, from installed metadata.

    Raises
    ------
    UserError
        If one of them is not installed.
    """
    found: set[str] = set()
    open_names = [(project, frozenset({"cpu"}))]
    seen: set[tuple[str, frozenset[str]]] = set()
    while open_names:
        name, extras = open_names.pop()
        if (name, extras) in seen or name in OF_THE_CLUSTER:
            continue
        seen.add((name, extras))
        found.add(name)
        try:
            lines = distribution(name).requires or []
        except PackageNotFoundError:
            raise UserError(f"{name} is needed and not installed; run make setup") from None
        for line in lines:
            requirement = Requirement(line)
            contexts = [{"extra": extra} for extra in (*sorted(extras), "")]
            if requirement.marker is None or any(requirement.marker.evaluate(context) for context in contexts):
                open_names.append((canonicalize_name(requirement.name), frozenset(requirement.extras)))
    return found - {project}


def pins(lock: str, names: set[str]) -> str:
    r"""Return the lines of a lock file for some packages, with their hashes.

    Parameters
    ----------
    lock : str
        Text of ``requirements/lock.txt``.
    names : set of str
        Normalised names.

    Raises
    ------
    UserError
        If the lock has no pin for one of them.

    Examples
    --------
    >>> pins("a==1 --hash=sha256:0\nb==2 --hash=sha256:1\n", {"b"})
    'b==2 --hash=sha256:1\n'
    """
    blocks = re.split(r"(?m)^(?=[A-Za-z0-9])", lock)
    by_name: dict[str, str] = {
        canonicalize_name(re.split(r"[=\[ ;]", block, maxsplit=1)[0]): block for block in blocks if "==" in block
    }
    missing = sorted(names - set(by_name))
    if missing:
        raise UserError(f"requirements/lock.txt pins no {', '.join(missing)}; run make lock")
    return "".join(by_name[name] for name in sorted(names))


def environment_key(requirements: str) -> str:
    """Return a short name for the environment that the requirements and this module produce."""
    recipe = Path(__file__).read_bytes()
    return hashlib.sha256(requirements.encode() + recipe).hexdigest()[:16]


def install(requirements: Path, environment: Path) -> None:
    """Make a virtual environment of pinned packages, with their hashes checked.

    Raises
    ------
    UserError
        If a package cannot be installed.
    """
    shutil.rmtree(environment, ignore_errors=True)
    uv = [sys.executable, "-m", "uv"]
    commands = [
        [*uv, "venv", "--quiet", "--relocatable", "--python", sys.executable, str(environment)],
        [
            *(*uv, "pip", "install", "--quiet", "--python", str(environment / "bin" / "python"), "--no-deps"),
            *("--require-hashes", "-r", str(requirements)),
        ],
    ]
    environ = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    for command in commands:
        outcome = subprocess.run(command, env=environ, capture_output=True, text=True)
        if outcome.returncode:
            raise UserError(f"command failed: {' '.join(command)}\n{outcome.stderr.strip()}")


def members(environment: Path, python_home: str = PYTHON_HOME) -> Iterator[tuple[str, Path | bytes | str]]:
    """Yield the members to pack; on the cluster, Python is in `python_home`."""
    names = sorted(path.relative_to(environment).as_posix() for path in environment.rglob("*") if not path.is_dir())
    for name in names:
        path = environment / name
        if LEFT_OUT.search(name) or name.startswith("bin/python"):
            continue
        if name == "pyvenv.cfg":
            yield name, f"home = {python_home}\ninclude-system-site-packages = false\n".encode()
        else:
            yield name, path
    yield "bin/python", PYTHON
    yield "bin/python3", PYTHON
    yield f"bin/{PYTHON}", f'#!/bin/bash\nexec -a "$0" {python_home}/{PYTHON} "$@"\n'.encode()


def pack_environment(repository: Path, folder: Path) -> Path:
    """Write ``environment-KEY.tar.gz`` to `folder`, unless it exists, and return its path."""
    requirements = pins((repository / "requirements" / "lock.txt").read_text(), needed())
    archive = folder / f"environment-{environment_key(requirements)}.tar.gz"
    if archive.exists():
        return archive
    listed, environment, unfinished = folder / "environment.txt", folder / "environment", folder / "environment.part"
    listed.write_text(requirements)
    install(listed, environment)
    write_archive(unfinished, members(environment))
    shutil.rmtree(environment)
    return unfinished.rename(archive)
