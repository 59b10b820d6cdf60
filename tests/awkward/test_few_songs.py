"""Too few songs, one artist, one genre, rare genres: stages say which it is, and which option helps."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pytest

from msd_spark.catalogue.genres import read_labels
from msd_spark.core.errors import UserError
from msd_spark.core.schemas import SPLITS
from msd_spark.core.summary import Summary
from msd_spark.core.warehouse import Warehouse
from msd_spark.dataset.job import make_dataset
from msd_spark.dataset.metadata import DatasetSummary
from msd_spark.dataset.settings import DatasetSettings
from msd_spark.labels.job import make_labels
from msd_spark.labels.settings import LabelsSettings
from tests.support.predictions import predictions, target
from tests.support.song_tables import song, track, write_labels, write_songs
from tests.support.tiny_dataset import LABELS, copy_tiny_dataset, write_tiny_dataset
from training.data.dataset import Dataset
from training.data.targets import target_of
from training.evaluation.judgement import judge
from training.evaluation.table import metrics_table, one_class_warning
from training.loop.target_summary import require_classes
from training.ranks.ranks import Ranks


def labels_of(folder: Path, genres: dict[str, int], min_examples: int) -> tuple[LabelsSettings, Summary]:
    numbers = iter(range(1000))
    lines = [f"{track(next(numbers))}\t{genre}\n" for genre, count in genres.items() for _ in range(count)]
    (folder / "own.cls").write_text("".join(lines))
    settings = LabelsSettings(
        source=(f"own={folder / 'own.cls'}",), min_examples=min_examples, warehouse=str(folder / "w")
    )
    return settings, Summary("labels")


def test_labels_of_rare_genres_only_replace_nothing(tmp_path: Path) -> None:
    make_labels(*labels_of(tmp_path, {"Jazz": 3}, 3))
    with pytest.raises(
        UserError,
        match="no genre has 4 tracks: the most frequent one, Rock in own, has 3; the table is unchanged; "
        "lower --min-examples",
    ):
        make_labels(*labels_of(tmp_path, {"Jazz": 2, "Rock": 3, "Rap": 1}, 4))
    assert set(read_labels(Warehouse(str(tmp_path / "w")), "own")["genre"].to_pylist()) == {"Jazz"}


def test_a_label_set_of_rare_genres_only_is_named_as_such(tmp_path: Path) -> None:
    settings, summary = labels_of(tmp_path, {"Jazz": 3}, 3)
    (tmp_path / "rare.cls").write_text(f"{track(1)}\tRock\n{track(2)}\tRap\n")
    settings = LabelsSettings(
        source=(*settings.source, f"rare={tmp_path / 'rare.cls'}"), min_examples=3, warehouse=settings.warehouse
    )
    make_labels(settings, summary)
    warehouse = Warehouse(settings.warehouse)
    summary.finish(warehouse)
    message = "all 2 genres of label set rare are rare, so .* lower --min-examples, or choose --label-set from: own"
    with pytest.raises(UserError, match=message):
        read_labels(warehouse, "rare")
    with pytest.raises(UserError, match="labels/ has no label set cd1; choose --label-set from: own"):
        read_labels(warehouse, "cd1")


def test_songs_of_one_artist_may_all_miss_the_train_split(tmp_path: Path) -> None:
    warehouse = Warehouse(str(tmp_path))
    write_songs(warehouse, [song(number, artist_id="AR1") for number in range(6)])
    write_labels(warehouse, {track(number): "Rap" for number in range(6)})
    (tmp_path / "duplicates.txt").write_text(f"%1\n{track(1)}\n{track(2)}\nbad\n")
    settings = DatasetSettings(
        str(tmp_path), shares=(0, 0.5, 0.5), min_examples=1, duplicates=str(tmp_path / "duplicates.txt")
    )
    with pytest.raises(
        UserError, match="none of 6 examples is in the train split: they are of 1 artist groups; change"
    ):
        make_dataset(cast(Any, None), settings)
    assert not warehouse.is_complete("rejected", "stage=dataset")


def test_a_dataset_without_a_split_or_with_one_genre_is_reported() -> None:
    def warnings(rows: tuple[int, int, int], labels: list[str], rare: dict[str, int]) -> list[str]:
        summary = DatasetSummary("dataset")
        metadata = {"rows": dict(zip(SPLITS, rows, strict=True)), "labels": labels, "rare_genres": rare}
        summary.warn_of_few(metadata, DatasetSettings())
        return summary.warnings

    assert warnings((5, 1, 1), ["Rap", "Rock"], {"Jazz": 1}) == []
    assert warnings((5, 1, 1), [], {}) == []  # no labels at all
    assert warnings((5, 0, 0), ["Rap", "Rock"], {}) == [
        "no example in validation, test, so models cannot be evaluated there; change --shares or --seed, or ingest "
        "more songs"
    ]
    (one,) = warnings((5, 1, 1), ["Rap"], {"Jazz": 1, "Pop": 2})
    assert one == (
        "the examples have one genre, Rap (3 songs of rare genres left out), so --target genre cannot be trained; "
        "lower --min-examples, or choose another --label-set"
    )
    (none,) = warnings((5, 1, 1), [], {"Jazz": 1})
    assert none.startswith("the examples have no genre (1 ")


def test_a_split_of_one_class_is_refused_before_training(tmp_path: Path) -> None:
    warehouse = write_tiny_dataset(tmp_path, {"train": [6, 5], "validation": [4], "test": []})

    def with_one_genre(table: pa.Table, _: str) -> pa.Table:
        place = table.schema.get_field_index("genre_index")
        return table.set_column(place, "genre_index", pa.array([1] * len(table), pa.int32()))

    copy_tiny_dataset(warehouse, "one", with_one_genre, {"name": "one"})
    dataset, tiny, ranks = Dataset.open(warehouse, "one"), Dataset.open(warehouse, "tiny"), Ranks.join()
    genre = target_of("genre", dataset)
    require_classes(tiny, target_of("genre", tiny), ranks, "train")
    for split, remedy in {"train": "write a dataset with more genres", "validation": "choose another split"}.items():
        message = f"all examples in {split} of dataset one have the same genre, {LABELS[1]}; {remedy}"
        with pytest.raises(UserError, match=message):
            require_classes(dataset, genre, ranks, split)
    with pytest.raises(UserError, match="dataset one has no example in test; write it with other --shares or more"):
        require_classes(dataset, genre, ranks, "test")


def test_a_one_class_evaluation_reports_no_perfect_metric() -> None:
    genre, predicted = target("genre", 3), predictions("genre", 12, 3)
    assert one_class_warning(genre, "test", judge(genre, predicted)["model"]) is None
    predicted.true[:] = 2
    predicted.scores[:] = np.array([0, 0, 1], np.float32)
    metrics = judge(genre, predicted)
    warning = one_class_warning(genre, "test", metrics["model"])
    assert warning is not None
    assert warning.startswith(
        "WARNING: all examples in test have the same genre, class 2, so accuracy, F1 and average "
    )
    assert "1.000" not in metrics_table({"test": metrics}, genre.headline_metrics)
    assert metrics["model"]["intervals"].keys() == {"log_loss"}
