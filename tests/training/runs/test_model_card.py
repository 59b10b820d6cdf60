"""The model card: metrics with intervals, evaluations and limits."""

from __future__ import annotations

from typing import Any

from training.runs.model_card import model_card

METADATA: dict[str, Any] = {
    "run": "demo",
    "model": "cnn",
    "parameters": 12345,
    "target": {"name": "genre", "class_names": ["Jazz", "Rap"]},
    "arguments": {"inputs": "both"},
    "git_revision": "abc",
    "dataset": {"name": "genre", "fingerprint": "f00", "split_rule": {"by": "artist"}, "training_examples": 700},
}


def candidate(accuracy: float) -> dict[str, Any]:
    return {"examples": 90, "accuracy": accuracy, "intervals": {"accuracy": [accuracy - 0.1, accuracy + 0.1]}}


def test_a_card_has_data_metrics_with_intervals_and_limits() -> None:
    card = model_card(METADATA, {"test": {"model": candidate(0.6), "majority": candidate(0.3)}}, {})
    assert "700 examples of the train split of dataset `genre`" in card
    row = next(line for line in card.splitlines() if "| model " in line and "genre, test" in line)
    assert ".600 [.500, .700]" in row
    assert "majority" in card
    assert "## Limits" in card
    assert "split by track" not in card


def test_a_card_names_leaks() -> None:
    by_track = METADATA | {"dataset": METADATA["dataset"] | {"split_rule": {"by": "track"}}}
    leak = {"examples": 90, "examples_of_known_artists": 40}
    content = {"figures": {"model": candidate(0.7)}, "leak": leak}
    card = model_card(by_track, {}, {"other-test": content})
    assert "test songs are by artists of training songs" in card
    assert "other-test: 40 of 90 examples are by artists of training examples" in card
    assert "other-test (evaluate)" in card
