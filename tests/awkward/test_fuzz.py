"""Random calls of every verb, with odd values and paths; ``make test-fuzz`` makes 2,000."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from msd_spark.core.verbs import VERBS
from msd_spark.core.warehouse import Warehouse
from tests.conftest import REPOSITORY
from tests.support.fork_server import forked
from tests.support.fuzz import STARTS_SPARK, Call, calls, fault
from tests.support.launched import environment


def test_random_calls_succeed_or_end_with_one_line(generated: Path, warehouse: Warehouse, tmp_path: Path) -> None:
    places: list[str | Path] = ["--data", generated, "--warehouse", warehouse.root, "--folder", tmp_path / "fuzz"]
    done = subprocess.run(
        ["python", "tests/support/fuzz.py", "--calls", "63", "--seed", "1", *places],
        cwd=REPOSITORY,
        env=environment(**forked()),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    counts = json.loads(done.stdout.splitlines()[-1])
    assert counts.pop("faults") == 0
    assert sum(counts.values()) == 63
    assert counts["refused"] > 20
    assert counts["exit 0"] > 2


def test_the_seed_determines_the_calls() -> None:
    first, second, other = (
        [call.words for call, _ in zip(calls(seed), range(200), strict=False)] for seed in (3, 3, 4)
    )
    assert first == second != other
    assert {words[0] for words in first} == set(VERBS)


@pytest.mark.parametrize(
    ("status", "err", "changed", "wrong"),
    [
        (0, "progress", ("w/songs", "out", "out/x"), None),
        (STARTS_SPARK, "", (), None),
        (2, "  0%\rsynthetic: --songs is 'x'; allowed: a number\n", (), None),
        (2, "synthetic: one\nsynthetic: two\n", (), "does not end with one line"),
        (2, "", (), "does not end with one line"),
        (2, "synthetic: of\nlines\n", (), "does not end with one line"),
        (2, f"synthetic: {'x' * 2000}\n", (), "ends with a very long line"),
        (1, "Traceback (most recent call last)\n", (), "prints a trace"),
        (0, "Traceback (most recent call last)\n", (), "prints a trace"),
        (1, "", (), "exit status 1"),
        (None, "", (), "ran longer than 120 s"),
        (0, "", ("data/x",), "changes data/x"),
        (2, "synthetic: x\n", ("outside",), "changes outside"),
    ],
)
def test_faults_are_recognised(status: int | None, err: str, changed: tuple[str, ...], wrong: str | None) -> None:
    call = Call(("synthetic", "--output", "out"), ("out", "w"))
    assert fault(call, status, "", err, set(changed)) == wrong
