"""Pack locked packages in relocatable virtual environments: one for Spark, one for GPU ranks.

Both contain wheels for Amazon Linux 2023 on x86-64 (CPython 3.11, glibc 2.34), regardless of the build machine.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from msd_spark.core.errors import UserError
from msd_spark.environment.doctor import PROJECT
from tools.deployment.archive import write_archive

CLUSTER_PACKAGES = frozenset({"pyspark", "py4j"})
"""Packages that are not packed: the cluster's Spark has its own."""

PYTHON_HOME = "/usr/bin"
"""Folder of Python 3.11 on EMR 7 and on GPU workers."""

PYTHON = "python3.11"
PLATFORM = "x86_64-manylinux_2_34"
MARKERS = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "python_full_version": "3.11.0",
    "python_version": "3.11",
    "sys_platform": "linux",
}
"""Environment markers of the nodes."""

WITHOUT_WHEELS = ("pyspark",)
"""Packages published as source only; they are pure Python, so their wheels do not depend on the machine."""

MACHINE_CODE = re.compile(r"\.(so(\.[\d.]+)?|dylib|pyd|a)$")
"""Files that depend on the machine that compiled them."""

UNUSED = re.compile(
    r"(^|/)(__pycache__/|bin/activate|bin/Activate|\.lock$|\.gitignore$|CACHEDIR\.TAG$"
    r"|(numpy|pandas|scipy|sklearn)/(.*/)?tests/)"
)
"""Files that no job reads. Every node unpacks the environment, which takes longer the more files it has."""

HEADERS = re.compile(r"(^|/)tensorflow/include/")
"""TensorFlow's headers, needed to build Horovod."""


@dataclass(frozen=True)
class Environment:
    """An environment to pack.

    Attributes
    ----------
    name : str
        Part of the release.
    requirements : str
        Pinned packages with their hashes.
    excluded : tuple of re.Pattern
        Installed files that are not packed.
    """

    name: str
    requirements: str
    excluded: tuple[re.Pattern[str], ...]

    @property
    def archive(self) -> str:
        """File name; it depends on the requirements and on this module."""
        recipe = Path(__file__).read_bytes()
        return f"{self.name}-{hashlib.sha256(self.requirements.encode() + recipe).hexdigest()[:16]}.tar.gz"


def environments(repository: Path) -> list[Environment]:
    """Return the environments of a release: for Spark without CUDA, for GPU ranks without Horovod.

    GPU workers build Horovod against their CUDA (``infra/nodes/gpu_setup.sh``).
    """
    lock, gpu = ((repository / "requirements" / name).read_text() for name in ("lock.txt", "gpu.txt"))
    return [
        Environment("environment", pins(lock, needed()), (UNUSED, HEADERS)),
        Environment("gpu_environment", gpu, (UNUSED,)),
    ]


def needed(project: str = PROJECT) -> set[str]:
    """Return the names of all packages that jobs need, from installed metadata.

    Raises
    ------
    UserError
        If one of them is not installed.
    """
    names: set[str] = set()
    open_names = [(project, frozenset({"cpu"}))]
    seen: set[tuple[str, frozenset[str]]] = set()
    while open_names:
        name, extras = open_names.pop()
        if (name, extras) in seen or name in CLUSTER_PACKAGES:
            continue
        seen.add((name, extras))
        names.add(name)
        try:
            lines = distribution(name).requires or []
        except PackageNotFoundError:
            raise UserError(f"{name} is needed and not installed; run make setup") from None
        for line in lines:
            requirement = Requirement(line)
            contexts = [MARKERS | {"extra": extra} for extra in (*sorted(extras), "")]
            if requirement.marker is None or any(requirement.marker.evaluate(context) for context in contexts):
                open_names.append((canonicalize_name(requirement.name), frozenset(requirement.extras)))
    return names - {project}


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


def install(requirements: Path, environment: Path) -> None:
    """Make a virtual environment of pinned packages for `PLATFORM`, with their hashes checked.

    Raises
    ------
    UserError
        If a package has no wheel for the platform, cannot be installed, or was compiled on this machine.
    """
    shutil.rmtree(environment, ignore_errors=True)
    uv = [sys.executable, "-m", "uv"]
    commands = [
        [*uv, "venv", "--quiet", "--relocatable", "--python", sys.executable, str(environment)],
        [
            *(*uv, "pip", "install", "--quiet", "--python", str(environment / "bin" / "python"), "--no-deps"),
            *("--python-platform", PLATFORM, "--python-version", "3.11", "--only-binary", ":all:"),
            *(word for name in WITHOUT_WHEELS for word in ("--no-binary", name)),
            *("--require-hashes", "-r", str(requirements)),
        ],
    ]
    environ = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    for command in commands:
        outcome = subprocess.run(command, env=environ, capture_output=True, text=True)
        if outcome.returncode:
            raise UserError(f"command failed: {' '.join(command)}\n{outcome.stderr.strip()}")
    for name in WITHOUT_WHEELS:
        for package in environment.glob(f"lib/*/site-packages/{name}"):
            refuse_machine_code(package)


def refuse_machine_code(package: Path) -> None:
    """Check that a package built from source contains no compiled code.

    Raises
    ------
    UserError
        If it contains some: it would be that of the machine that packs, not of the nodes.
    """
    compiled = sorted(str(path.relative_to(package)) for path in package.rglob("*") if MACHINE_CODE.search(path.name))
    if compiled:
        raise UserError(
            f"package: {package.name} was built from source and contains {compiled[0]}, compiled for this machine; "
            f"pin a version that has wheels for {PLATFORM}"
        )


def members(
    environment: Path, excluded: tuple[re.Pattern[str], ...] = (UNUSED,), python_home: str = PYTHON_HOME
) -> Iterator[tuple[str, Path | bytes | str]]:
    """Yield the members to pack; on the nodes, Python is in `python_home`."""
    names = sorted(path.relative_to(environment).as_posix() for path in environment.rglob("*") if not path.is_dir())
    for name in names:
        path = environment / name
        if name.startswith("bin/python") or any(pattern.search(name) for pattern in excluded):
            continue
        if name == "pyvenv.cfg":
            yield name, f"home = {python_home}\ninclude-system-site-packages = false\n".encode()
        else:
            yield name, path
    yield "bin/python", PYTHON
    yield "bin/python3", PYTHON
    yield f"bin/{PYTHON}", f'#!/bin/bash\nexec -a "$0" {python_home}/{PYTHON} "$@"\n'.encode()


def pack_environments(repository: Path, folder: Path, names: Collection[str] | None = None) -> dict[str, Path]:
    """Write the archives that `folder` lacks, only `names` if set; return the paths by name."""
    return {one.name: packed(one, folder) for one in environments(repository) if names is None or one.name in names}


def packed(environment: Environment, folder: Path) -> Path:
    """Return the archive of an environment in `folder`; build it if it is missing."""
    archive = folder / environment.archive
    if archive.exists():
        return archive
    listed, installed, unfinished = (folder / f"{environment.name}{end}" for end in (".txt", "", ".part"))
    listed.write_text(environment.requirements)
    install(listed, installed)
    write_archive(unfinished, members(installed, environment.excluded))
    shutil.rmtree(installed)
    return unfinished.rename(archive)
