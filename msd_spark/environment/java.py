"""Find the Java runtime that Spark will use."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

REQUIRED_MAJOR = 17
"""Spark 3.5 runs on Java 8, 11 and 17; the project is tested with 17."""


@dataclass(frozen=True)
class Java:
    """A Java runtime: path of the ``java`` launcher, and full version."""

    executable: str
    version: str

    @property
    def major(self) -> int:
        """The major version: 17 of ``17.0.15``, 8 of ``1.8.0_402``."""
        parts = self.version.split(".")
        return int(parts[1] if parts[0] == "1" and len(parts) > 1 else re.match(r"\d+", parts[0])[0])  # type: ignore[index]


def parse_version(text: str) -> str | None:
    """Return the version in the output of ``java -version``; None if there is none."""
    match = re.search(r'version "(\d[^"]*)"', text)
    return match[1] if match else None


def find_java(environ: dict[str, str] | None = None) -> Java | None:
    """Return the Java that ``spark-submit`` starts, from ``JAVA_HOME`` or else from ``PATH``.

    It is None if there is no Java, or it cannot be run. `environ` are this process's environment variables by default.
    """
    environ = dict(os.environ) if environ is None else environ
    home = environ.get("JAVA_HOME")
    executable = str(Path(home, "bin", "java")) if home else shutil.which("java", path=environ.get("PATH", os.defpath))
    if not executable or not Path(executable).exists():
        return None
    try:
        process = subprocess.run([executable, "-version"], capture_output=True, text=True, timeout=60, env=environ)
    except (OSError, subprocess.TimeoutExpired):
        return None
    version = parse_version(process.stderr + process.stdout)
    return Java(executable, version) if process.returncode == 0 and version else None
