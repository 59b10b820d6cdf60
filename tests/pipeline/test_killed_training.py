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


def command(folder: Path, options: dict[str, str]) -> list[str]:
    """Return the command of the stage `train` alone, on one rank."""
    words = ["msd-spark", "pipeline", "--data", str(lay_out(folder / "data")), "--warehouse", str(folder / "warehouse")]
    words += ["--run", "killed", "--only", "train", "--ranks", "1", "--set", "dataset.name=tiny"]
    return words + [word for name, value in options.items() for word in ("--set", f"train.{name}={value}")]


def kill(pipeline: Launched) -> None:
    """Kill a pipeline; launcher and ranks end with it, so that the next ones do not meet them."""
    stage = pipeline.processes()[1:]
    pipeline.process.kill()
    _, left = psutil.wait_procs(stage, timeout=Launched.longest)
    assert not left


def lay_out(folder: Path) -> Path:
    """Make a folder of data that stages before the training would read."""
    (folder / "songs").mkdir(parents=True)
    for name in ("musixmatch/mxm_dataset_train.txt", "tagtraum/msd_tagtraum_cd1.cls"):
        (folder / name).parent.mkdir()
        (folder / name).touch()
    return folder


@pytest.mark.timeout(900)
def test_a_training_goes_on_where_it_was(tmp_path: Path) -> None:
    warehouse = tmp_path / "warehouse"
    write_tiny_dataset(warehouse, {"train": [9, 8, 8, 7], "validation": [6, 3], "test": [5, 4]})
    options = {"model": "dense", "epochs": str(EPOCHS), "batch-size": "2", "baselines": "none", "patience": str(EPOCHS)}
    words = command(tmp_path, options)
    last = warehouse / "models" / "killed" / "_unfinished" / "checkpoints" / "last.npz"

    with launched(*words, log=tmp_path / "first") as pipeline:
        pipeline.wait_until(lambda: (state := checkpoint(last)) and state.epoch >= 1)
        kill(pipeline)
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


@pytest.mark.timeout(900)
def test_the_finished_models_of_a_protocol_are_not_trained_again(tmp_path: Path) -> None:
    warehouse = tmp_path / "warehouse"
    write_tiny_dataset(warehouse, {"train": [20, 20], "validation": [10], "test": [20]})
    options = {"model": "dense", "protocol": "2019", "protocol-models": '["logistic"]', "protocol-rows": "[20, 10]"}
    words = command(tmp_path, options | {"epochs": "2", "baselines": "none"})
    first, second = (warehouse / "models" / name / "metadata.json" for name in ("killed-logistic", "killed"))
    second.parent.mkdir(parents=True)
    earlier = json.dumps({"arguments": {}, "dataset": {"fingerprint": "other"}})
    second.write_text(earlier)  # overwritten at the end only
    with launched(*words, log=tmp_path / "first") as pipeline:
        pipeline.wait_until(first.exists)
        kill(pipeline)
    assert second.read_text() == earlier
    trained = first.read_text()

    with launched(*words, log=tmp_path / "second") as pipeline:
        pipeline.succeed()
        said = pipeline.said()
    assert "--run killed --resume" in said
    assert first.read_text() == trained
    assert json.loads(second.read_text())["model"] == "dense"
    assert "killed-logistic: train" in said
