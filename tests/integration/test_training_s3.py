"""A dataset and a run in an object store: a moto server on this machine, one real rank."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer

from tests.integration.launched import SCRIPT, launched
from tests.tiny_dataset import write_tiny_dataset
from training.state import from_bytes

REGION = "us-east-1"
BUCKET = "trainings"


@pytest.fixture(scope="module")
def server() -> Iterator[dict[str, str]]:
    """The environment of who uses the server."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "someone",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    server.stop()


def contents() -> dict[str, bytes]:
    """Return every object of the bucket."""
    store: Any = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
    return {key: store.get_object(BUCKET, key).value for key in store.buckets[BUCKET].keys}


@pytest.mark.timeout(900)
def test_a_run_goes_from_s3_to_s3_by_way_of_its_checkpoints(server: dict[str, str], tmp_path: Path) -> None:
    write_tiny_dataset(tmp_path / "w", {"train": [8, 6], "validation": [5], "test": [4]})
    store = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
    store.create_bucket(BUCKET, REGION)
    for path in (tmp_path / "w").rglob("*"):
        if path.is_file():
            store.put_object(BUCKET, f"w/{path.relative_to(tmp_path / 'w')}", path.read_bytes())
    command = (sys.executable, SCRIPT, "--warehouse", f"s3://{BUCKET}/w", "--dataset", "tiny", "--run", "r")
    options = ("--epochs", "2", "--batch", "2", "--checkpoint-steps", "2", "--keep-checkpoints")
    last = "w/models/r/_unfinished/checkpoints/last.npz"
    with launched(*command, *options, log=tmp_path / "killed", others=server) as training:
        training.wait_until(lambda: last in store.buckets[BUCKET].keys)
        training.process.kill()
        training.process.wait()
    found = contents()
    reached, _ = from_bytes(found[last])
    assert "w/models/r/metadata.json" not in found

    with launched(*command, *options, "--resume", log=tmp_path / "resumed", others=server) as training:
        training.succeed()
        assert f"r: goes on after {reached.place}" in training.said()
    run = {
        key.removeprefix("w/models/r/"): content for key, content in contents().items() if key.startswith("w/models")
    }
    assert {"_SUCCESS", "metadata.json", "history.json", "model.keras", "predictions/test.parquet"} <= set(run)
    assert [key for key in run if key.startswith("tensorboard/events.out.tfevents")]
    assert not [key for key in contents() if "unfinished" in key or key.startswith("w/_staging/r")]
    ended, _ = from_bytes(run["checkpoints/last.npz"])
    assert (ended.epoch, ended.step) == (2, 0)
