from __future__ import annotations

import os
from pathlib import Path

import pytest

from msd_spark.environment.java import Java, find_java, parse_version


@pytest.mark.parametrize(
    ("version", "major"),
    [("17.0.15", 17), ("1.8.0_402", 8), ("11.0.2", 11), ("21", 21), ("22-ea", 22), ("17.0.2+8", 17)],
)
def test_major_versions(version: str, major: int) -> None:
    assert Java("java", version).major == major


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ('openjdk version "17.0.15" 2025-04-15\nOpenJDK Runtime Environment (build 17.0.15+6)', "17.0.15"),
        ('Picked up JAVA_TOOL_OPTIONS: -Xmx1g\njava version "1.8.0_402"', "1.8.0_402"),
        ("java: command not found", None),
        ('version "none"', None),
        ("", None),
    ],
)
def test_what_java_says_of_its_version(text: str, version: str | None) -> None:
    assert parse_version(text) == version


def launcher(folder: Path, version: str, status: int = 0) -> Path:
    path = folder / "bin" / "java"
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\nexit {status}\n")
    path.chmod(0o755)
    return path


def test_the_java_of_java_home_comes_before_the_one_on_the_path(tmp_path: Path) -> None:
    home, other = launcher(tmp_path / "home", "17.0.1"), launcher(tmp_path / "other", "11.0.1")
    path = f"{other.parent}{os.pathsep}/usr/bin"
    assert find_java({"JAVA_HOME": str(tmp_path / "home"), "PATH": path}) == Java(str(home), "17.0.1")
    assert find_java({"PATH": path}) == Java(str(other), "11.0.1")
    assert find_java({"JAVA_HOME": "", "PATH": path}) == Java(str(other), "11.0.1")


def test_a_java_home_without_java_is_no_java_as_spark_would_not_look_further(tmp_path: Path) -> None:
    other = launcher(tmp_path / "other", "17.0.1")
    assert find_java({"JAVA_HOME": str(tmp_path), "PATH": str(other.parent)}) is None


def test_a_java_that_fails_or_cannot_be_run_is_no_java(tmp_path: Path) -> None:
    launcher(tmp_path / "failing", "17.0.1", status=1)
    launcher(tmp_path / "locked", "17.0.1").write_bytes(b"\x7fELF no program")
    assert find_java({"JAVA_HOME": str(tmp_path / "failing"), "PATH": "/usr/bin:/bin"}) is None
    assert find_java({"JAVA_HOME": str(tmp_path / "locked"), "PATH": "/usr/bin:/bin"}) is None


def test_no_java_on_the_path_is_no_java(tmp_path: Path) -> None:
    assert find_java({"PATH": str(tmp_path)}) is None


def test_only_the_given_environment_is_looked_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = launcher(tmp_path, "17.0.1")
    monkeypatch.setenv("PATH", f"{mine.parent}{os.pathsep}/usr/bin{os.pathsep}/bin")
    found = find_java({})
    assert found is None or found.executable != str(mine)
