"""A proxy in front of an S3 server that delays responses, logs requests and injects faults.

It runs in its own process (``tests.support.local_s3.forward``), so that the load of the caller does not slow it down.
Host headers pass unchanged: requests are signed for the proxy's address and the server accepts them.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pytest

from msd_spark.core import object_store
from tests.support.local_s3.server import Server

STOP_SECONDS = 10


@dataclass(frozen=True)
class Fault:
    """One way in which matching requests fail; the first fault that applies to a request is used.

    Parameters
    ----------
    kind : str
        ``refuse``: an error response; the server never sees the request. ``reset``: the connection is reset; the server
        never sees the request. ``lose``: the server handles the request, then the connection is reset. ``cut``: the
        connection is reset after half of the response's body. ``stall``: no response for `seconds`.
    share : float
        Probability that a matching request fails.
    first : int, optional
        Only that many requests fail.
    method, key : str
        Regular expressions. `method` matches the complete method; `key` is searched in ``bucket/key?query``.
    status : int
        HTTP status of ``refuse``.
    code : str
        S3 error code of ``refuse``.
    seconds : float
        Length of a stall.
    """

    kind: Literal["refuse", "reset", "lose", "cut", "stall"]
    share: float = 1.0
    first: int | None = None
    method: str = ".*"
    key: str = ""
    status: int = 503
    code: str = "SlowDown"
    seconds: float = 0.0


class Request(NamedTuple):
    """One logged request.

    `kind` is ``object``, ``list``, ``bucket``, ``multipart``, ``delete`` (of many keys at once) or ``copy``; `fault` is
    empty if none was injected; `status` is 0 if no response was sent; `started` and `seconds` are by the proxy's clock.
    """

    method: str
    kind: str
    key: str
    range: str
    status: int
    fault: str
    received: int
    sent: int
    started: float
    seconds: float


class Proxy:
    """The caller's side of a running proxy; its methods may be called from any thread."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._lock = threading.Lock()
        self.endpoint: str = self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the S3 proxy ended; its standard error says why")
        return json.loads(line)

    def _call(self, **command: Any) -> Any:
        assert self._process.stdin
        with self._lock:
            self._process.stdin.write(json.dumps(command).encode() + b"\n")
            self._process.stdin.flush()
            return self._answer()

    def configure(self, delay: float = 0.0, faults: Sequence[Fault] = (), seed: int = 0) -> None:
        """Set the delay before each response, in seconds, and the faults; restart random draws and counts of faults."""
        self._call(delay=delay, faults=[asdict(fault) for fault in faults], seed=seed)

    def requests(self) -> list[Request]:
        """Return the requests that ended since the log was cleared, in the order of their ends."""
        return [Request(*row) for row in self._call(requests=True)]

    def clear(self) -> None:
        """Empty the log."""
        self._call(clear=True)

    def counts(self) -> Counter[tuple[str, str]]:
        """Return the number of logged requests by method and kind."""
        return Counter((request.method, request.kind) for request in self.requests())


@contextmanager
def proxied(endpoint: str, address: str = "127.0.0.1", delay: float = 0.0) -> Iterator[Proxy]:
    """Run a proxy in front of a server until the block ends.

    Parameters
    ----------
    endpoint : str
        Address of the server.
    address : str
        Address of this machine at which the proxy listens, on a free port.
    delay : float
        Seconds before each response.
    """
    # It ends when its standard input does, even if this process is killed.
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.local_s3.forward", endpoint, address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).resolve().parents[3],
    )
    try:
        proxy = Proxy(process)
        proxy.configure(delay)
        yield proxy
    finally:
        assert process.stdin
        process.stdin.close()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def used_here(server: Server, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """Let this process use a server through its proxy, without faults and earlier requests."""
    for name, value in server.environment(proxy.endpoint).items():
        monkeypatch.setenv(name, value)
    object_store._store.cache_clear()
    proxy.clear()
    yield proxy
    proxy.configure()
    object_store._store.cache_clear()
