"""Measure every pipeline stage on an S3 server with 20 ms latency.

Two catalogue sizes separate the fixed seconds from the songs per second. Each stage is a separate process, as on a
cluster, so the fixed seconds include starting Spark, requests and commits.
``python -m benchmarks.stages --write`` writes the rates to ``infra/rates.toml``, from which ``msd-spark aws cost``
estimates a run on AWS.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import tomli_w

from benchmarks.s3 import BUCKET, DELAY, upload
from msd_spark.aws.cost import RATES
from msd_spark.pipeline.running import stage_command
from msd_spark.pipeline.settings import PipelineOptions, make_plan
from msd_spark.pipeline.stages import BY_NAME, NAMES
from msd_spark.synthetic.run import generate
from msd_spark.synthetic.settings import SyntheticSettings
from tests.support.local_s3.proxy import proxied
from tests.support.local_s3.server import served

SIZES = (1_000, 24_000)
EPOCHS = 2

RESOLUTION = 2.0
"""Difference in seconds below which the two sizes do not differ."""


def seconds_of_stages(n_songs: int) -> dict[str, float]:
    """Run every stage for a generated catalogue in a bucket; return the seconds of each."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        generate(SyntheticSettings(songs=n_songs, seed=7, packaging=("tar",), broken=0), folder / "data")
        (folder / "data" / "tar").rename(folder / "data" / "songs")
        with served(folder / "server") as server, proxied(server.endpoint, delay=DELAY) as proxy:
            server.create(BUCKET)
            upload(server, folder / "data", "data/")
            shutil.rmtree(folder / "data")
            options = PipelineOptions(
                data=f"s3://{BUCKET}/data", warehouse=f"s3://{BUCKET}/warehouse", epochs=EPOCHS, ranks=1
            )
            environment = os.environ | server.environment(proxy.endpoint)
            os.environ.update(server.environment(proxy.endpoint))
            plan = make_plan(options)
            return {name: seconds(name, stage_command(BY_NAME[name], plan), environment) for name in NAMES}


def seconds(name: str, command: list[str], environment: dict[str, str]) -> float:
    """Return the time that the command of a stage takes; it must succeed."""
    started = time.perf_counter()
    outcome = subprocess.run(command, env=environment, capture_output=True, text=True)
    if outcome.returncode:
        sys.exit(f"{' '.join(command)}\n{outcome.stdout[-2000:]}\n{outcome.stderr[-2000:]}")
    elapsed = time.perf_counter() - started
    print(f"{name:<18}{elapsed:8.1f} s", flush=True)
    return elapsed


def rates(small: dict[str, float], large: dict[str, float]) -> dict[str, Any]:
    """Return fixed seconds and songs per second and core of each stage, from its seconds at the two sizes."""
    cores = len(os.sched_getaffinity(0))
    stages = {}
    for name in NAMES:
        per_song = max(large[name] - small[name], RESOLUTION) / (SIZES[1] - SIZES[0])
        used = 1 if name in ("train", "listen") else cores
        stages[name] = {
            "seconds": round(max(0.0, small[name] - per_song * SIZES[0]), 1),
            "songs_per_second": round(1 / per_song / used, 1),
        }
    return stages


def main() -> None:
    """Measure, print, and write with ``--write``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write infra/rates.toml")
    arguments = parser.parse_args()
    small, large = map(seconds_of_stages, SIZES)
    stages = rates(small, large)
    content = {
        "measured": datetime.date.today(),
        "machine": f"{len(os.sched_getaffinity(0))} cores, {platform.machine()}",
        "songs": list(SIZES),
        "latency_ms": round(DELAY * 1000),
        "epochs": EPOCHS,
        "stages": stages,
    }
    for name in NAMES:
        print(f"{name:<18}{small[name]:8.1f}{large[name]:8.1f} s  {stages[name]}")
    if arguments.write:
        RATES.write_text(
            "# Written by `python -m benchmarks.stages --write`. Per stage: seconds that do not depend on the\n"
            "# number of songs (start, requests, commits), and songs per second and core (train: all epochs).\n"
            + tomli_w.dumps(content)
        )


if __name__ == "__main__":
    main()
