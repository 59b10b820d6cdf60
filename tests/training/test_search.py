"""``training/search.py`` on a tiny dataset: an interrupted search tries the same values as an uninterrupted one."""

from __future__ import annotations

import csv
import json
import shlex
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.support.fork_server import forked
from tests.support.launched import LAUNCHER, launched
from tests.support.tiny_dataset import write_tiny_dataset

WORDS = ("--dataset", "tiny", "--model", "logistic", "--epochs", "3", "--learning-rates", "1e-3", "0.3", "--seed", "5")
EPOCHS = 3


def search(folder: Path, log: Path, *words: str, n_ranks: int = 1) -> str:
    launcher = [*LAUNCHER, "-np", str(n_ranks)] if n_ranks > 1 else []
    command: list[str | Path] = [*launcher, "training/search.py", "--warehouse", folder, *WORDS, *words]
    with launched(*command, log=log, others=forked()) as running:
        running.status()
        return running.said()


def found(folder: Path, name: str) -> dict[str, Any]:
    return dict(json.loads((folder / "searches" / name / "search.json").read_text()))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search")
    write_tiny_dataset(folder / "w", {"train": [20, 20], "validation": [24], "test": [1]})
    return folder


@pytest.fixture(scope="module")
def whole(folder: Path) -> tuple[dict[str, Any], str]:
    words = ("--name", "whole", "--trials", "6", "--baselines", "simple")
    said = search(folder / "w", folder / "whole.log", *words)
    return found(folder / "w", "whole"), said


def test_a_search_is_written_and_printed(folder: Path, whole: tuple[dict[str, Any], str]) -> None:
    content, said = whole
    assert content["judged_on"] == "validation"
    assert len(content["trials"]) == 6
    trained = [trial for trial in content["trials"] if trial["state"] == "trained"]
    pruned = [trial for trial in content["trials"] if trial["state"] == "pruned"]
    assert all(len(trial["by_epoch"]) == EPOCHS and trial["value"] in trial["by_epoch"] for trial in trained)
    assert all(len(trial["by_epoch"]) <= EPOCHS and trial["value"] is None and trial["reason"] for trial in pruned)
    assert len({trial["learning-rate"] for trial in content["trials"]}) == 6
    assert content["best"]["value"] == max(trial["value"] for trial in trained)
    assert f"best: {content['command']}" in said
    with (folder / "w" / "searches" / "whole" / "trials.csv").open() as table:
        assert [row["state"] for row in csv.DictReader(table)] == [trial["state"] for trial in content["trials"]]
    page = (folder / "w" / "searches" / "whole" / "plots.html").read_text()
    assert "<script src" not in page
    assert "<link" not in page
    assert page.count('id="plot-') >= 4


def test_the_best_command_reproduces_the_best_value(
    folder: Path, whole: tuple[dict[str, Any], str], tmp_path: Path
) -> None:
    with launched(*shlex.split(whole[0]["command"]), log=tmp_path / "log", others=forked()) as training:
        training.succeed()
    (path,) = (folder / "w" / "models" / "whole-best").glob("*/metrics.json")
    metrics = json.loads(path.read_text())
    assert "--baselines simple" in whole[0]["command"]
    assert metrics["validation"]["model"]["macro_f1"] == pytest.approx(whole[0]["best"]["value"], abs=1e-6)


def test_an_interrupted_search_tries_the_same_values(
    folder: Path, whole: tuple[dict[str, Any], str], tmp_path: Path
) -> None:
    words = ("--name", "parts")
    search(folder / "w", tmp_path / "first", *words, "--trials", "3")
    command: list[str | Path] = ["training/search.py", "--warehouse", folder / "w", *WORDS, *words, "--trials", "6"]
    with launched(*command, log=tmp_path / "second") as running:
        # In the fifth trial, after its first epoch.
        running.wait_until(lambda: "epoch 1" in running.said().partition("[5/6]")[2])
        running.process.send_signal(signal.SIGKILL)
        running.process.wait()
    search(folder / "w", tmp_path / "third", *words, "--trials", "6")

    def tried(content: dict[str, Any]) -> list[dict[str, Any]]:
        return [{name: value for name, value in trial.items() if name != "trial"} for trial in content["trials"]]

    assert tried(found(folder / "w", "parts")) == tried(whole[0])
    refused = search(folder / "w", tmp_path / "other", *words, "--trials", "6", "--label-smoothing", "0.1")
    assert "has other settings: training_settings.feed.label_smoothing was 0.0, now 0.1" in refused
    assert "Traceback" not in refused


def test_too_small_batches_are_refused_before_the_first_trial(folder: Path, tmp_path: Path) -> None:
    said = search(folder / "w", tmp_path / "log", "--name", "small", "--batch-sizes", "4", "16", "--streams", "8")
    assert "8 streams cannot share 4 examples per step; use larger --batch-sizes" in said
    assert not (folder / "w" / "searches" / "small").exists()


def test_two_ranks_share_a_trial_and_prune_it_together(folder: Path, tmp_path: Path) -> None:
    # With learning rates between 1e-6 and 1 some trial is worse than the median.
    words = ("--name", "ranks", "--trials", "8", "--learning-rates", "1e-6", "1", "--batch-sizes", "10")
    said = search(folder / "w", tmp_path / "log", *words, n_ranks=2)
    content = found(folder / "w", "ranks")
    assert len(content["trials"]) == 8, said[-3000:]
    assert {trial["state"] for trial in content["trials"]} == {"trained", "pruned"}
    assert content["command"].startswith("horovodrun -np 2 training/train.py")


def test_settings_that_diverge_are_pruned_and_the_search_continues(folder: Path, tmp_path: Path) -> None:
    words = ("--name", "wild", "--trials", "2", "--learning-rates", "1e30", "1e30", "--optimizers", "sgd")
    said = search(folder / "w", tmp_path / "log", *words)
    trials = found(folder / "w", "wild")["trials"]
    assert [trial["state"] for trial in trials] == ["pruned", "pruned"], said[-3000:]
    assert all("a lower --learning-rate may help" in trial["reason"] for trial in trials)
    assert "no trial was completed" in said
