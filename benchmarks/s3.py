"""Measure jobs on an S3 server 20 ms away, the same jobs on a local disk, and the requests that they make.

The server is SeaweedFS behind a proxy that delays every response (`tests.support.local_s3`). A real store has machines
of its own, so server and proxy have half of the cores, and all jobs have the other half. Each job runs on both sides in
turn, and the best of each counts. Songs are read, and tables written, on the side that is measured.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
from pyspark.sql import SparkSession

from benchmarks import publish
from benchmarks.dataset import draw_segments, write_catalogue
from benchmarks.driver import accounted
from benchmarks.score import RUN, write_run
from benchmarks.training import BATCH, LABELS, write_dataset
from msd_spark.core.warehouse import Warehouse
from msd_spark.dataset.job import make_dataset
from msd_spark.dataset.settings import DatasetSettings
from msd_spark.ingest.job import ingest
from msd_spark.ingest.settings import IngestSettings
from msd_spark.scoring.job import score
from msd_spark.scoring.settings import ScoreSettings
from msd_spark.spark.session import start_spark
from msd_spark.synthetic.run import generate
from msd_spark.synthetic.settings import SyntheticSettings
from tests.support.local_s3.proxy import Proxy, Request, proxied
from tests.support.local_s3.server import Server, served
from training.data.dataset import Dataset
from training.data.feed import Feed, FeedSettings
from training.data.plan import plan_epoch
from training.data.readers.choice import ReadingSettings
from training.data.reading import batches
from training.data.targets import target_of

DELAY = 0.02
BUCKET = "bench"
SONG_FILES, TABLE_SONGS = 4_000, 16_000
ROUNDS = 2
FEED_FILES, FEED_ROUNDS = 48, 5
"""Files of the dataset that training reads, 7 MB each, and short runs per side."""

FILES = 200
"""Files of the tables whose requests are counted."""

UPLOADS = 16
MEBIBYTE = 1 << 20


@dataclass
class Bench:
    """The two sides of a run: a local folder, and a bucket behind a proxy."""

    session: SparkSession
    local: str
    proxy: Proxy
    rounds: int

    @property
    def roots(self) -> dict[str, str]:
        """Folder of each side."""
        return {"local": self.local, "s3": f"s3://{BUCKET}"}

    def compare(self, n_songs: int, job: Callable[[str, int], object]) -> dict[str, Any]:
        """Run a job of `(root, round)` on both sides in turn; return songs per second, requests and server time."""
        best = {"local": 0.0, "s3": 0.0}
        requests: list[Request] = []
        server = 0.0
        for number in range(self.rounds):
            for side, root in self.roots.items():
                self.proxy.clear()
                before, started = server_seconds(), time.perf_counter()
                job(root, number)
                rate = n_songs / (time.perf_counter() - started)
                if rate > best[side]:
                    best[side] = rate
                    if side == "s3":
                        requests, server = self.proxy.requests(), server_seconds() - before
        return best | {"ratio": best["s3"] / best["local"], "requests": requests, "server": server}

    def requests(self, job: Callable[[str], object]) -> list[Request]:
        """Return the requests of a job on S3."""
        self.proxy.clear()
        job(self.roots["s3"])
        return self.proxy.requests()


def server_seconds() -> float:
    """Return the processor time of the server and the proxy."""
    spent = 0.0
    for process in psutil.Process().children():
        if process.name() == "weed" or "tests.support.local_s3.forward" in process.cmdline():
            times = process.cpu_times()
            spent += times.user + times.system
    return spent


def upload(server: Server, folder: Path, prefix: str = "") -> None:
    """Copy the files of a folder to the bucket, past the proxy."""
    client = server.client()

    def put(path: Path) -> None:
        client.put_object(Bucket=BUCKET, Key=f"{prefix}{path.relative_to(folder)}", Body=path.read_bytes())

    with ThreadPoolExecutor(UPLOADS) as pool:
        list(pool.map(put, (path for path in folder.rglob("*") if path.is_file())))


def song_jobs(bench: Bench, server: Server, n_songs: int) -> dict[str, dict[str, Any]]:
    """Measure ingests of loose files and of tars."""
    folder = Path(bench.local)
    generate(SyntheticSettings(songs=n_songs, seed=7, packaging=("files", "tar"), broken=0), folder)
    upload(server, folder)

    def run(packaging: str) -> Callable[[str, int], object]:
        def job(root: str, number: int) -> None:
            warehouse = f"{root}/{packaging}-{number}"
            facts = ingest(bench.session, IngestSettings((f"{root}/{packaging}",), warehouse=warehouse)).facts
            assert facts["songs"] == n_songs
            if root == bench.local:
                shutil.rmtree(warehouse)

        return job

    ingest(bench.session, IngestSettings((f"{folder}/tar",), warehouse=f"{folder}/first", limit=n_songs // 4))
    results = {"ingest_tar": bench.compare(n_songs, run("tar")), "ingest_loose": bench.compare(n_songs, run("songs"))}
    for name in ("songs", "tar"):
        shutil.rmtree(folder / name)
    return results


def table_jobs(bench: Bench, n_songs: int) -> dict[str, dict[str, Any]]:
    """Measure the scoring and the dataset job."""
    segments = draw_segments(np.random.default_rng(7))
    for root in bench.roots.values():
        warehouse = Warehouse(f"{root}/warehouse")
        write_catalogue(warehouse, n_songs, segments)
        write_run(warehouse)
    bench.proxy.configure(DELAY)

    def score_job(root: str, _: int) -> None:
        assert (
            score(bench.session, ScoreSettings(f"{root}/warehouse", RUN, rescore=True)).facts["scored now"] == n_songs
        )

    def dataset_job(root: str, _: int) -> None:
        make_dataset(bench.session, DatasetSettings(f"{root}/warehouse", require=("genre",)))

    return {"score": bench.compare(n_songs, score_job), "dataset": bench.compare(n_songs, dataset_job)}


def feed_jobs(bench: Bench, server: Server, cache: Path) -> dict[str, dict[str, Any]]:
    """Measure reading an epoch into TensorFlow, without and with copies from an epoch before."""
    folder = Path(bench.local, "feed")
    write_dataset(folder, FEED_FILES)
    upload(server, folder, "feed/")
    settings = ReadingSettings(cache=str(cache))
    datasets = {root: Dataset.open(Warehouse(f"{root}/feed"), "bench", settings) for root in bench.roots.values()}
    for dataset in datasets.values():
        assert (dataset.reading.cache is None) == dataset.warehouse.is_local

    def epoch(root: str, number: int) -> None:
        dataset, rows = datasets[root], datasets[root].rows("train")
        target = target_of("genre", dataset)
        feed = Feed(dataset, target, FeedSettings(), np.ones(len(LABELS), np.float32), 0)
        (plan,) = plan_epoch(rows, ranks=1, global_batch=BATCH, seed=0, epoch=number)

        def read():  # type: ignore[no-untyped-def]
            options = {"window": 4, "seed": (0, number), "reading": dataset.reading}
            return batches(dataset.addresses("train"), rows, plan, dataset.geometry, target, **options)

        assert sum(int(batch.weights.shape[0]) for batch in feed.steps(read, number)) == sum(rows)

    def cold_epoch(root: str, number: int) -> None:
        for path in cache.glob("?" * 40):
            path.unlink()
        epoch(root, number)

    n_songs, repeated = sum(datasets[bench.local].rows("train")), replace(bench, rounds=FEED_ROUNDS)
    epoch(bench.local, 0)  # imports TensorFlow
    return {"feed_s3": repeated.compare(n_songs, cold_epoch), "feed_s3_warm": repeated.compare(n_songs, epoch)}


def committed(bench: Bench) -> dict[str, float]:
    """Return the requests per committed file: of a table written by the driver, and of an ingest."""

    def table(root: str) -> None:
        rows = pa.table({"number": [1, 2, 3]})
        with Warehouse(f"{root}/table").overwriting(rows.schema, "table") as writer:
            with ThreadPoolExecutor(UPLOADS) as pool:
                files = pool.map(lambda number: writer.destination.write(number, rows), range(FILES))
            writer.add(files)

    per_file = {"table": len(bench.requests(table)) / FILES}
    with accounted(256 * FILES):
        settings = IngestSettings(("s3://million/songs",), warehouse=f"{bench.roots['s3']}/accounted")
        requests = bench.requests(lambda _: ingest(bench.session, settings))
    return per_file | {"ingest": len(requests) / len(Warehouse(settings.warehouse).paths("songs"))}


def counted(requests: list[Request], method: str, kind: str = "") -> int:
    """Return the number of requests of a method and kind."""
    return sum(request.method == method and request.kind.startswith(kind) for request in requests)


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description="Measure jobs on an S3 server.")
    parser.add_argument("--songs", type=int, default=SONG_FILES, help="songs to ingest")
    parser.add_argument("--table-songs", type=int, default=TABLE_SONGS, help="songs to score and to make a dataset of")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="runs per side, of which the best counts")
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    for_server, for_jobs = cores[: len(cores) // 2] or cores, cores[len(cores) // 2 :]
    os.sched_setaffinity(0, for_server)  # processes that are started inherit it
    with tempfile.TemporaryDirectory() as name, served(Path(name, "s3")) as server, proxied(server.endpoint) as proxy:
        os.sched_setaffinity(0, for_jobs)
        server.create(BUCKET)
        os.environ |= server.environment(proxy.endpoint)
        session = start_spark("msd-spark benchmark")
        bench = Bench(session, f"{name}/local", proxy, options.rounds)
        proxy.configure(DELAY)
        results = song_jobs(bench, server, options.songs)
        proxy.configure()
        results |= table_jobs(bench, options.table_songs)
        per_file = committed(bench)
        session.stop()
        results |= feed_jobs(bench, server, Path(name, "cache"))
    rows = []
    for job, result in results.items():
        requests = result["requests"]
        counts = [counted(requests, "GET", "object"), counted(requests, "PUT"), len(requests)]
        rows.append((job, result["local"], result["s3"], result["ratio"], *counts, result["server"]))
    tars = [
        request for request in results["ingest_tar"]["requests"] if ".tar" in request.key and request.method == "GET"
    ]
    metrics = {f"{job}_over_local": result["ratio"] for job, result in results.items()}
    metrics["gets_per_mib_tar"] = len(tars) / (sum(request.sent for request in tars) / MEBIBYTE)
    metrics["requests_per_training_file"] = len(results["feed_s3"]["requests"]) / FEED_FILES
    metrics |= {f"requests_per_committed_file_{how}": value for how, value in per_file.items()}
    metrics["requests_per_committed_file"] = max(per_file.values())
    headers = ["job", "local, songs/s", "S3, songs/s", "ratio", "GETs", "PUTs", "requests", "server, core s"]
    publish("s3", headers, rows, metrics)


if __name__ == "__main__":
    main()
