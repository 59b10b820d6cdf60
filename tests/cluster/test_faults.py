"""Faults while stages run on the cluster: nothing is lost or doubled, and old tables stay readable at every moment."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pandas as pd
import pytest

from msd_spark.core.runs import HISTORY, run_file
from msd_spark.core.warehouse import Warehouse
from tests.cluster.cluster import Cluster
from tests.cluster.conftest import BUCKET, timed
from tests.cluster.reader import reading
from tests.cluster.stages import Stages, rows, tables
from tests.support.running import Running, nothing_left
from tools.local_s3.proxy import Fault


@dataclass
class Bench:
    """What every test here needs; `finished` has all tables of all stages."""

    cluster: Cluster
    stages: Stages
    finished: Warehouse

    @contextmanager
    def watched(self, *uris: str) -> Iterator[None]:
        """Read the finished tables, and those in other warehouses, in another process throughout a block.

        Each must have the rows of the finished table, whenever it exists.
        """
        network, warehouses = self.cluster.network, [self.stages.warehouse, *uris]
        with reading(network.folder / "seen.json", self.cluster.outside(), *warehouses) as seen:
            yield
        permitted = {table: [self.finished.read_table(None, *table).num_rows] for table in tables(self.finished)}
        expected = {Warehouse(uri).address(*table): n for uri in warehouses for table, n in permitted.items()}
        assert seen.errors == []
        assert seen.rows == {address: expected[address] for address in seen.rows}
        assert seen.n_reads > 100

    @contextmanager
    def faults(self, *faults: Fault, delay: float = 0.0) -> Iterator[None]:
        """Inject faults into requests of drivers and workers."""
        self.cluster.proxy.clear()
        self.cluster.proxy.configure(delay, faults, seed=1)
        try:
            yield
        finally:
            self.cluster.proxy.configure()

    def requested(self, method: str, key: str) -> bool:
        """Return whether a request has ended since `faults` began; `key` is a regular expression."""
        time.sleep(0.2)  # the proxy sends its whole log
        requests = self.cluster.proxy.requests()
        return any(one.method == method and re.search(key, one.key) for one in requests)

    def written(self, key: str) -> bool:
        """Return whether an object is in the store."""
        client = self.cluster.store.client()
        return bool(client.list_objects_v2(Bucket=BUCKET, Prefix=key).get("KeyCount"))

    def kill_driver(self, job: Running) -> None:
        self.cluster.kill("driver")
        job.kill()

    def check(self, before: dict[tuple[str, ...], pd.DataFrame], warehouse: Warehouse | None = None) -> None:
        """Check that tables have the rows that they had before, each once."""
        for table, expected in before.items():
            found = rows(warehouse or self.finished, *table, data=self.stages.bucket)
            pd.testing.assert_frame_equal(found, expected, check_exact=True, obj="/".join(table))

    def rows(self, *names: tuple[str, ...]) -> dict[tuple[str, ...], pd.DataFrame]:
        """Return the rows of finished tables."""
        return {table: rows(self.finished, *table, data=self.stages.bucket) for table in names}


INGESTED = (("songs",), ("rejected", "stage=ingest"), ("ledger",))


@pytest.fixture
def bench(cluster: Cluster, stages: Stages, finished: Warehouse) -> Iterator[Bench]:
    cluster.start_workers()
    yield Bench(cluster, stages, finished)
    cluster.clean_driver()


KILLED = {
    "ingest": (INGESTED, r"/songs/[^_]", "POST|PUT"),
    "dataset": ((("dataset", "genre"),), r"/dataset/genre/train/", "POST|PUT"),
    "score": ((("embeddings", "demo"),), r"/songs/[^_]", "GET"),
}


@pytest.mark.parametrize("verb", KILLED)
def test_a_worker_is_killed(bench: Bench, verb: str) -> None:
    names, key, methods = KILLED[verb]
    before, fresh = bench.rows(*names), f"s3://{BUCKET}/killed"
    words = {
        "ingest": bench.stages.ingest(fresh),
        "dataset": bench.stages.dataset(),
        "score": [*bench.stages.score(), "--rescore"],
    }
    with (
        timed(f"{verb}, a worker killed"),
        bench.watched(fresh),
        bench.faults(delay=0.05),
        nothing_left(bench.cluster.submitted(f"jobs/{verb}.py", *words[verb])) as job,
    ):
        job.wait_until(lambda: any(bench.requested(method, key) for method in methods.split("|")))
        assert not job.process.poll()
        bench.cluster.kill("worker1")
        job.succeed()
    assert not bench.cluster.network["worker1"].runs()
    bench.check(before, Warehouse(fresh) if verb == "ingest" else None)


def test_the_driver_is_killed_just_before_and_just_after_a_commit(bench: Bench) -> None:
    """The first commit of an ingest is that of the ledger; songs and rejections follow from it."""
    before, uri = bench.rows(*INGESTED), f"s3://{BUCKET}/restarted"
    log = r"restarted/ledger/_delta_log/.*\.json"
    words = ("jobs/ingest.py", *bench.stages.ingest(uri), "--commit-every", "1")
    held, unanswered = Fault("refuse", method="PUT", key=log), Fault("stall", method="PUT", key=log, seconds=600)
    with timed("ingest, the driver killed twice"), bench.watched(uri):
        with bench.faults(held), nothing_left(bench.cluster.submitted(*words)) as job:
            job.wait_until(lambda: bench.requested("PUT", log))
            bench.kill_driver(job)
        assert not bench.written("restarted/ledger/_delta_log/")
        with bench.faults(unanswered), nothing_left(bench.cluster.submitted(*words)) as job:
            job.wait_until(lambda: bench.written("restarted/ledger/_delta_log/"))
            bench.kill_driver(job)
        assert not bench.written("restarted/songs/_delta_log/")
        bench.cluster.submit(*words)
    bench.check(before, Warehouse(uri))
    stored = {path for path in Warehouse(uri).list_files(f"{BUCKET}/restarted/songs") if "_delta_log" not in path.path}
    assert len(stored) == len(Warehouse(uri).snapshot("songs").files)  # nothing of the killed drivers remains


def test_the_driver_is_killed_around_the_commit_that_replaces_a_table(bench: Bench) -> None:
    before = bench.rows(("dataset", "genre"))
    version = bench.finished.snapshot("dataset", "genre").version
    log = rf"dataset/genre/_delta_log/0*{version + 1}\.json"
    words = ("jobs/dataset.py", *bench.stages.dataset())
    key = f"warehouse/dataset/genre/_delta_log/{version + 1:020d}.json"
    faults = (Fault("refuse", method="PUT", key=log), Fault("stall", method="PUT", key=log, seconds=600))
    with timed("dataset, the driver killed twice"), bench.watched():
        for fault, landed in zip(faults, (False, True), strict=True):
            with bench.faults(fault), nothing_left(bench.cluster.submitted(*words)) as job:
                job.wait_until(lambda: bench.written(key) if landed else bench.requested("PUT", log))  # noqa: B023
                bench.kill_driver(job)
            assert bench.written(key) is landed
            bench.check(before)


def test_failing_puts_inside_commits(bench: Bench) -> None:
    """One PUT of a commit fails, one loses its answer, and one is refused for good: its stage fails, others do not."""
    tables = [("lyrics",), ("labels",), ("tags",), ("plays",), ("popularity",), ("dataset", "genre")]
    before = bench.rows(*tables)
    faults = (
        Fault("refuse", method="PUT", key=r"/lyrics/_delta_log/", first=1, status=500, code="InternalError"),
        Fault("lose", method="PUT", key=r"/labels/_delta_log/", first=1),
        Fault("refuse", method="PUT", key=r"/plays/_delta_log/", status=403, code="AccessDenied"),
    )
    side_tables = bench.stages.side_tables()
    with timed("failing PUTs"), bench.watched(), bench.faults(*faults):
        job = bench.cluster.submitted_several({verb: side_tables[verb] for verb in ("lyrics", "labels", "plays")})
        with nothing_left(job):
            assert job.status() == 2
    assert job.said().splitlines()[-1] == "failed: plays"
    bench.check(before)


def test_a_share_of_responses_is_slow_down(bench: Bench) -> None:
    """5 % of all responses are 503, in every stage."""
    fresh = f"s3://{BUCKET}/slow"
    before = bench.rows(*tables(bench.finished))
    of_run = bench.stages.of_run()
    of_run["score"] = [*of_run["score"], "--rescore"]
    with bench.watched(fresh), bench.faults(Fault("refuse", share=0.05)):
        with timed("all Spark stages with 5 % 503"):
            bench.cluster.submit_several({"ingest": bench.stages.ingest(fresh)} | bench.stages.side_tables() | of_run)
        with timed("train with 5 % 503"):
            bench.cluster.train(*bench.stages.train("again"))
        assert sum(one.fault == "refuse" for one in bench.cluster.proxy.requests()) > 30
    bench.check({name: before[name] for name in INGESTED}, Warehouse(fresh))
    bench.check(before)
    histories = [bench.finished.read_json(*run_file(bench.finished, run, HISTORY)) for run in ("demo", "again")]
    assert histories[0] == histories[1]
