"""Build Horovod from source once per environment it is linked against; keep the wheel.

Horovod publishes no wheels: its extension is compiled against the installed TensorFlow. A build takes some minutes, so
the wheel is cached outside the repository, in a folder named after everything it was built against.

``python -m tools.horovod_wheel requirements/horovod.txt``, with the virtual environment active, prints the wheel's path
and builds the wheel first if the cache has none.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from importlib.metadata import version
from pathlib import Path

from msd_spark.environment.doctor import tensorflow_package

BUILD_FLAGS = {
    "HOROVOD_WITH_TENSORFLOW": "1",
    "HOROVOD_WITHOUT_PYTORCH": "1",
    "HOROVOD_WITHOUT_MXNET": "1",
    "HOROVOD_WITHOUT_MPI": "1",
    "HOROVOD_WITH_GLOO": "1",
    "HOROVOD_CPU_OPERATIONS": "GLOO",
}
"""Collectives run over Gloo, so no MPI is needed."""

BUILT_AGAINST = ("numpy", "setuptools", "wheel", "cmake")


class HorovodBuildError(RuntimeError):
    """Horovod did not compile; the message names the log file."""


def cache_folder(environ: dict[str, str] | None = None) -> Path:
    """Return ``MSD_SPARK_CACHE``, or ``msd-spark`` in the user's cache folder."""
    environ = dict(os.environ) if environ is None else environ
    if environ.get("MSD_SPARK_CACHE"):
        return Path(environ["MSD_SPARK_CACHE"])
    return Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "msd-spark"


def cache_key(requirement: str, facts: dict[str, str]) -> str:
    """Return a short name for a wheel of a pinned requirement built against `facts`."""
    lines = [requirement.strip(), *(f"{name}={facts[name]}" for name in sorted(facts))]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def build_facts() -> dict[str, str]:
    """Return the versions and flags that a wheel built by this interpreter depends on."""
    compiler = subprocess.run(["g++", "-dumpfullversion"], capture_output=True, text=True, check=True).stdout.strip()
    facts = {name: version(name) for name in (tensorflow_package(), *BUILT_AGAINST)}
    facts |= {"python": sys.implementation.cache_tag, "platform": sysconfig.get_platform(), "g++": compiler}
    own_flags = {name: value for name, value in os.environ.items() if name.startswith("HOROVOD_")}
    return facts | {"libc": "-".join(platform.libc_ver())} | BUILD_FLAGS | own_flags


def find_or_build(requirements: Path, cache: Path) -> Path:
    """Return the path of a Horovod wheel for this environment; build it if `cache` has none.

    `requirements` has the pinned requirement and the hash of its source archive.
    """
    shelf = cache / "horovod" / cache_key(requirements.read_text(), build_facts())
    wheels = sorted(shelf.glob("horovod-*.whl"))
    if wheels:
        return wheels[0]
    shelf.parent.mkdir(parents=True, exist_ok=True)
    log = shelf.parent / f"{shelf.name}.log"
    print(
        f"setup: building Horovod against TensorFlow {version(tensorflow_package())}; a few minutes (log: {log})",
        file=sys.stderr,
    )
    with tempfile.TemporaryDirectory(dir=shelf.parent) as scratch:
        command = [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-build-isolation",
            "--no-deps",
            "--no-cache-dir",
        ]
        command += ["--no-binary", "horovod", "--require-hashes", "-r", str(requirements), "-w", scratch]
        binaries = str(Path(sys.executable).parent)
        environ = os.environ | BUILD_FLAGS | {"PATH": os.pathsep.join([binaries, os.environ.get("PATH", "")])}
        with log.open("w") as sink:
            outcome = subprocess.run(command, env=environ, stdout=sink, stderr=subprocess.STDOUT)
        built = sorted(Path(scratch).glob("horovod-*.whl"))
        if outcome.returncode or not built:
            raise HorovodBuildError(f"setup: Horovod did not build (exit {outcome.returncode}); see {log}")
        # Atomic, so that concurrent builds never see a folder without its wheel.
        ready = Path(tempfile.mkdtemp(dir=shelf.parent))
        shutil.move(str(built[0]), ready / built[0].name)
        try:
            ready.rename(shelf)
        except OSError:
            shutil.rmtree(ready)
    return next(iter(sorted(shelf.glob("horovod-*.whl"))))


if __name__ == "__main__":
    try:
        print(find_or_build(Path(sys.argv[1]), cache_folder()))
    except HorovodBuildError as error:
        sys.exit(str(error))
