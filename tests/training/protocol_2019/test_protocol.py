"""``training/train.py --protocol 2019`` on random genres: validation accuracy is high all the same."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from msd_spark.core.command_line import parse
from msd_spark.core.runs import DATASET_FILE
from msd_spark.core.schemas import GEOMETRY, SPLITS
from msd_spark.core.verbs import VERBS
from msd_spark.core.warehouse import Warehouse
from tests.support.fork_server import forked
from tests.support.launched import launched
from tests.support.tiny_dataset import LABELS, copy_tiny_dataset, write_tiny_dataset
from training.data.dataset import Dataset
from training.loop.options import TrainOptions
from training.loop.session import is_finished

ROWS = {"train": [40, 40], "validation": [40], "test": [75]}
CHANCE = 1 / len(LABELS)
FURTHER = ("--protocol-models", "logistic")
OPTIONS = ("--protocol", "2019", "--protocol-rows", "200", "100", "--protocol-short", "drop")


def scramble(folder: Path) -> None:
    """Assign random genres, full length to all songs but one per file, and artists that occur in one split only."""
    generator = np.random.default_rng(4)

    def scrambled(table: pa.Table, split: str) -> pa.Table:
        n_rows = len(table)
        lengths = np.full(n_rows, GEOMETRY.n_segments)
        lengths[0] -= 1
        changed = {
            "genre_index": pa.array(generator.integers(0, len(LABELS), n_rows).astype(np.int32)),
            "n_segments": pa.array(lengths.astype(np.int32)),
            "artist_group": pa.array([f"AR{split}{number // 4}" for number in range(n_rows)]),
        }
        for name, values in changed.items():
            place = table.schema.get_field_index(name)
            table = table.set_column(place, table.schema.field(place), values)
        return table

    copy_tiny_dataset(Warehouse(str(folder)), "tiny", scrambled)


def train(folder: Path, log: Path, *words: str) -> str:
    command: list[str | Path] = ["training/train.py", "--warehouse", folder, "--dataset", "tiny", "--model", "dense"]
    command += [*OPTIONS, *words]
    with launched(*command, log=log, others=forked()) as training:
        training.status()
        return training.said()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("protocol")
    write_tiny_dataset(folder / "w", ROWS)
    scramble(folder / "w")
    return folder / "w", train(folder / "w", folder / "log", "--run", "again", "--epochs", "12", *FURTHER)


def test_validation_accuracy_is_far_above_chance(run: tuple[Path, str]) -> None:
    (path,) = (run[0] / "models" / "again").glob("*/metrics.json")
    metrics = json.loads(path.read_text())
    accuracy = {split: metrics[split]["model"]["accuracy"] for split in metrics}
    # Genres are random: accuracy above chance is memory.
    assert accuracy["validation"] > 0.75
    for split in ("test", "artist_disjoint"):
        examples = metrics[split]["model"]["examples"]
        assert abs(accuracy[split] - CHANCE) < 4 * (CHANCE * (1 - CHANCE) / examples) ** 0.5
        assert accuracy["validation"] - accuracy[split] > 0.2


def test_the_dataset_follows_the_protocol(run: tuple[Path, str]) -> None:
    warehouse = Warehouse(str(run[0]))
    metadata = warehouse.read_json("dataset", "tiny-2019", DATASET_FILE)
    tracks: dict[str, list[str]] = {}
    for split, examples in (
        warehouse.read_examples(["track_id", "n_segments"], "tiny-2019").to_pandas().groupby("split")
    ):
        tracks[split] = list(examples["track_id"])
        assert set(examples["n_segments"]) == {GEOMETRY.n_segments}
        assert metadata["rows"][split] == len(tracks[split])
    # 3 files of 40 with one short song each are 117; 6 of 32 of them, 22, are held out. The test split has 74.
    assert (len(tracks["test"]), len(tracks["artist_disjoint"])) == (22, 74)
    # 200 of the largest genre and 100 of the two others; 30 % of 400 are 120.
    assert (len(tracks["train"]), len(tracks["validation"])) == (280, 120)
    drawn = set(tracks["train"]) | set(tracks["validation"])
    assert not drawn & set(tracks["test"])
    assert not (drawn | set(tracks["test"])) & set(tracks["artist_disjoint"])
    protocol = metadata["protocol"]
    assert protocol["validation_rows_trained_on"] == sum(
        track in set(tracks["train"]) for track in tracks["validation"]
    )
    assert protocol["too_short"] == sum(len(ROWS[split]) for split in SPLITS) == 4
    assert protocol["drawn_tracks"] == len(drawn) == 117 - 22 - protocol["tracks_never_drawn"]


def test_every_result_is_printed_with_its_reliability(run: tuple[Path, str]) -> None:
    folder, printed = run
    metadata = json.loads((folder / "models" / "again" / "metadata.json").read_text())
    rows = metadata["arguments"]["protocol_report"]
    reliable = {row["result"]: row["reliable"] for row in rows}
    assert reliable["dense, 2019: validation, split off after resampling"] == "no"
    assert reliable["dense, 2019: held-out tracks, split by track"] == "partly"
    assert reliable["dense, 2019: tracks of other artists"] == "yes"
    assert all(row["result"] in printed for row in rows)
    assert "above accuracy on other artists" in printed


def test_all_models_are_in_one_table_next_to_the_original(run: tuple[Path, str]) -> None:
    folder, printed = run
    table = printed[printed.rindex("inference s") :]
    for name in ("again ", "again-logistic ", "dense, original", "lstm, original", "cnn, original", "CMU .36"):
        assert name in table
    assert "again-logistic: train" in table
    assert f"{LABELS[0]} → " in table
    (path,) = (folder / "models" / "again-logistic").glob("*/history.json")
    history = json.loads(path.read_text())
    assert [epoch["epoch"] for epoch in history] == list(range(1, 13))
    assert all({"train_accuracy", "validation_accuracy"} <= set(row) for row in history)


def test_a_resumed_command_skips_a_further_model_only_if_its_run_has_the_same_options(run: tuple[Path, str]) -> None:
    folder = str(run[0])
    dataset = Dataset.open(Warehouse(folder), "tiny-2019")
    finished = {}
    for epochs in ("12", "13"):
        words = ["--warehouse", folder, "--dataset", "tiny", "--model", "dense", "--run", "again", "--epochs", epochs]
        options = parse(TrainOptions, [*words, *OPTIONS, *FURTHER], VERBS["train"])
        finished[epochs] = [is_finished(one, dataset) for one in options.runs()]
    assert finished == {"12": [True, True], "13": [False, False]}


def test_a_dataset_that_leaks_artists_is_refused(run: tuple[Path, str], tmp_path: Path) -> None:
    write_tiny_dataset(tmp_path / "w", ROWS)
    changes = {"split_rule": {"by": "track"}}
    copy_tiny_dataset(Warehouse(str(tmp_path / "w")), "tiny", lambda examples, _: examples, changes)
    said = train(tmp_path / "w", tmp_path / "log", "--run", "again")
    assert "dataset tiny is not split by artist; run msd-spark dataset --split artist" in said
    assert "Traceback" not in said
