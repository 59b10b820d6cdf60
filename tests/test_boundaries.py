"""Who may import whom, as docs/architecture.md says."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

SHARED_WITH_TRAINING = {
    "msd_spark.core.beats",
    "msd_spark.core.revision",
    "msd_spark.core.command_line",
    "msd_spark.environment.doctor",
    "msd_spark.core.errors",
    "msd_spark.core.filesystems",
    "msd_spark.core.formatting",
    "msd_spark.core.model_inputs",
    "msd_spark.core.runs",
    "msd_spark.core.schemas",
    "msd_spark.core.warehouse",
}
HEAVY = {"tensorflow", "keras", "horovod", "petastorm"}


def imported(path: Path, *, at_import_time: bool = False) -> set[str]:
    """Return the modules that a file imports, only those of its top level if `at_import_time`."""
    tree = ast.parse(path.read_text())
    nodes = tree.body if at_import_time else list(ast.walk(tree))
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def modules(folder: str) -> list[Path]:
    return sorted((REPOSITORY / folder).rglob("*.py"))


@pytest.mark.parametrize("path", [*modules("msd_spark"), *modules("jobs")], ids=lambda path: path.name)
def test_the_spark_side_never_imports_training(path: Path) -> None:
    assert not {name for name in imported(path) if name.split(".")[0] == "training"}


@pytest.mark.parametrize("path", modules("training"), ids=lambda path: path.name)
def test_training_takes_only_what_has_no_spark_in_it(path: Path) -> None:
    ours = {name for name in imported(path) if name.startswith("msd_spark.")}
    assert {
        name for name in ours if not any(name == one or name.startswith(f"{one}.") for one in SHARED_WITH_TRAINING)
    } == set()


@pytest.mark.parametrize("path", modules("msd_spark"), ids=lambda path: path.name)
def test_heavy_engines_are_imported_in_the_workers_that_need_them(path: Path) -> None:
    assert not {name.split(".")[0] for name in imported(path, at_import_time=True)} & HEAVY
