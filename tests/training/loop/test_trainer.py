"""Training on Horovod ranks."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import REPOSITORY
from tests.support.fork_server import forked
from tests.support.launched import LAUNCHER, environment
from tests.support.tiny_dataset import LABELS, write_tiny_dataset

BATCH = 8
SCRIPT = "tests/support/train_and_dump.py"


def on_ranks(n_ranks: int, *words: str | Path, launcher: Sequence[str] = LAUNCHER) -> subprocess.CompletedProcess[str]:
    command = [*launcher, "-np", str(n_ranks), *map(str, words)]
    return subprocess.run(command, cwd=REPOSITORY, env=environment(**forked()), capture_output=True, text=True)


def weights(folder: Path, n_ranks: int, rank: int) -> list[np.ndarray]:
    with np.load(folder / f"weights-{n_ranks}-{rank}.npz") as file:
        return [file[name] for name in file.files]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same global batches on one rank and on two."""
    folder = tmp_path_factory.mktemp("ranks")
    write_tiny_dataset(folder / "w", {"train": [BATCH] * 6, "validation": [5, 3], "test": [7, 6, 2]})
    for n_ranks in (1, 2):
        done = on_ranks(n_ranks, "python", SCRIPT, folder / "w", folder, str(2 * BATCH), "0")
        assert done.returncode == 0, done.stderr[-3000:]
    return folder


def test_all_ranks_end_with_the_same_weights(trained: Path) -> None:
    first, second = weights(trained, 2, 0), weights(trained, 2, 1)
    assert all(np.array_equal(mine, other) for mine, other in zip(first, second, strict=True))


def test_two_ranks_do_what_one_does(trained: Path) -> None:
    for one, two in zip(weights(trained, 1, 0), weights(trained, 2, 0), strict=True):
        np.testing.assert_allclose(one, two, atol=2e-5)


def test_figures_are_the_same_on_one_rank_and_on_two(trained: Path) -> None:
    one, two = (json.loads((trained / f"result-{n}.json").read_text()) for n in (1, 2))
    assert one["track_ids"] == two["track_ids"]
    assert len(set(one["track_ids"])) == 15
    assert one["metrics"]["confusion_matrix"] == two["metrics"]["confusion_matrix"]
    for name in ("accuracy", "macro_f1", "macro_average_precision"):
        assert one["metrics"][name] == pytest.approx(two["metrics"][name], abs=1e-12)
    assert one["metrics"]["log_loss"] == pytest.approx(two["metrics"]["log_loss"], rel=1e-4)
    losses = [[row["loss"] for row in result["history"]] for result in (one, two)]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)


@pytest.fixture(scope="module")
def run_on_four(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """Run ``horovodrun -np 4 training/train.py`` on uneven files, with fewer validation files than ranks."""
    folder = tmp_path_factory.mktemp("four")
    write_tiny_dataset(folder, {"train": [9, 8, 8, 7, 3], "validation": [6], "test": [7, 4]})
    words = ("training/train.py", "--warehouse", folder, "--dataset", "tiny", "--model", "cnn")
    options = ("--epochs", "2", "--batch-size", "1", "--evaluation-batch", "3", "--run", "four", "--profile")
    done = on_ranks(4, *words, *options, launcher=["horovodrun"])
    assert done.returncode == 0, done.stderr[-3000:]
    return folder, done.stdout, done.stderr


def test_four_ranks_end_with_a_whole_run_folder(run_on_four: tuple[Path, str, str]) -> None:
    place = run_on_four[0] / "models" / "four"
    metadata: dict[str, Any] = json.loads((place / "metadata.json").read_text())
    run = place / metadata["folder"]
    assert {path.name for path in place.iterdir()} == {"metadata.json", "model_card.md", run.name}
    metrics = json.loads((run / "metrics.json").read_text())
    assert metadata["labels"] == LABELS
    assert metadata["arguments"]["ranks"] == 4
    assert metadata["dataset"]["fingerprint"] == "tiny-0"
    assert metrics["test"]["model"]["examples"] == metrics["test"]["majority"]["examples"] == 11
    history = json.loads((run / "history.json").read_text())
    assert len(history) == 2
    assert all(0 < row["waiting"] <= 1 and row["examples_per_second"] > 0 for row in history)
    assert len(list(run.glob("tensorboard/plugins/profile/*/*.xplane.pb"))) == 1
    import pyarrow.parquet as pq

    predictions = pq.read_table(run / "predictions" / "test.parquet").to_pandas()
    assert predictions["track_id"].is_unique
    right = (predictions["true"] == predictions["predicted"]).mean()
    assert right == pytest.approx(metrics["test"]["model"]["accuracy"])


def test_the_model_loads_with_plain_keras_in_safe_mode(run_on_four: tuple[Path, str, str]) -> None:
    import keras

    (path,) = (run_on_four[0] / "models" / "four").glob("*/model.keras")
    model = keras.models.load_model(path, compile=False, safe_mode=True)
    assert model.get_layer("embedding").output.shape == (None, 50)
    assert model.output_shape == (None, len(LABELS))


def test_one_rank_prints_one_line_per_epoch_and_the_next_command(run_on_four: tuple[Path, str, str]) -> None:
    folder, output, errors = run_on_four
    assert output.count("macro F1") == 1
    assert errors.count("epoch ") == 2
    # Nothing of TensorFlow, absl or Petastorm: every line is an epoch.
    assert all(line.startswith("[0]<stderr>:epoch ") for line in errors.splitlines() if line)
    assert f"spark-submit jobs/score.py --warehouse {folder} --run four" in output


def test_the_summary_has_the_seconds_of_rank_0_alone(run_on_four: tuple[Path, str, str]) -> None:
    printed = re.search(r"seconds +([\d.]+)\n.*seconds of rank 0 alone +([\d.]+) \(([\d.]+)%\)", run_on_four[1])
    assert printed is not None
    seconds, alone, share = map(float, printed.groups())
    assert 0 < alone < seconds
    assert share == pytest.approx(100 * alone / seconds, abs=100 * 0.1 / seconds + 0.1)


@pytest.mark.parametrize(
    ("options", "needed", "n_examples"),
    [(("--global-batch-size", "1"), "2 ranks", 1), (("--batch-size", "1", "--streams", "3"), "3 streams", 2)],
)
def test_fewer_examples_per_step_than_ranks_or_streams_are_an_error_with_its_remedy(
    tmp_path: Path, options: tuple[str, ...], needed: str, n_examples: int
) -> None:
    write_tiny_dataset(tmp_path, {"train": [8], "validation": [], "test": [3]})
    words = ("training/train.py", "--warehouse", tmp_path, "--dataset", "tiny", "--epochs", "1")
    done = on_ranks(2, *words, *options)
    assert done.returncode != 0
    message = (
        f"{needed} cannot share {n_examples} examples per step; "
        f"use at most {n_examples} {needed.split()[1]}, or a larger {options[0]}"
    )
    assert done.stderr.count(message) == 1
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "models").exists()
