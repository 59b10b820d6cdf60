"""``training/train.py --protocol 2019`` on random genres: validation accuracy is high all the same."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from msd_spark.core.runs import DATASET_FILE
from msd_spark.core.schemas import GEOMETRY, SPLITS
from msd_spark.core.warehouse import Warehouse
from tests.support.fork_server import forked
from tests.support.launched import launched
from tests.support.tiny_dataset import LABELS, copy_tiny_dataset, write_tiny_dataset

ROWS = {"train": [40, 40], "validation": [40], "test": [75]}
CHANCE = 1 / len(LABELS)


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
    command: list[str | Path] = [
        "training/train.py",
        "--warehouse",
        folder,
        "--dataset",
        "tiny",
        "--model",
        "dense",
        "--dropout",
        "0",
    ]
    command += ["--protocol", "2019", "--protocol-rows", "200", "100", *words]
    with launched(*command, log=log, others=forked()) as training:
        training.status()
        return training.said()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("protocol")
    write_tiny_dataset(folder / "w", ROWS)
    scramble(folder / "w")
    return folder / "w", train(folder / "w", folder / "log", "--run", "again", "--epochs", "12")


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
    # 3 files of 40 with one short song each are 117; a fifth of them, 23, is held out. The test split has 74.
    assert (len(tracks["test"]), len(tracks["artist_disjoint"])) == (23, 74)
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
    assert protocol["drawn_tracks"] == len(drawn) == 117 - 23 - protocol["tracks_never_drawn"]


def test_every_result_is_printed_with_its_reliability(run: tuple[Path, str]) -> None:
    folder, printed = run
    metadata = json.loads((folder / "models" / "again" / "metadata.json").read_text())
    rows = metadata["arguments"]["protocol_report"]
    reliable = {row["result"]: row["reliable"] for row in rows}
    assert reliable["dense, 2019: validation, split off after resampling"] == "no"
    assert reliable["dense, 2019: held-out tracks, split by track"] == "partly"
    assert reliable["dense, 2019: tracks of other artists"] == "yes"
    assert reliable["CNN, original: held out"] == "partly"
    assert all(row["result"] in printed for row in rows)
    assert "above accuracy on other artists" in printed


def test_a_dataset_that_leaks_artists_is_refused(run: tuple[Path, str], tmp_path: Path) -> None:
    write_tiny_dataset(tmp_path / "w", ROWS)
    changes = {"split_rule": {"by": "track"}}
    copy_tiny_dataset(Warehouse(str(tmp_path / "w")), "tiny", lambda examples, _: examples, changes)
    said = train(tmp_path / "w", tmp_path / "log", "--run", "again")
    assert "dataset tiny is not split by artist; run msd-spark dataset --split artist" in said
    assert "Traceback" not in said
