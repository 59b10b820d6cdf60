"""The dataset card: splits, selection and limits."""

from __future__ import annotations

from typing import Any

from msd_spark.dataset.card import dataset_card

METADATA: dict[str, Any] = {
    "name": "genre",
    "fingerprint": "f00",
    "label_set": "cd1",
    "tags": ["rock"],
    "split_rule": {"by": "lists", "shares": (0.7, 0.1, 0.2), "seed": 0},
    "split_lists": ["a.txt", "b.txt", "c.txt"],
    "balance": {"kind": "none", "largest": 0, "others": 0, "seed": 0},
    "rows": {"train": 7, "validation": 1, "test": 2},
    "funnel_steps": [{"name": "songs", "tracks": 1200}],
    "tracks_by_genre": {"Jazz": {"train": 5, "validation": 1, "test": 2}},
}


def test_a_card_has_splits_selection_and_leaks() -> None:
    card = dataset_card(METADATA, 3)
    assert "by the lists a.txt, b.txt, c.txt" in card
    assert "3 artist groups are in several splits" in card
    assert "| Jazz     | 5       | 1            | 2      |" in card
    assert "1,200" in card


def test_an_artist_split_has_no_leak() -> None:
    rule = {"by": "artist", "shares": (0.7, 0.1, 0.2), "seed": 0}
    card = dataset_card(METADATA | {"split_rule": rule, "split_lists": []}, None)
    assert "by artist: 70% train, 10% validation, 20% test; seed 0. Every track is one row." in card
    balanced = dataset_card(METADATA | {"balance": {"kind": "caps", "largest": 9, "others": 3, "seed": 0}}, None)
    assert "Tracks of train are repeated or left out to balance genres (caps)." in balanced
    assert "metrics are too high" not in card
