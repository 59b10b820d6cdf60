"""A dataset and a run in an object store: a local moto server, one rank."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.fork_server import forked
from tests.support.launched import SCRIPT, launched
from tests.support.object_store import ObjectStore
from tests.support.tiny_dataset import write_tiny_dataset
from training.loop.state import from_bytes

BUCKET = "trainings"


@pytest.mark.timeout(3_600)
def test_a_killed_run_on_s3_is_resumed(store: ObjectStore, tmp_path: Path) -> None:
    write_tiny_dataset(tmp_path / "w", {"train": [8, 6], "validation": [5], "test": [4]})
    store.create(BUCKET)
    store.put_folder(BUCKET, tmp_path / "w", "w")
    server = store.environment()
    command = (SCRIPT, "--warehouse", f"s3://{BUCKET}/w", "--dataset", "tiny", "--run", "r")
    options = ("--epochs", "2", "--batch-size", "2", "--checkpoint-steps", "2", "--keep-checkpoints")
    last = "w/models/r/_unfinished/checkpoints/last.npz"
    with launched(*command, *options, log=tmp_path / "killed", others=server) as training:
        training.wait_until(lambda: last in store.keys(BUCKET))
        training.process.kill()
        training.process.wait()
    found = store.contents(BUCKET)
    reached, _ = from_bytes(found[last])
    assert "w/models/r/metadata.json" not in found

    with launched(*command, *options, "--resume", log=tmp_path / "resumed", others=server | forked()) as training:
        training.succeed()
        assert f"r: resumed after {reached.place}" in training.said()
    run = store.contents(BUCKET, "w/models/r/")
    folder = json.loads(run.pop("metadata.json"))["folder"]
    assert run.pop("model_card.md").startswith(b"# ")
    assert {key.split("/")[0] for key in run} == {folder}
    run = {key.removeprefix(f"{folder}/"): content for key, content in run.items()}
    assert {"history.json", "metrics.json", "model.keras", "predictions/test.parquet"} <= set(run)
    assert [key for key in run if key.startswith("tensorboard/events.out.tfevents")]
    ended, _ = from_bytes(run["checkpoints/last.npz"])
    assert (ended.epoch, ended.step) == (2, 0)
