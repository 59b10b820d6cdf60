"""A process that is killed during a write leaves the old content or the new, and nothing that stays."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
CONTENTS = {
    "overwrite": ([1, 1], [2, 2]),
    "append": ([1], [1, 2]),
    "side file": ([1, 1], [2, 2]),
    "folder": ([1, 1, 1], [2, 2, 2]),
    "file": ([1], [2]),
}
"""What readers see before and after each kind of write."""


@pytest.fixture(scope="module")
def kills(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What readers see after each kill, and the number of files after the next write."""
    command = [sys.executable, "-m", "tests.support.killed_writes", str(tmp_path_factory.mktemp("kills"))]
    outcome = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert not outcome.returncode, outcome.stderr
    return dict(json.loads(outcome.stdout))


@pytest.mark.parametrize("kind", CONTENTS)
def test_readers_see_the_old_content_and_then_the_new(kills: dict[str, Any], kind: str) -> None:
    old, new = CONTENTS[kind]
    seen = kills[kind]["seen"]
    assert seen == [old] * seen.count(old) + [new] * seen.count(new)
    assert seen.count(old) >= 5
    assert seen[-1] == new


@pytest.mark.parametrize(("kind", "n_files"), [("overwrite", {2}), ("append", {2, 3}), ("side file", {2})])
def test_the_next_write_deletes_the_files_of_a_killed_one(kills: dict[str, Any], kind: str, n_files: set[int]) -> None:
    assert set(kills[kind]["files"]) == n_files
