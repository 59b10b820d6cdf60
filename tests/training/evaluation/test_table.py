from __future__ import annotations

from typing import Any

from training.evaluation.table import metrics_table


def test_the_table_has_one_row_per_candidate_with_intervals() -> None:
    metrics: dict[str, dict[str, dict[str, Any]]] = {
        "test": {
            "model": {"examples": 61, "accuracy": 0.626, "macro_f1": 0.5, "intervals": {"accuracy": [0.571, 0.672]}},
            "artist_mean": {"examples": 61, "accuracy": 0.25, "macro_f1": None, "intervals": {"macro_f1": [0, 1]}},
        }
    }
    lines = metrics_table(metrics, ("accuracy", "macro_f1")).splitlines()
    assert lines[0].split() == ["split", "examples", "accuracy", "macro", "F1"]
    assert lines[2].split() == ["test", "model", "61", ".626", "[.571,", ".672]", ".500"]
    assert lines[3].split() == ["test", "artist", "mean", "61", ".250", "–"]
