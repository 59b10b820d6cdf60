"""Imports that import-linter does not check: TensorFlow, Horovod and Petastorm are imported only where they run."""

from __future__ import annotations

import ast

import pytest

from tests.conftest import REPOSITORY

HEAVY = {"tensorflow", "keras", "horovod", "petastorm"}


@pytest.mark.parametrize("package", sorted(path.name for path in (REPOSITORY / "msd_spark").iterdir() if path.is_dir()))
def test_training_libraries_are_not_imported_with_a_module_of_msd_spark(package: str) -> None:
    for path in (REPOSITORY / "msd_spark" / package).rglob("*.py"):
        nodes = ast.parse(path.read_text()).body
        names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
        assert not {name.split(".")[0] for name in names} & HEAVY, path
