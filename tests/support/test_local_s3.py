"""The S3 server of tests and the proxy in front of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError, ConnectionClosedError, HTTPClientError

from tests.support.local_s3.proxy import Fault, Proxy, proxied
from tests.support.local_s3.server import READER, Server, served

BUCKET = "objects"
CONTENT = bytes(range(256)) * 4096


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("s3")) as server:
        server.create(BUCKET)
        server.client().put_object(Bucket=BUCKET, Key="a/object", Body=CONTENT)
        yield server


@pytest.fixture(scope="module")
def running(server: Server) -> Iterator[Proxy]:
    with proxied(server.endpoint) as proxy:
        yield proxy


@pytest.fixture
def proxy(running: Proxy) -> Proxy:
    running.configure()
    running.clear()
    return running


@pytest.fixture
def client(server: Server, proxy: Proxy) -> Any:
    return server.client(proxy.endpoint)


def get(client: Any, **options: str) -> bytes:
    return bytes(client.get_object(Bucket=BUCKET, Key="a/object", **options)["Body"].read())


def test_the_reader_may_not_write(server: Server) -> None:
    reader = server.client(identity=READER)
    assert get(reader) == CONTENT
    with pytest.raises(ClientError, match="AccessDenied"):
        reader.put_object(Bucket=BUCKET, Key="other", Body=b"")


def test_a_second_conditional_put_fails(client: Any) -> None:
    client.put_object(Bucket=BUCKET, Key="once", Body=b"1", IfNoneMatch="*")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        client.put_object(Bucket=BUCKET, Key="once", Body=b"2", IfNoneMatch="*")


def test_requests_are_logged_by_method_and_kind(client: Any, proxy: Proxy) -> None:
    client.put_object(Bucket=BUCKET, Key="b/new object", Body=CONTENT)
    assert get(client, Range="bytes=3-9") == CONTENT[3:10]
    assert client.head_object(Bucket=BUCKET, Key="a/object")["ContentLength"] == len(CONTENT)
    keys = [entry["Key"] for entry in client.list_objects_v2(Bucket=BUCKET, Prefix="b/")["Contents"]]
    client.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": key} for key in keys]})
    assert keys == ["b/new object"]
    assert proxy.counts() == {
        ("PUT", "object"): 1,
        ("GET", "object"): 1,
        ("HEAD", "object"): 1,
        ("GET", "list"): 1,
        ("POST", "delete"): 1,
    }
    put, part = proxy.requests()[:2]
    assert (put.key, put.status, put.received >= len(CONTENT)) == (f"{BUCKET}/b/new object", 200, True)
    assert (part.range, part.status, part.sent) == ("bytes=3-9", 206, 7)


def test_sixty_four_connections_wait_at_the_same_time(client: Any, proxy: Proxy) -> None:
    proxy.configure(delay=0.5)
    with ThreadPoolExecutor(64) as pool:
        assert set(pool.map(lambda _: get(client), range(64))) == {CONTENT}
    requests = proxy.requests()
    assert min(request.seconds for request in requests) >= 0.5
    span = max(r.started + r.seconds for r in requests) - min(r.started for r in requests)
    assert sum(request.seconds for request in requests) > 8 * span


def test_a_share_is_refused_the_same_share_for_the_same_seed(client: Any, proxy: Proxy) -> None:
    def status() -> str:
        try:
            return str(len(get(client)))
        except ClientError as error:
            return str(error.response["Error"]["Code"])

    def statuses() -> list[str]:
        proxy.configure(faults=[Fault("refuse", share=0.5)], seed=3)
        return [status() for _ in range(20)]

    first = statuses()
    assert set(first) == {str(len(CONTENT)), "SlowDown"}
    assert statuses() == first
    assert {request.status for request in proxy.requests()} == {200, 503}


def test_the_first_matching_requests_fail(client: Any, proxy: Proxy) -> None:
    proxy.configure(faults=[Fault("refuse", first=2, method="GET", key="a/obj", status=400, code="ExpiredToken")])
    client.put_object(Bucket=BUCKET, Key="a/objective", Body=b"")
    for _ in range(2):
        with pytest.raises(ClientError, match="ExpiredToken"):
            get(client)
    assert get(client) == CONTENT


@pytest.mark.parametrize(("kind", "written"), [("reset", False), ("lose", True)])
def test_a_reset_put_reaches_the_server_only_if_its_response_is_lost(
    client: Any, proxy: Proxy, kind: Any, written: bool
) -> None:
    proxy.configure(faults=[Fault(kind, first=1, method="PUT")])
    with pytest.raises(ConnectionClosedError):
        client.put_object(Bucket=BUCKET, Key=f"{kind}/key", Body=CONTENT)
    assert client.list_objects_v2(Bucket=BUCKET, Prefix=f"{kind}/")["KeyCount"] == written
    assert [(request.status, request.fault) for request in proxy.requests()] == [(0, kind), (200, "")]


def test_a_body_is_cut(client: Any, proxy: Proxy) -> None:
    proxy.configure(faults=[Fault("cut", first=1)])
    with pytest.raises((HTTPClientError, OSError)):
        get(client)
    assert get(client) == CONTENT
    assert [request.sent for request in proxy.requests()] == [len(CONTENT) // 2, len(CONTENT)]


def test_a_stalled_request_is_answered_late(client: Any, proxy: Proxy) -> None:
    proxy.configure(faults=[Fault("stall", first=1, seconds=0.4)])
    started = time.monotonic()
    assert get(client) == CONTENT
    assert time.monotonic() - started >= 0.4


def test_a_server_ends_with_its_block(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        server.client().list_buckets()
    with pytest.raises(BotoCoreError):
        server.client().list_buckets()
