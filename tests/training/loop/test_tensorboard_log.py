from __future__ import annotations

from pathlib import Path

import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # type: ignore[import-untyped]

from msd_spark.core.warehouse import Warehouse
from training.loop.tensorboard_log import TENSORBOARD, TensorBoardLog

HISTORY = [
    {"epoch": 1, "loss": 2.0, "learning_rate": 0.5, "validation_macro_f1": 0.25},
    {"epoch": 2, "loss": 1.5, "learning_rate": 0.25, "validation_macro_f1": 0.5},
]


def points(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Read a log back the way TensorBoard does."""
    found = EventAccumulator(str(folder))
    found.Reload()
    return {
        name: [(event.step, float(tf.make_ndarray(event.tensor_proto))) for event in found.Tensors(name)]
        for name in found.Tags()["tensors"]
    }


EXPECTED = {
    "train/loss": [(1, 2.0), (2, 1.5)],
    "train/learning_rate": [(1, 0.5), (2, 0.25)],
    "validation/macro_f1": [(1, 0.25), (2, 0.5)],
}


@pytest.mark.parametrize("done", [0, 1])
def test_a_log_has_each_epoch_once_resumed_or_not(tmp_path: Path, done: int) -> None:
    warehouse = Warehouse(str(tmp_path))
    if done:
        # Killed in its second epoch after it was logged, and before its checkpoint.
        for figures in HISTORY:
            TensorBoardLog(warehouse, "r").write(figures)
    log = TensorBoardLog(warehouse, "r", HISTORY[:done])
    for figures in HISTORY[done:]:
        log.write(figures)
    assert points(tmp_path / "models" / "r" / "_unfinished" / TENSORBOARD) == EXPECTED
    with warehouse.replacing_folder("models", "r") as folder:
        log.copy_to(folder.path)
        folder.point_by_json("metadata.json", {})
    assert points(Path(folder.path, TENSORBOARD)) == EXPECTED
    assert not (tmp_path / "models" / "r" / "_unfinished").exists()
