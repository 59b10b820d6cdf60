"""Simulate feeding 4 to 16 GPUs with a million songs from S3; measure the time spent waiting.

The plan of the epoch, the shuffling, the cache of each machine and the prefetching are the product's. The network, the
decoding of rows and the training step are stand-ins that take the stated time: a GPU is not at hand, and 16 ranks would
share the cores of this machine. All times are multiplied by `SLOWER`, so that the work of the product itself, which
this machine does for all ranks, counts for little.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks import publish
from training.data.assembly import Columns, StreamRows, Tally
from training.data.cache.folder import MARK, CacheFolder, Copy
from training.data.cache.lookahead import Cache
from training.data.plan import RankPlan, plan_epoch
from training.data.prefetch import prefetched

FILES, ROWS_PER_FILE = 4000, 256
"""A million songs."""

ROW_BYTES = 28_800
LATENCY, CONNECTION, NETWORK = 0.02, 90e6, 1.25e9
"""Seconds to the first byte, and bytes per second of a connection and of a machine (10 Gbit/s)."""

DECODE = 60e-6
"""Seconds to read and assemble a row from a local file, on a core of its own (`make bench-training`)."""

BATCH, STEP = 128, 0.02
"""Examples per GPU and step, and seconds of a step: 6,400 examples per second."""

GPUS_PER_MACHINE = 4
SLOWER = 2.0

STUB = 2 * MARK
"""Content of a file in the cache; its size represents that of a file."""


@dataclass
class Network:
    """The network of a machine, whose connections share its rate."""

    lock: threading.Lock
    open_connections: int = 0

    def fetch(self, size: int) -> None:
        """Wait for the time that a file of `size` bytes takes."""
        with self.lock:
            self.open_connections += 1
        rate = min(CONNECTION, NETWORK / self.open_connections)
        time.sleep((LATENCY + size / rate) * SLOWER)
        with self.lock:
            self.open_connections -= 1


@dataclass
class TimedCache(Cache):
    """A cache of stubs; fetching one takes the time of a file over `network`."""

    network: Network | None = None

    def _fetch(self, address: str, name: str | None) -> Copy | None:
        assert self.network is not None
        network = self.network

        def read() -> list[bytes]:
            network.fetch(ROWS_PER_FILE * ROW_BYTES)
            return [STUB]

        return self.folder.fetch(self.name(address), len(STUB), read)


def batches(plan: RankPlan, cache: TimedCache, epoch: int) -> Iterator[int]:
    """Yield the number of rows of each step of a rank, after the time that reading them takes."""

    def read(files: list[int]) -> Iterator[Columns]:
        for ready in cache.ahead([str(file) for file in files]):
            for _ in ready:
                time.sleep(ROWS_PER_FILE * DECODE * SLOWER)
                yield {"row": np.zeros(ROWS_PER_FILE, np.int8)}

    tally, rows = Tally(), [ROWS_PER_FILE] * FILES
    streams = [StreamRows(share, read, rows, window=4, seed=(0, epoch), tally=tally) for share in plan.shares]
    for _ in range(plan.steps):
        n_rows = 0
        for stream in streams:
            if stream.window is not None:
                n_rows = stream.fill(stream.window.empty(plan.batch), n_rows)
        yield n_rows
    assert tally.read == tally.planned


def epoch_of_rank(plan: RankPlan, cache: TimedCache, epoch: int, barrier: Any) -> tuple[float, int]:
    """Return the share of an epoch in which a GPU waits for its own input or that of others, and the rows."""
    started, n_rows = time.perf_counter(), 0
    for rows in prefetched(lambda: batches(plan, cache, epoch)):
        n_rows += rows
        barrier.wait()  # the gradients of all ranks are added
        time.sleep(STEP * SLOWER)
    return 1 - plan.steps * STEP * SLOWER / (time.perf_counter() - started), n_rows


def simulate(gpus: int, share_cached: float) -> list[float]:
    """Return the mean share of time that GPUs wait, in a first epoch and a second one.

    The cache of each machine holds a share of the dataset.
    """
    sizes = {str(file): len(STUB) for file in range(FILES)}
    machines = -(-gpus // GPUS_PER_MACHINE)
    with tempfile.TemporaryDirectory() as root:
        folders = [
            CacheFolder(f"{root}/{machine}", int(share_cached * FILES * len(STUB))) for machine in range(machines)
        ]
        networks = [Network(threading.Lock()) for _ in range(machines)]
        caches = [
            TimedCache(folders[rank // GPUS_PER_MACHINE], sizes, "1", networks[rank // GPUS_PER_MACHINE])
            for rank in range(gpus)
        ]
        shares = []
        for epoch in range(2):
            plans = plan_epoch(
                [ROWS_PER_FILE] * FILES, ranks=gpus, global_batch=gpus * BATCH, streams=gpus, seed=0, epoch=epoch
            )
            barrier = threading.Barrier(gpus)
            with ThreadPoolExecutor(gpus) as pool:
                done = list(pool.map(epoch_of_rank, plans, caches, [epoch] * gpus, [barrier] * gpus))
            assert sum(rows for _, rows in done) == FILES * ROWS_PER_FILE
            shares.append(float(np.mean([share for share, _ in done])))
    return shares


def main() -> None:
    """Simulate and publish."""
    rows: list[tuple[str, float]] = []
    metrics = {}
    for gpus in (4, 8, 16):
        for share in (1.0, 0.25):
            first, second = simulate(gpus, share)
            rows += [
                (f"{gpus} GPUs, cache of {share:.0%} per machine: first epoch", first),
                (f"{gpus} GPUs, cache of {share:.0%} per machine: second epoch", second),
            ]
            metrics[f"waiting_at_{gpus}_gpus_cache_{share:.0%}"] = second
    publish("catalogue", ["simulation", "share of time waiting"], rows, metrics)


if __name__ == "__main__":
    main()
