from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pyarrow.fs import FileSystem

from msd_spark.core.filesystems import copied_pieces
from msd_spark.core.warehouse import Warehouse
from tests.support.fork_server import forked
from tests.support.launched import LAUNCHER, SCRIPT, launched
from tests.support.local_s3.proxy import Fault, Proxy, proxied, used_here
from tests.support.local_s3.server import Server, served
from tests.support.tiny_dataset import write_tiny_dataset
from tests.training.data.cache.test_folder import copies_in
from training.data.cache import lookahead
from training.data.dataset import Dataset
from training.data.readers.choice import READERS, ReadingSettings
from training.data.reading import read_row_groups

ROWS = {"train": [6, 5, 4, 3, 2, 1] * 4, "validation": [5, 4], "test": [3]}
GIB = 1 << 30


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Proxy]]:
    with served(tmp_path_factory.mktemp("store")) as server, proxied(server.endpoint) as proxy:
        server.create("cache")
        folder = tmp_path_factory.mktemp("local")
        write_tiny_dataset(folder, ROWS)
        client = server.client()
        for path in folder.rglob("*"):
            if path.is_file():
                client.put_object(Bucket="cache", Key=str(path.relative_to(folder)), Body=path.read_bytes())
        yield server, proxy


@pytest.fixture
def proxy(running: tuple[Server, Proxy], monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """Let this process use the server through the proxy."""
    with used_here(*running, monkeypatch) as proxy:
        yield proxy


def opened(folder: Path, gib: float = 1.0, reader: str = "petastorm") -> Dataset:
    settings = ReadingSettings(reader=reader, cache=str(folder), cache_gib=gib)
    return Dataset.open(Warehouse("s3://cache"), "tiny", settings)


def tracks(dataset: Dataset, files: list[int]) -> list[str]:
    addresses = dataset.addresses("train")
    groups = read_row_groups([addresses[file] for file in files], ["track_id"], dataset.reading)
    return [str(track) for group in groups for track in group["track_id"]]


def requests_by_file(proxy: Proxy, method: str = ".*", span: str = ".*") -> Counter[str]:
    """Return the number of requests for each data file, by method and range."""
    return Counter(
        request.key
        for request in proxy.requests()
        if re.fullmatch(method, request.method)
        and re.fullmatch(span, request.range)
        and re.search(r"/tiny/\w+/part[^/?]+$", request.key)
    )


@pytest.mark.parametrize("reader", READERS)
def test_files_are_requested_once_and_read_in_order(proxy: Proxy, tmp_path: Path, reader: str) -> None:
    order = [*range(23, -1, -1), 23, 5]  # the files of a plan may be shared by the ends of streams
    expected = tracks(opened(tmp_path, gib=0), order)
    dataset = opened(tmp_path, reader=reader)
    assert dataset.reading.cache
    for n_requests in (1, 0):
        proxy.clear()
        assert tracks(dataset, order) == expected
        assert set(requests_by_file(proxy).values()) == ({n_requests} - {0})
    assert len(copies_in(tmp_path)) == 24


def test_files_are_fetched_several_at_once(proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    barrier = threading.Barrier(lookahead.FETCHES, timeout=20)  # broken unless so many fetches begin before one ends

    def together(filesystem: FileSystem, path: str) -> Iterator[bytes | memoryview]:
        barrier.wait()
        yield from copied_pieces(filesystem, path)

    monkeypatch.setattr(lookahead, "copied_pieces", together)
    order = list(range(24))
    assert tracks(opened(tmp_path), order) == tracks(opened(tmp_path, gib=0), order)
    assert len(copies_in(tmp_path)) == len(order)


@pytest.mark.parametrize("n_files", [0.5, 3.5])
def test_a_small_cache_stays_in_its_bound(
    proxy: Proxy, tmp_path: Path, n_files: float, capfd: pytest.CaptureFixture[str]
) -> None:
    order = list(range(24))
    whole = opened(tmp_path)
    assert whole.reading.cache
    bound = max(whole.reading.cache.sizes.values()) * n_files
    dataset = opened(tmp_path, gib=bound / GIB)
    for _ in range(2):
        assert tracks(dataset, order) == tracks(opened(tmp_path, gib=0), order)
        assert sum(path.stat().st_size for path in copies_in(tmp_path)) <= bound
    assert capfd.readouterr().err.count(f"cache {tmp_path}: no room for ") == (n_files < 1)


@pytest.mark.parametrize("reader", READERS)
def test_copies_that_cannot_be_read_are_replaced(
    proxy: Proxy, tmp_path: Path, reader: str, capfd: pytest.CaptureFixture[str]
) -> None:
    order = list(range(24))
    expected = tracks(opened(tmp_path, reader=reader), order)
    damaged = copies_in(tmp_path)[7]
    content = damaged.read_bytes()
    # Size, marks and length of the footer are as before.
    damaged.write_bytes(content[:4] + bytes(len(content) - 12) + content[-8:])
    for n_warnings in (1, 0):
        assert tracks(opened(tmp_path, reader=reader), order) == expected
        assert len(copies_in(tmp_path)) == 24 - n_warnings  # the others remain
        assert capfd.readouterr().err.count(f"cache {tmp_path}: a copy cannot be read (") == n_warnings


def test_most_of_a_cache_that_is_too_small_is_used_again(proxy: Proxy, tmp_path: Path) -> None:
    whole = opened(tmp_path)
    assert whole.reading.cache
    train = [whole.reading.cache.sizes[address] for address in whole.addresses("train")]
    dataset = opened(tmp_path, gib=0.75 * sum(train) / GIB)
    requests = []
    for order in (range(24), range(24), range(23, -1, -1)):
        proxy.clear()
        tracks(dataset, list(order))
        requests.append(sum(requests_by_file(proxy).values()))
    # The best possible are 12 and 6; removing what was least recently used would miss all of the second pass.
    assert requests[0] == 24
    assert requests[1] <= 14
    assert requests[2] <= 8


def test_versions_and_stores_have_names_of_their_own(
    proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = opened(tmp_path).reading.cache
    assert cache
    address, other = list(cache.sizes)[:2]
    names = {cache.name(address), cache.name(other), replace(cache, version="2").name(address)}
    names.add(replace(cache, sizes={address: 1}).name(address))
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    assert len({*names, cache.name(address)}) == 5


def test_an_unfinished_pass_releases_its_files(proxy: Proxy, tmp_path: Path) -> None:
    dataset = opened(tmp_path)
    passed = dataset.reading.row_groups(dataset.addresses("train"), ["track_id"])
    next(passed)
    passed.close()  # type: ignore[attr-defined]
    assert not [fd for fd in Path("/proc/self/fd").iterdir() if str(fd.resolve()).startswith(str(tmp_path))]


def test_a_failing_store_is_reported_as_without_a_cache(proxy: Proxy, tmp_path: Path) -> None:
    dataset = opened(tmp_path)
    assert dataset.reading.cache
    proxy.configure(faults=[Fault("refuse", status=403, code="AccessDenied", key=r"/train/")])
    with pytest.raises(PermissionError, match=r"403.*check the policies"):
        tracks(dataset, [0, 1])


@pytest.mark.timeout(600)
def test_two_ranks_share_a_folder(proxy: Proxy, tmp_path: Path) -> None:
    words = ("--warehouse", "s3://cache", "--dataset", "tiny", "--run", "shared", "--cache", tmp_path / "cache")
    options = ("--model", "logistic", "--baselines", "simple", "--epochs", "2", "--batch-size", "4", "--patience", "0")
    proxy.clear()
    with launched(*LAUNCHER, "-np", "2", SCRIPT, *words, *options, log=tmp_path / "log", others=forked()) as training:
        training.succeed()
    copies = copies_in(tmp_path / "cache")
    assert len(copies) == sum(map(len, ROWS.values()))
    fetched = requests_by_file(proxy, "GET", "")  # requests with a range are for columns
    assert len(fetched) == len(copies)
    assert set(fetched.values()) == {1}
