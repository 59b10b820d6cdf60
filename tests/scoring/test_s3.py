"""A warehouse in an object store, a moto server on this machine, scored by the command as people type it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import SparkSession

from msd_spark.core.delta import LOG
from msd_spark.core.warehouse import Warehouse
from msd_spark.scoring.job import score
from msd_spark.scoring.settings import STATE_FILE, ScoreSettings
from tests.conftest import REPOSITORY
from tests.support.object_store import ObjectStore
from tests.support.scoring_runs import write_untrained_run
from tests.support.scoring_songs import write_lyrics, write_songs

BUCKET = "catalogue"


def scored(environment: dict[str, str]) -> str:
    command = [sys.executable, "jobs/score.py", "--warehouse", f"s3://{BUCKET}/w", "--run", "tiny", "--batch-size", "8"]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=os.environ | environment, capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return " ".join(done.stdout.split())


@pytest.mark.timeout(1200)
def test_a_warehouse_in_s3_is_scored_and_grows(spark: SparkSession, store: ObjectStore, tmp_path: Path) -> None:
    local = Warehouse(str(tmp_path / "w"))
    write_untrained_run(local, lyric_vectors="of these words")
    write_lyrics(local, [1, 3, 11])
    write_songs(local, [range(8)], 4)
    store.create(BUCKET)
    store.put_folder(BUCKET, Path(local.root), "w")
    # One core, because each worker imports TensorFlow.
    one_core = {"PYSPARK_SUBMIT_ARGS": "--master local[1] pyspark-shell"}
    server = store.environment() | one_core | {"PYTHONPATH": str(REPOSITORY)}
    summary = scored(server)
    assert "scored now 8" in summary
    write_songs(local, [range(8, 12)], 4, append=True)
    store.put_folder(BUCKET, Path(local.path("songs")), "w/songs")
    summary = scored(server)
    assert "scored now 4" in summary
    assert "scored before 8" in summary
    score(spark, ScoreSettings(local.root, "tiny", batch_size=8))
    downloaded = Warehouse(str(tmp_path / "downloaded"))
    for name, content in store.contents(BUCKET, "w/embeddings/tiny/").items():
        downloaded.write_file(content, "embeddings", "tiny", *name.split("/"))
    here, there = (one.read_table(None, "embeddings", "tiny").sort_by("track_id") for one in (local, downloaded))
    assert there["track_id"].equals(here["track_id"])
    assert there["has_lyrics"].equals(here["has_lyrics"])
    np.testing.assert_allclose(there["embedding"].to_pylist(), here["embedding"].to_pylist(), atol=1e-6)
    files = {file.name for file in downloaded.snapshot("embeddings", "tiny").files}
    state = Path(downloaded.file("embeddings", "tiny", STATE_FILE)).name
    assert {path.name for path in Path(downloaded.path("embeddings", "tiny")).iterdir()} == {*files, state, LOG}
