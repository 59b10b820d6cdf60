"""What ``training/train.py`` rejects before TensorFlow starts."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from msd_spark.core.errors import UserError
from tests.conftest import REPOSITORY
from tests.support.launched import environment
from tests.support.tiny_dataset import write_tiny_dataset
from training.loop.options import TrainOptions
from training.loop.session import checked
from training.models.settings import ModelOptions


def train(folder: Path, *words: str) -> str:
    """Run ``training/train.py`` in a folder; return the error after the name of the verb."""
    command = [sys.executable, str(REPOSITORY / "training/train.py"), *words]
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    return done.stderr.removeprefix("train: ")


def test_a_bare_command_without_a_dataset_names_the_command_that_makes_one(tmp_path: Path) -> None:
    assert train(tmp_path) == f"no dataset in {tmp_path}/warehouse/dataset; run msd-spark dataset first\n"
    assert not list(tmp_path.iterdir())


def test_an_invalid_value_is_rejected_in_one_line(tmp_path: Path) -> None:
    assert train(tmp_path, "--batch-size", "0") == "--batch-size is 0; allowed: 1 to 65536\n"
    assert not list(tmp_path.iterdir())


def options(folder: Path, **others: str) -> TrainOptions:
    return TrainOptions(warehouse=str(folder), **others)  # type: ignore[arg-type]


def test_the_only_dataset_is_the_default(tmp_path: Path) -> None:
    write_tiny_dataset(tmp_path, {"train": [3], "validation": [], "test": []})
    assert checked(options(tmp_path)).dataset == "tiny"
    with pytest.raises(UserError, match="dataset/other is missing; run msd-spark dataset first"):
        checked(options(tmp_path, dataset="other"))
    with pytest.raises(UserError, match="dataset tiny has no column tag_vector; run msd-spark labels"):
        checked(options(tmp_path, target="tags"))


def test_lyrics_alone_need_a_dataset_with_lyrics(tmp_path: Path) -> None:
    write_tiny_dataset(tmp_path, {"train": [3], "validation": [], "test": []}, words=False)
    assert checked(options(tmp_path)).dataset == "tiny"
    with pytest.raises(UserError, match="dataset tiny has no lyrics, which --inputs lyrics learns from; run msd-spark"):
        checked(replace(options(tmp_path), model=ModelOptions(inputs="lyrics")))


def test_a_finished_run_is_not_replaced_by_accident(tmp_path: Path) -> None:
    write_tiny_dataset(tmp_path, {"train": [3], "validation": [], "test": []})
    (tmp_path / "models" / "one").mkdir(parents=True)
    (tmp_path / "models" / "one" / "metadata.json").write_text("{}")
    with pytest.raises(UserError, match="models/one exists already; choose another --run, or add --overwrite"):
        checked(options(tmp_path, run="one"))
    assert checked(options(tmp_path, run="two")).run == "two"
