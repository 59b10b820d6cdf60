"""Faults while stages run on the cluster: nothing is lost or doubled, and old tables stay readable at every moment."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
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
from tests.support.launched import without_times
from tests.support.local_s3.proxy import Fault
from tests.support.running import nothing_left


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

    def requested(self, methods: str, key: str) -> bool:
        """Return whether such a request has ended since the proxy's log was cleared; both are regular expressions."""
        time.sleep(0.2)  # the proxy sends its whole log
        requests = self.cluster.proxy.requests()
        return any(re.fullmatch(methods, one.method) and re.search(key, one.key) for one in requests)

    def written(self, key: str) -> bool:
        """Return whether an object is in the store."""
        client = self.cluster.store.client()
        return bool(client.list_objects_v2(Bucket=BUCKET, Prefix=key).get("KeyCount"))

    def kill_at_commit(self, words: Mapping[str, Sequence[str]], key: str, *, landed: bool) -> None:
        """Run verbs, and kill the driver just before a commit reaches the store, or before its answer arrives."""
        fault = Fault("stall" if landed else "refuse", method="PUT", key=re.escape(key), seconds=600)
        with self.faults(fault), nothing_left(self.cluster.submitted_several(words)) as job:
            job.wait_until(lambda: self.written(key) if landed else self.requested("PUT", re.escape(key)))
            self.cluster.kill("driver")
            job.kill()
        self.cluster.clean("driver")
        assert self.written(key) is landed

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
    cluster.kill("driver")
    cluster.clean("driver")


KILLED = (
    ("worker1", "POST|PUT", r"/killed/songs/[^_]"),
    ("worker2", "POST|PUT", r"/dataset/genre/train/"),
    ("worker1", "GET", r"/warehouse/songs/[^_].*"),
)
"""The machine to kill when a worker of ingest, dataset and score has made such a request."""


def test_a_worker_is_killed_during_ingest_dataset_and_score(bench: Bench) -> None:
    fresh = f"s3://{BUCKET}/killed"
    before = bench.rows(*INGESTED, ("dataset", "genre"), ("embeddings", "demo"))
    score = [*bench.stages.score(), "--rescore"]
    words = {"ingest": bench.stages.ingest(fresh), "dataset": bench.stages.dataset(), "score": score}
    with timed("ingest, dataset and score, workers killed"), bench.watched(fresh), bench.faults(delay=0.02):
        with nothing_left(bench.cluster.submitted_several(words)) as job:
            for number, (name, methods, key) in enumerate(KILLED):
                if number == 2:
                    job.wait_until(lambda: "\ndataset\n" in job.said())  # dataset reads songs too
                    bench.cluster.proxy.clear()
                job.wait_until(lambda: bench.requested(methods, key))  # noqa: B023
                bench.cluster.kill(name)
                assert not bench.cluster.network[name].runs()
                bench.cluster.start_workers()
            job.succeed()
        assert job.said().count("worker lost") >= len(KILLED)
    bench.check({table: before[table] for table in INGESTED}, Warehouse(fresh))
    bench.check(before)


def test_the_driver_is_killed_just_before_and_just_after_a_commit(bench: Bench) -> None:
    """The first commit of an ingest is that of the ledger, from which songs and rejections follow; dataset has one."""
    dataset, uri = ("dataset", "genre"), f"s3://{BUCKET}/restarted"
    before, version = bench.rows(*INGESTED, dataset), bench.finished.snapshot(*dataset).version
    ingest = {"ingest": [*bench.stages.ingest(uri), "--commit-every", "1"]}
    ledger = f"restarted/ledger/_delta_log/{0:020d}.json"
    examples = f"warehouse/dataset/genre/_delta_log/{version + 1:020d}.json"
    with timed("ingest and dataset, the driver killed"), bench.watched(uri):
        bench.kill_at_commit(ingest, ledger, landed=False)
        bench.kill_at_commit(ingest, ledger, landed=True)
        assert not bench.written("restarted/songs/_delta_log/")
        bench.kill_at_commit(ingest | {"dataset": bench.stages.dataset()}, examples, landed=False)
        bench.check({table: before[table] for table in INGESTED}, Warehouse(uri))
        bench.check({dataset: before[dataset]})
        bench.kill_at_commit({"dataset": bench.stages.dataset()}, examples, landed=True)
        bench.check({dataset: before[dataset]})
    files = Warehouse(uri).list_files(f"{BUCKET}/restarted/songs")
    n_stored = sum("_delta_log" not in info.path for info in files)
    assert n_stored == len(Warehouse(uri).snapshot("songs").files)  # no file of the killed drivers remains


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
    assert "AccessDenied" in job.said() or "permission" in job.said()
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
    assert without_times(histories[0]) == without_times(histories[1])
