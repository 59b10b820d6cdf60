from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from msd_spark.core.errors import UserError
from msd_spark.core.warehouse import Warehouse
from training.loop.checkpoints import Checkpoints
from training.loop.state import Best, TrainingState

SETTINGS = {"model": "cnn", "seed": 2, "training": {"batch_size": 8, "pools": (4, 2)}}
LAST = "models/r/_unfinished/checkpoints/last.npz"


def state(epoch: int) -> TrainingState:
    weights = (np.full((2, 3), epoch, np.float32),)
    return TrainingState(epoch, 0, weights, (), (), np.zeros((2, 2)), [{"epoch": epoch}], Best(epoch, 0.5, weights))


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    return Checkpoints(Warehouse(str(tmp_path)), "r", SETTINGS)


def test_the_last_one_written_is_read(checkpoints: Checkpoints, tmp_path: Path) -> None:
    assert checkpoints.read() is None
    for epoch in (1, 2):
        checkpoints.write(state(epoch))
    found = checkpoints.read()
    assert found is not None
    assert found.epoch == 2
    assert found.weights[0].tolist() == [[2.0] * 3] * 2
    assert [path.name for path in (tmp_path / LAST).parent.iterdir()] == ["last.npz"]


def test_a_write_that_fails_leaves_the_one_before(checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints.write(state(1))
    warehouse = checkpoints.warehouse

    class FullDisk:
        def __getattr__(self, name: str) -> Any:
            return getattr(checkpoints_filesystem, name)

        def move(self, source: str, target: str) -> None:
            raise OSError("No space left on device")

    checkpoints_filesystem = warehouse.filesystem
    with monkeypatch.context() as patch:
        patch.setattr(warehouse, "filesystem", FullDisk())
        with pytest.raises(UserError, match=r"checkpoint .*last\.npz cannot be written: No space left"):
            checkpoints.write(state(2))
    found = checkpoints.read()
    assert found is not None
    assert found.epoch == 1
    assert [info.base_name for info in warehouse.list_files(warehouse.root)] == ["last.npz"]


@pytest.mark.parametrize(
    ("others", "told"),
    [
        ({**SETTINGS, "seed": 3}, "seed was 2, now 3"),
        ({**SETTINGS, "training": {"batch_size": 16, "pools": (4, 2)}}, r"training\.batch_size was 8, now 16"),
        ({**SETTINGS, "dataset": "abc"}, "dataset was None, now abc"),
    ],
)
def test_other_settings_are_refused_by_name(checkpoints: Checkpoints, others: dict[str, object], told: str) -> None:
    checkpoints.write(state(1))
    with pytest.raises(UserError, match=rf"models/r was started with other settings: {told}\. .*--overwrite"):
        Checkpoints(checkpoints.warehouse, "r", others).read()
    assert Checkpoints(checkpoints.warehouse, "r", dict(reversed(SETTINGS.items()))).read() is not None


def test_half_a_checkpoint_is_told(checkpoints: Checkpoints, tmp_path: Path) -> None:
    checkpoints.write(state(1))
    whole = (tmp_path / LAST).read_bytes()
    (tmp_path / LAST).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"last\.npz cannot be read \(.*start over with --overwrite"):
        checkpoints.read()


def test_who_may_begin(checkpoints: Checkpoints, tmp_path: Path) -> None:
    for resume in (False, True):
        checkpoints.check_may_begin(resume=resume)
    checkpoints.write(state(1))
    checkpoints.check_may_begin(resume=True)
    with pytest.raises(UserError, match="models/r is unfinished; add --resume to the same command"):
        checkpoints.check_may_begin(resume=False)
    # A finished run is being overwritten, and that was interrupted.
    (tmp_path / "models" / "r" / "metadata.json").write_text('{"folder": "f"}')
    checkpoints.check_may_begin(resume=True)
    with pytest.raises(UserError, match="models/r exists already; choose another --run, or add --overwrite"):
        checkpoints.check_may_begin(resume=False)
    checkpoints.remove()
    assert not checkpoints.exist
    with pytest.raises(UserError, match=r"models/r is finished, without the last state \(--keep-checkpoints\)"):
        checkpoints.check_may_begin(resume=True)
    # Overwriting was interrupted before its first checkpoint.
    checkpoints.write(state(1))
    assert checkpoints.begin(resume=False, overwrite=True) is None
    assert checkpoints.begin(resume=True, overwrite=False) is None


def test_checkpoints_that_are_kept_go_with_the_run(checkpoints: Checkpoints, tmp_path: Path) -> None:
    checkpoints.write(state(3))
    with checkpoints.warehouse.replacing_folder("models", "r") as folder:
        checkpoints.copy_to(folder.path)
        folder.point_by_json("metadata.json", {})
    checkpoints.check_may_begin(resume=True)
    kept = checkpoints.read()
    assert kept is not None
    assert kept.epoch == 3
    names = {path.relative_to(tmp_path).as_posix() for path in (tmp_path / "models").rglob("*.*")}
    assert names == {"models/r/metadata.json", "/".join([*folder.names, "checkpoints/last.npz"])}
    assert not checkpoints.exist
