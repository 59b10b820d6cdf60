"""``training/evaluate.py`` on one and several ranks, with a model of random weights."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from msd_spark.core.command_line import parse, run_verb
from msd_spark.core.verbs import VERBS
from msd_spark.core.warehouse import Warehouse
from tests.conftest import REPOSITORY
from tests.support.fork_server import forked
from tests.support.launched import LAUNCHER, environment
from tests.support.tiny_dataset import LABELS, copy_tiny_dataset, write_tiny_dataset
from training.data.targets import target_of
from training.evaluation.options import EvaluateOptions

ROWS = {"train": [9, 8], "validation": [], "test": [7, 1, 5]}
"""Three test files, none a multiple of the batch; a fourth rank has none."""


def evaluate(folder: Path, *words: str, n_ranks: int = 1) -> subprocess.CompletedProcess[str]:
    launcher = [*LAUNCHER, "-np", str(n_ranks)] if n_ranks > 1 else []
    command = [*launcher, "training/evaluate.py", "--warehouse", str(folder), "--batch-size", "4", *words]
    return subprocess.run(command, cwd=REPOSITORY, env=environment(**forked()), capture_output=True, text=True)


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset, a run on it, and a dataset of the same examples with the genres in another order."""
    import keras

    from training.data.dataset import Dataset
    from training.evaluation.judgement import read_training_truths
    from training.models.build import MODELS
    from training.models.settings import ModelSettings
    from training.runs.run_folder import FinishedRun, write_run

    folder = tmp_path_factory.mktemp("evaluate")
    opened = write_tiny_dataset(folder, ROWS)
    dataset = Dataset.open(opened, "tiny")
    genre = target_of("genre", dataset)
    keras.utils.set_random_seed(1)
    sizes = ModelSettings(filters=(8, 8, 8), hidden=(16,))
    model = MODELS["cnn"](dataset.geometry, genre, dataset.metadata["normalisation"], sizes)
    write_run(opened, FinishedRun("one", model, dataset, genre, {}, [], {}, {}, read_training_truths(dataset, genre)))
    _reordered(folder)
    return folder


def _reordered(folder: Path) -> None:
    """Copy ``dataset/tiny`` as ``dataset/reordered``, with the genres in another order."""
    import pyarrow as pa

    labels = ["Rap", "Jazz", "Blues"]

    def reorder(examples: pa.Table) -> pa.Table:
        moved = [labels.index(LABELS[index]) for index in examples["genre_index"].to_pylist()]
        place = examples.schema.get_field_index("genre_index")
        return examples.set_column(place, examples.schema.field(place), pa.array(moved, pa.int32()))

    changes = {"name": "reordered", "labels": labels, "fingerprint": "reordered"}
    copy_tiny_dataset(Warehouse(str(folder)), "reordered", lambda examples, _: reorder(examples), changes)


def content(folder: Path, name: str) -> dict[str, Any]:
    return dict(json.loads((folder / "evaluations" / "one" / f"{name}.json").read_text()))


@pytest.fixture(scope="module")
def alone(warehouse: Path) -> tuple[dict[str, Any], bytes, str, str]:
    """The results and output of one rank."""
    done = evaluate(warehouse)
    assert done.returncode == 0, done.stderr[-3000:]
    table = (warehouse / "evaluations" / "one" / "tiny-test.parquet").read_bytes()
    return content(warehouse, "tiny-test"), table, done.stdout, done.stderr


def test_metrics_and_scores_do_not_depend_on_the_number_of_ranks(
    warehouse: Path, alone: tuple[dict[str, Any], bytes, str, str]
) -> None:
    for path in (warehouse / "evaluations" / "one").glob("tiny-test.*"):
        path.unlink()
    done = evaluate(warehouse, "--run", "one", n_ranks=4)
    assert done.returncode == 0, done.stderr[-3000:]
    assert content(warehouse, "tiny-test") == alone[0]
    assert (warehouse / "evaluations" / "one" / "tiny-test.parquet").read_bytes() == alone[1]
    assert done.stdout.count("macro F1") == 1


def test_every_example_is_evaluated_once_and_the_metrics_match_the_predictions(
    warehouse: Path, alone: tuple[dict[str, Any], bytes, str, str]
) -> None:
    table = pq.read_table(pa_buffer(alone[1])).to_pandas()
    assert table["track_id"].is_monotonic_increasing
    assert table["track_id"].nunique() == len(table) == sum(ROWS["test"])
    figures = alone[0]["figures"]
    assert list(figures) == ["model", "majority", "stratified"]
    assert figures["model"]["accuracy"] == pytest.approx((table["true"] == table["predicted"]).mean())
    given = [row[LABELS.index(true)] for row, true in zip(table["probabilities"], table["true"], strict=True)]
    assert figures["model"]["log_loss"] == pytest.approx(-np.log(given).mean(), rel=1e-5)
    low, high = figures["model"]["intervals"]["accuracy"]
    assert low <= figures["model"]["accuracy"] <= high


def pa_buffer(content: bytes) -> Any:
    import pyarrow as pa

    return pa.BufferReader(content)


def test_artists_of_the_training_cause_a_warning(alone: tuple[dict[str, Any], bytes, str, str]) -> None:
    # Artists of this dataset are numbered anew in each file: AR0 to AR8 in train, AR0 to AR6 in test.
    found, _, _, said = alone
    assert found["leak"] == {
        "examples": 13,
        "same_tracks": 0,
        "known_artists": 7,
        "examples_of_known_artists": 13,
    }
    assert "WARNING: 13 of 13 examples are by 7 artists that run one was trained on" in said


def test_genres_are_found_by_name(warehouse: Path, alone: tuple[dict[str, Any], bytes, str, str]) -> None:
    done = evaluate(warehouse, "--run", "one", "--dataset", "reordered")
    assert done.returncode == 0, done.stderr[-3000:]
    other = content(warehouse, "reordered-test")
    assert other["dataset"] == {"name": "reordered", "fingerprint": "reordered"}
    assert other["figures"] == alone[0]["figures"]


def test_a_split_without_an_example_is_named(warehouse: Path) -> None:
    done = evaluate(warehouse, "--run", "one", "--split", "validation")
    assert done.returncode == 2
    assert "evaluate: no example in validation of dataset tiny has a genre; choose another --split" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--split", "all"], "--split is 'all'; allowed: "),
        (["--batch-size", "0"], "evaluate: --batch-size is 0; allowed: 1 to 65536"),
        (["--run", "two"], "evaluate: no finished run models/two; finished: one"),
        (["--dataset", "other"], "run msd-spark dataset first"),
        (["--warehouse", "nowhere"], "run msd-spark train first"),
    ],
)
def test_wrong_options_are_refused_before_the_ranks_join(
    warehouse: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run_verb("evaluate", ["--warehouse", str(warehouse), *words])
    assert message in capsys.readouterr().err
    assert not Path("nowhere").exists()


def test_a_bare_command_has_all_defaults() -> None:
    assert parse(EvaluateOptions, [], VERBS["evaluate"]) == EvaluateOptions()
