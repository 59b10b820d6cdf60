"""The gradient is that of the weighted mean over the global batch, whatever weighs and however many ranks share it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.tiny_dataset import write_tiny_dataset
from tests.training.loop.test_trainer import on_ranks

GLOBAL_BATCH, RANKS = 16, 2
SCRIPT = "tests/support/train_weighted.py"


def trained(folder: Path, target: str, n_ranks: int, rank: int) -> dict[str, np.ndarray]:
    with np.load(folder / f"{target}-{n_ranks}-{rank}.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of half a global batch each; a third of the examples has no genre, another no tags."""
    folder = tmp_path_factory.mktemp("weighted")
    rows = {"train": [GLOBAL_BATCH // RANKS] * 3 * RANKS, "validation": [], "test": []}
    write_tiny_dataset(folder / "w", rows, targets=True, missing=0.33)
    for n_ranks in (1, RANKS):
        done = on_ranks(n_ranks, "python", SCRIPT, folder / "w", folder, str(GLOBAL_BATCH))
        assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.mark.parametrize("target", ["genre-none", "tags-none", "genre-tags"])
def test_ranks_train_as_one_does(folder: Path, target: str) -> None:
    one = trained(folder, target, 1, 0)
    for rank in range(RANKS):
        several = trained(folder, target, RANKS, rank)
        for name, values in one.items():
            np.testing.assert_allclose(several[name], values, atol=2e-5, rtol=1e-4, err_msg=name)


@pytest.mark.parametrize("target", ["genre-none", "tags-none", "genre-tags"])
def test_all_ranks_end_with_the_same_weights_and_learned(folder: Path, target: str) -> None:
    first = trained(folder, target, RANKS, 0)
    for rank in range(1, RANKS):
        other = trained(folder, target, RANKS, rank)
        assert all(np.array_equal(first[name], other[name]) for name in first)
    assert first["losses"][1] < first["losses"][0]
