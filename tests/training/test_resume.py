"""A training that loses a rank ends at once with an error; resumed, it has the result of an uninterrupted one."""

from __future__ import annotations

import json
import time
from pathlib import Path

import psutil
import pytest

from tests.support.fork_server import forked
from tests.support.launched import LAUNCHER, SCRIPT, assert_same_state, checkpoint, launched, without_times
from tests.support.tiny_dataset import write_tiny_dataset

EPOCHS = 3
OPTIONS = (
    "--dataset",
    "tiny",
    "--epochs",
    str(EPOCHS),
    "--batch-size",
    "2",
    "--keep-checkpoints",
    "--checkpoint-steps",
    "3",
)
SECONDS_TO_END = 600.0


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("resume")
    write_tiny_dataset(folder, {"train": [9, 8, 8, 7, 5, 8], "validation": [6, 3], "test": [5]})
    return folder


def command(warehouse: Path, run: str, *more: str, ranks: int = 2) -> tuple[str | Path, ...]:
    return (*LAUNCHER, "-np", str(ranks), SCRIPT, "--warehouse", warehouse, "--run", run, *OPTIONS, *more)


@pytest.fixture(scope="module")
def whole(warehouse: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an uninterrupted run."""
    log = tmp_path_factory.mktemp("whole") / "log"
    with launched(*command(warehouse, "whole"), log=log, others=forked()) as training:
        training.succeed()
    return warehouse / "models" / "whole"


@pytest.mark.timeout(3_600)
def test_a_rank_is_killed_and_the_run_resumed(warehouse: Path, whole: Path, tmp_path: Path) -> None:
    run = warehouse / "models" / "killed"
    last = run / "_unfinished" / "checkpoints" / "last.npz"
    with launched(*command(warehouse, "killed"), log=tmp_path / "killed") as training:
        # In the middle of the second epoch, some steps after a checkpoint or just before the next one.
        training.wait_until(lambda: (state := checkpoint(last)) and state.epoch == 1 and state.step >= 3)
        processes, ranks = training.processes(), training.ranks()
        assert sorted(ranks) == [0, 1]
        ranks[1].kill()
        killed = time.monotonic()
        assert training.status(SECONDS_TO_END) != 0
        _, left = psutil.wait_procs(processes, timeout=max(0.0, killed + SECONDS_TO_END - time.monotonic()))
        assert not left
        said = training.said()
    told = [line for line in said.splitlines() if "was lost" in line]
    assert len(told) == 1
    assert f"train: rank 1 (process {ranks[1].pid} on " in told[0]
    assert told[0].endswith("was lost; resume with the same command and --resume")
    assert "Traceback" not in "".join(line for line in said.splitlines() if line.startswith("[0]"))
    assert not (run / "metadata.json").exists()
    state = checkpoint(last)
    assert state is not None
    assert state.epoch < EPOCHS

    with launched(*command(warehouse, "killed", "--resume"), log=tmp_path / "resumed", others=forked()) as training:
        training.succeed()
        assert f"killed: resumed after {state.place}" in training.said()
    assert not (run / "_unfinished").exists()
    run, whole = (place / json.loads((place / "metadata.json").read_text())["folder"] for place in (run, whole))
    found, expected = (checkpoint(folder / "checkpoints" / "last.npz") for folder in (run, whole))
    assert found is not None
    assert expected is not None
    assert_same_state(found, expected)
    history, metrics = (
        [json.loads((folder / name).read_text()) for folder in (run, whole)]
        for name in ("history.json", "metrics.json")
    )
    assert without_times(history[0]) == without_times(history[1])
    assert metrics[0] == metrics[1]
    for split in ("validation", "test"):
        assert (run / f"predictions/{split}.parquet").read_bytes() == (
            whole / f"predictions/{split}.parquet"
        ).read_bytes()
