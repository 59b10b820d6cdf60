"""Ranks that share the work of an evaluation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.tiny_dataset import write_tiny_dataset
from tests.training.loop.test_trainer import on_ranks

SCRIPT = "tests/support/evaluate_on_ranks.py"


def test_ranks_evaluate_as_one_does(tmp_path: Path) -> None:
    rows = {"train": [30, 20, 25], "validation": [9], "test": [8, 7]}
    write_tiny_dataset(tmp_path / "w", rows)
    metrics = []
    for n_ranks in (1, 2):
        done = on_ranks(n_ranks, "python", SCRIPT, tmp_path / "w", tmp_path / str(n_ranks))
        assert done.returncode == 0, done.stderr[-3000:]
        metrics += [json.loads((tmp_path / f"{n_ranks}-{rank}.json").read_text()) for rank in range(n_ranks)]
    one, *others = metrics
    assert set(one["test"]) >= {"model", "majority", "logistic regression", "gradient boosting"}
    for other in others:
        assert_close(other, one)


def assert_close(value: Any, expected: Any) -> None:
    """Compare nested metrics; sums of a fit depend on the number of threads."""
    if isinstance(expected, dict):
        assert value.keys() == expected.keys()
        value, expected = list(value.values()), list(expected.values())
    if isinstance(expected, list):
        assert len(value) == len(expected)
        for one, other in zip(value, expected, strict=True):
            assert_close(one, other)
    else:
        assert value == (pytest.approx(expected, rel=1e-6) if isinstance(expected, float) else expected)


def test_an_error_of_one_rank_is_that_of_all(tmp_path: Path) -> None:
    done = on_ranks(2, "python", SCRIPT, tmp_path, "fail")
    assert done.returncode != 0
    assert "number 1 is refused" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
