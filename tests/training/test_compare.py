"""``training/compare.py``: it trains each combination once, prints a table and keeps finished runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.fork_server import forked
from tests.support.launched import launched
from tests.support.tiny_dataset import write_tiny_dataset


def compare(folder: Path, log: Path, *words: str) -> str:
    command: list[str | Path] = [
        "training/compare.py",
        "--warehouse",
        folder / "w",
        "--models",
        "logistic,dense",
    ]
    command += ["--inputs", "both", "--seeds", "2", "--reference", "dense", *words]
    with launched(*command, log=log, others=forked()) as running:
        running.status()
        return running.said()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compare")
    write_tiny_dataset(folder / "w", {"train": [20, 20], "validation": [12], "test": [30]})
    return folder


def test_every_combination_is_trained_once_and_printed(folder: Path) -> None:
    said = compare(folder, folder / "first", "--epochs", "2")
    content = json.loads((folder / "w" / "comparisons" / "comparison" / "comparison.json").read_text())
    assert [(row["model"], row["inputs"]) for row in content["rows"]] == [("logistic", "both"), ("dense", "both")]
    for row in content["rows"]:
        values = []
        for run in row["runs"]:
            (path,) = (folder / "w" / "models" / run).glob("*/metrics.json")
            metrics = json.loads(path.read_text())
            values.append(metrics["test"]["model"]["macro_f1"])
        assert row["figures"]["macro_f1"]["by_seed"] == pytest.approx(values)
        assert row["seconds"] > 0
        assert row["epochs"] == 2
    page = (folder / "w" / "comparisons" / "comparison" / "comparison.md").read_text()
    assert "dense minus this" in page
    assert "dense minus this" in said

    before = {path: path.stat().st_mtime_ns for path in (folder / "w" / "models").glob("*/*/model.keras")}
    assert len(before) == 4
    again = compare(folder, folder / "second", "--epochs", "2")
    assert "4 of 4 runs are finished" in again
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert json.loads((folder / "w" / "comparisons" / "comparison" / "comparison.json").read_text()) == content

    other = compare(folder, folder / "third", "--epochs", "3")
    assert "training_settings.epochs was 2, now 3. Choose another --name, or add --overwrite" in other
    assert "Traceback" not in other
