"""The datasets of folds with a second target."""

from __future__ import annotations

from pathlib import Path

from tests.support.tiny_dataset import write_tiny_dataset
from training.comparing.folds import fold_datasets
from training.data.dataset import Dataset
from training.data.targets import target_of


def songs_of(dataset: Dataset, split: str) -> list[tuple[str, str, float, float]]:
    columns = ["track_id", "artist_group", "has_genre", "has_tags"]
    tables = [dataset.read(split, number, columns) for number in range(len(dataset.rows(split)))]
    return [tuple(row[name] for name in columns) for table in tables for row in table.to_pylist()]


def test_songs_with_only_the_second_target_join_the_train_split(tmp_path: Path) -> None:
    warehouse = write_tiny_dataset(
        tmp_path, {"train": [50], "validation": [40], "test": [30]}, targets=True, missing=0.3
    )
    source = Dataset.open(warehouse, "tiny")
    genre, tags = target_of("genre", source), target_of("tags", source)
    everything = [song for split in ("train", "validation", "test") for song in songs_of(source, split)]
    for name in fold_datasets(source, genre, "both", 3, 0, also=tags):
        dataset = Dataset.open(warehouse, name)
        train, *others = (songs_of(dataset, split) for split in ("train", "validation", "test"))
        held_out = [song for part in others for song in part]
        assert all(has_genre for _, _, has_genre, _ in held_out)
        artists = {artist for _, artist, _, _ in held_out}
        expected = {song[0] for song in everything if (song[2] or song[3]) and song[1] not in artists}
        assert {song[0] for song in train} == expected
        assert any(not has_genre for _, _, has_genre, _ in train)
