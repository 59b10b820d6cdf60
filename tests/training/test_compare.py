"""``training/compare.py``: it trains each combination once, prints a table and keeps finished runs."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from msd_spark.core.schemas import SPLITS
from tests.support.fork_server import forked
from tests.support.launched import launched
from tests.support.tiny_dataset import write_tiny_dataset
from training.data.dataset import Dataset

TWO_MODELS = ("--models", "logistic,dense", "--seeds", "2", "--reference", "dense")


def compare(folder: Path, log: Path, *words: str, models: tuple[str, ...] = TWO_MODELS) -> str:
    command: list[str | Path] = ["training/compare.py", "--warehouse", folder / "w", "--inputs", "both"]
    command += [*models, *words]
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
    assert [(row["model"], row["inputs"]) for row in content["rows"]] == [
        *(("logistic regression", "both"), ("gradient boosting", "both"), ("logistic", "both"), ("dense", "both"))
    ]
    baselines = {row["model"] for row in content["rows"][:2]}
    for row in content["rows"][2:]:
        assert row["minus_best_baseline"]["baseline"] in baselines
        assert row["minus_best_baseline"]["macro_f1"]["interval"]
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
    kept = folder / "w" / "comparisons" / "comparison" / "baselines" / "tiny.npz"
    whole = kept.read_bytes()
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 255
    kept.write_bytes(damaged)
    again = compare(folder, folder / "second", "--epochs", "2")
    assert kept.stat().st_size == len(whole)
    assert "4 of 4 runs are finished" in again
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert json.loads((folder / "w" / "comparisons" / "comparison" / "comparison.json").read_text()) == content

    other = compare(folder, folder / "third", "--epochs", "3", "--init-from", "comparison-dense-both-0")
    assert "init_from was None, now comparison-dense-both-0; " in other
    assert "training_settings.epochs was 2, now 3. Choose another --name, or add --overwrite" in other
    assert "Traceback" not in other


def test_folds_are_artist_disjoint_and_predict_every_labelled_song_once(tmp_path: Path) -> None:
    warehouse = write_tiny_dataset(tmp_path / "w", {"train": [30], "validation": [12], "test": [18]})
    words = ("--folds", "3", "--epochs", "1", "--name", "f")
    twice = (*words, "--repeats", "2")
    said = compare(tmp_path, tmp_path / "log", *twice)
    content = json.loads((tmp_path / "w" / "comparisons" / "f" / "comparison.json").read_text())
    assert said.index("gradient boosting") < said.index("f-logistic-both-r0-f0")
    source = Dataset.open(warehouse, "tiny")
    artists = songs_of(source, "train") | songs_of(source, "validation") | songs_of(source, "test")
    for repeat in range(2):
        predicted: list[str] = []
        for fold in range(3):
            dataset = Dataset.open(warehouse, f"f-r{repeat}-f{fold}")
            parts = [songs_of(dataset, split) for split in SPLITS]
            assert all(parts)
            # Every labelled song is in one split, and no artist in two.
            assert sum(len(part) for part in parts) == len(artists)
            groups = [set(part.values()) for part in parts]
            assert len(set().union(*groups)) == sum(len(group) for group in groups)
            (path,) = (tmp_path / "w" / "models" / f"f-dense-both-r{repeat}-f{fold}").glob("*/predictions/test.parquet")
            tracks = pq.read_table(path)["track_id"].to_pylist()
            assert set(tracks) == set(parts[2])
            predicted += tracks
        assert sorted(predicted) == sorted(artists)
    assert content["examples"] == len(artists) == 60
    assert content["seeds"] == [0, 1]
    assert [len(row["runs"]) for row in content["rows"] if "runs" in row] == [6, 6]
    assert "6 of 12 runs" not in said
    assert "12 of 12 runs are finished" in compare(tmp_path, tmp_path / "again", *twice)

    said = compare(tmp_path, tmp_path / "mistakes", *words, "--mistakes", models=("--models", "logistic"))
    # The honest runs are those of the comparison; only those whose epoch is chosen on test are trained.
    assert "3 of 3 runs are finished" in said
    effects = json.loads((tmp_path / "w" / "comparisons" / "f" / "mistakes.json").read_text())
    rows = {row["model"]: row["figures"] for row in effects["rows"] if row["mistake"] == "none"}
    compared = {f"{row['model']}, both": row["figures"] for row in content["rows"]}
    for model in ("logistic, both", "logistic regression, both"):
        for metric in ("macro_f1", "accuracy"):
            assert rows[model][metric]["mean"] == compared[model][metric]["by_seed"][0]
    chosen = Dataset.open(warehouse, "f-on-test-r0-f0")
    assert (
        songs_of(chosen, "validation")
        == songs_of(chosen, "test")
        == songs_of(Dataset.open(warehouse, "f-r0-f0"), "test")
    )
    assert "epoch chosen on test" in said
    assert "duplicates across splits: left out, no two tracks of the dataset have the same song id" in said


def songs_of(dataset: Dataset, split: str) -> dict[str, str]:
    """Return the artist group of each track of a split."""
    tables = [dataset.read(split, file, ["track_id", "artist_group"]) for file in range(len(dataset.rows(split)))]
    rows = [row for table in tables for row in table.to_pylist()]
    assert len({row["track_id"] for row in rows}) == len(rows)
    return {row["track_id"]: row["artist_group"] for row in rows}
