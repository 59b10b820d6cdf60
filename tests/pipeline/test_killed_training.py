"""A pipeline that is killed while it trains: the same command goes on with the training, from its checkpoint."""

from __future__ import annotations

import json
from pathlib import Path

import psutil
import pytest

from msd_spark.core.runs import HISTORY, run_file
from msd_spark.core.warehouse import Warehouse
from tests.support.launched import Launched, checkpoint, launched
from tests.support.tiny_dataset import write_tiny_dataset

EPOCHS = 4


def lay_out(folder: Path) -> Path:
    """Make a folder of data that stages before the training would read."""
    (folder / "songs").mkdir(parents=True)
    for name in ("musixmatch/mxm_dataset_train.txt", "tagtraum/msd_tagtraum_cd1.cls"):
        (folder / name).parent.mkdir()
        (folder / name).touch()
    return folder


@pytest.mark.timeout(900)
def test_a_training_goes_on_where_it_was(tmp_path: Path) -> None:
    warehouse, data = tmp_path / "warehouse", lay_out(tmp_path / "data")
    write_tiny_dataset(warehouse, {"train": [9, 8, 8, 7], "validation": [6, 3], "test": [5, 4]})
    options = {"model": "dense", "epochs": str(EPOCHS), "batch": "2", "baselines": "none", "patience": str(EPOCHS)}
    words = ["msd-spark", "pipeline", "--data", str(data), "--warehouse", str(warehouse)]
    words += ["--run", "killed", "--only", "train", "--ranks", "1", "--set", "dataset.name=tiny"]
    words += [word for name, value in options.items() for word in ("--set", f"train.{name}={value}")]
    last = warehouse / "models" / "killed" / "_unfinished" / "checkpoints" / "last.npz"

    with launched(*words, log=tmp_path / "first") as pipeline:
        pipeline.wait_until(lambda: (state := checkpoint(last)) and state.epoch >= 1)
        stage = pipeline.processes()[1:]
        pipeline.process.kill()
        # Launcher and ranks end with it, so that the next ones do not meet them.
        _, left = psutil.wait_procs(stage, timeout=Launched.longest)
        assert not left
    assert "stage 1 of 1: train: first run" in pipeline.said()
    reached = checkpoint(last)
    assert reached is not None
    assert 1 <= reached.epoch < EPOCHS

    with launched(*words, log=tmp_path / "second") as pipeline:
        pipeline.succeed()
        said = pipeline.said()
    assert "stage 1 of 1: train: the last run did not finish" in said
    assert "--run killed --resume" in said
    assert f"killed: resumed after {reached.place}" in said
    history_file = run_file(Warehouse(str(warehouse)), "killed", HISTORY)
    history = json.loads(warehouse.joinpath(*history_file).read_text())
    assert [epoch["epoch"] for epoch in history] == list(range(1, EPOCHS + 1))

    with launched(*words, log=tmp_path / "third") as pipeline:
        pipeline.succeed()
        assert "stage 1 of 1: train: up to date" in pipeline.said()
