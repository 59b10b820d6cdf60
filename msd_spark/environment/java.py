"""Find the Java runtime that Spark will use."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

REQUIRED_MAJOR = 17
"""Spark 3.5 runs on Java 8, 11 and 17; 17 is the one that the stack was proved on."""


@dataclass(frozen=True)
class Java:
    """A Java runtime.

    Attributes
    ----------
    executable : str
        Path of the ``java`` launcher.
    version : str
        Its full version, ``17.0.15`` for example.
    """

    executable: str
    version: str

    @property
    def major(self) -> int:
        """The major version: 17 of ``17.0.15``, 8 of ``1.8.0_402``."""
        parts = self.version.split(".")
        return int(parts[1] if parts[0] == "1" and len(parts) > 1 else re.match(r"\d+", parts[0])[0])  # type: ignore[index]


def parse_version(text: str) -> str | None:
    """Return the version that ``java -version`` names in `text`, or None if it names none."""
    found = re.search(r'version "(\d[^"]*)"', text)
    return found[1] if found else None


def find_java(environ: dict[str, str] | None = None) -> Java | None:
    """Return the Java that ``spark-submit`` would start: of ``JAVA_HOME``, else the first on ``PATH``.

    Parameters
    ----------
    environ : dict, optional
        The environment to look in; that of this process when left out.

    Returns
    -------
    Java or None
        None where there is no Java, or none that answers.
    """
    environ = dict(os.environ) if environ is None else environ
    home = environ.get("JAVA_HOME")
    executable = str(Path(home, "bin", "java")) if home else shutil.which("java", path=environ.get("PATH", os.defpath))
    if not executable or not Path(executable).exists():
        return None
    try:
        answer = subprocess.run([executable, "-version"], capture_output=True, text=True, timeout=60, env=environ)
    except (OSError, subprocess.TimeoutExpired):
        return None
    version = parse_version(answer.stderr + answer.stdout)
    return Java(executable, version) if answer.returncode == 0 and version else None
