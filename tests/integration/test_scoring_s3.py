"""A warehouse in an object store, a moto server on this machine, scored by the command as people type it."""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer
from pyspark.sql import SparkSession

from msd_spark.scoring.job import score
from msd_spark.scoring.settings import ScoreSettings
from msd_spark.warehouse import Warehouse
from tests.conftest import REPOSITORY
from tests.scoring_runs import write_untrained_run
from tests.scoring_songs import write_lyrics, write_songs

REGION, BUCKET = "us-east-1", "catalogue"


@pytest.fixture
def server() -> Iterator[dict[str, str]]:
    """The environment of who uses the server."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield {
        "AWS_ENDPOINT_URL_S3": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "someone",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "PYTHONPATH": str(REPOSITORY),
    }
    server.stop()


def scored(environment: dict[str, str]) -> str:
    command = [sys.executable, "jobs/score.py", "--warehouse", f"s3://{BUCKET}/w", "--run", "tiny", "--batch", "8"]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=os.environ | environment, capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return " ".join(done.stdout.split())


@pytest.mark.timeout(1200)
def test_a_warehouse_in_s3_is_scored_and_grows(spark: SparkSession, server: dict[str, str], tmp_path: Path) -> None:
    local = Warehouse(str(tmp_path / "w"))
    write_untrained_run(local, lyric_vectors="of these words")
    write_lyrics(local, [1, 3, 11])
    write_songs(local, [range(8), range(8, 12)], 4)
    store: Any = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
    store.create_bucket(BUCKET, REGION)
    later = "songs/part-0008.parquet"
    for path in Path(local.root).rglob("*"):
        if path.is_file() and not path.match(later):
            store.put_object(BUCKET, f"w/{path.relative_to(local.root)}", path.read_bytes())
    said = scored(server)
    assert "scored now 8" in said
    store.put_object(BUCKET, f"w/{later}", Path(local.path(later)).read_bytes())
    said = scored(server)
    assert "scored now 4" in said
    assert "scored before 8" in said
    score(spark, ScoreSettings(local.root, "tiny", batch=8))
    prefix = "w/embeddings/tiny/"
    found = {
        key.removeprefix(prefix): store.get_object(BUCKET, key).value
        for key in store.buckets[BUCKET].keys
        if key.startswith(prefix)
    }
    files = sorted(path.name for path in Path(local.path("embeddings", "tiny")).iterdir())
    assert sorted(name for name in found if name) == files
    remote = [pq.read_table(io.BytesIO(found[name])) for name in files if name.endswith(".parquet")]
    here = pq.read_table(local.path("embeddings", "tiny")).sort_by("track_id")
    there = pa.concat_tables(remote).sort_by("track_id")
    assert there["track_id"].equals(here["track_id"])
    assert there["has_lyrics"].equals(here["has_lyrics"])
    np.testing.assert_allclose(there["embedding"].to_pylist(), here["embedding"].to_pylist(), atol=1e-6)
    assert not [key for key in store.buckets[BUCKET].keys if key.startswith("w/_staging/") and "." in key]
