"""A training that is killed within epochs and resumed on other numbers of ranks trains as an uninterrupted one."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from msd_spark.core.runs import HISTORY, run_file
from msd_spark.core.warehouse import Warehouse
from tests.support.fork_server import forked
from tests.support.launched import LAUNCHER, launched, without_times
from tests.support.tiny_dataset import write_tiny_dataset
from tests.support.train_recorded import KILLED, RECORDS, records

SCRIPT = "tests/support/train_recorded.py"
ROWS, GLOBAL_BATCH = [9, 8, 8, 7, 5, 8, 12, 6, 4], 12
PER_PASS, PER_EPOCH, EPOCHS = 6, 5, 4
STEPS = PER_EPOCH * EPOCHS
"""3 passes over the train split, and 2 steps of the next one."""

SIZES = ("--global-batch-size", str(GLOBAL_BATCH), "--streams", "4", "--steps-per-epoch", str(PER_EPOCH))
MODEL = ("--model", "dense", "--hidden", "8", "--dropout", "0", "--baselines", "none", "--patience", "0")
OPTIONS = ("--dataset", "tiny", "--checkpoint-steps", "2", *SIZES, *MODEL)

Attempt = tuple[int, tuple[int, int] | None]
"""The number of ranks, and the rank to kill with the step after which it is killed."""

FIXED: list[Attempt] = [(4, (3, 3)), (2, (0, 12)), (3, None)]


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    return write_tiny_dataset(tmp_path_factory.mktemp("anywhere"), {"train": ROWS, "validation": [6, 3], "test": [5]})


def train(warehouse: Warehouse, run: str, folder: Path, attempt: Attempt, *more: str) -> str:
    """Train until the end or until killed; return the output."""
    (n_ranks, killed), records_of_run = attempt, folder / run
    records_of_run.mkdir(parents=True, exist_ok=True)
    words = ("-np", str(n_ranks), "python", SCRIPT, "--warehouse", warehouse.root, "--run", run, *OPTIONS, *more)
    others = forked() | {RECORDS: str(records_of_run), KILLED: "{}:{}".format(*killed) if killed else ""}
    with launched(*LAUNCHER, *words, log=folder / "log", others=others) as training:
        assert (training.status() == 0) == (killed is None), training.said()[-3000:]
        return training.said()


def history(warehouse: Warehouse, run: str) -> list[dict[str, Any]]:
    """Return the history without times."""
    return without_times(warehouse.read_json(*run_file(warehouse, run, HISTORY)))


@pytest.fixture(scope="module")
def whole(warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[str]]:
    """Train ``models/whole`` on one rank, without an interruption; return the track ids of each step."""
    folder = tmp_path_factory.mktemp("whole")
    train(warehouse, "whole", folder, (1, None), "--epochs", str(EPOCHS))
    steps = {step: track_ids for step, (track_ids,) in records(folder / "whole").items()}
    assert list(steps) == list(range(STEPS))
    for first in range(0, STEPS - PER_PASS, PER_PASS):
        seen = Counter(track_id for step in range(first, first + PER_PASS) for track_id in steps[step])
        assert (len(seen), set(seen.values())) == (sum(ROWS), {1})
    assert steps[0] != steps[PER_PASS]
    return steps


def drawn(seed: int) -> list[Attempt]:
    """Return attempts on 1 to 4 ranks, all but the last of which are killed, each some steps after the one before."""
    generator = np.random.default_rng(seed)
    steps = sorted(generator.choice(np.arange(1, STEPS - 1), generator.integers(1, 4), replace=False).tolist())
    sizes = generator.integers(1, 5, len(steps) + 1).tolist()
    killed: list[Attempt] = [
        (size, (int(generator.integers(size)), step)) for size, step in zip(sizes, steps, strict=False)
    ]
    return [*killed, (sizes[-1], None)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Add one test for the fixed kills, seed 0, and one for each drawn sequence."""
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", range(metafunc.config.getoption("seeds") + 1))


@pytest.mark.timeout(3_600)
def test_a_killed_run_is_resumed_on_other_ranks(
    warehouse: Warehouse, whole: dict[int, list[str]], tmp_path: Path, seed: int
) -> None:
    run, attempts = f"killed-{seed}", drawn(seed + 1) if seed else FIXED
    for (n_ranks, killed), before in zip(attempts, [None, *attempts], strict=False):
        output = train(warehouse, run, tmp_path, (n_ranks, killed), "--resume", "--epochs", str(EPOCHS))
        if before and before[0] != n_ranks:
            assert f"; now {n_ranks} instead of {before[0]} ranks share the 12 examples of a step" in output
    steps = records(tmp_path / run)
    assert list(steps) == list(range(STEPS))
    for step, track_ids in steps.items():
        assert all(once == whole[step] for once in track_ids), step
    resumed, expected = history(warehouse, run), history(warehouse, "whole")
    assert [row["epoch"] for row in resumed] == list(range(1, EPOCHS + 1))
    for name in ("loss", "validation_loss"):
        np.testing.assert_allclose([row[name] for row in resumed], [row[name] for row in expected], rtol=1e-4)


@pytest.mark.timeout(3_600)
def test_a_finished_run_is_trained_for_more_epochs(
    warehouse: Warehouse, whole: dict[int, list[str]], tmp_path: Path
) -> None:
    train(warehouse, "raised", tmp_path, (1, None), "--epochs", "3")
    output = train(warehouse, "raised", tmp_path, (1, None), "--epochs", "4", "--resume")
    assert "raised: resumed after epoch 3\n" in output
    assert json.dumps(history(warehouse, "raised")) == json.dumps(history(warehouse, "whole"))
    log = tmp_path / "again"
    words = ("training/train.py", "--warehouse", warehouse.root, "--run", "raised", *OPTIONS, "--epochs", "4")
    with launched(*words, "--resume", log=log, others=forked()) as training:
        assert training.status() == 0
    assert "raised is finished; raise --epochs to continue it, or add --overwrite to start over" in log.read_text()
    with launched(*words[:-1], "3", "--resume", log=log, others=forked()) as training:
        assert training.status() == 2
    assert "raised has 4 epochs, the best is" in log.read_text()
    assert "nothing to resume with --epochs 3 and --patience 0; raise --epochs" in log.read_text()
