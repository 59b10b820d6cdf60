"""A bucket as a filesystem: a real server behind a proxy that counts requests and injects faults."""

from __future__ import annotations

import pickle
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import fs

from msd_spark.core import object_store
from msd_spark.core.command_line import run_verb
from msd_spark.core.errors import UserError
from msd_spark.core.filesystems import copied_pieces, delete_files, file_pieces, open_location, write_atomically
from msd_spark.core.object_store import PIECE, TAIL
from msd_spark.core.row_groups import RowGroups
from msd_spark.core.warehouse import Warehouse
from tests.core.test_row_groups import GROUPS, check, content
from tests.core.test_row_groups import ROWS as MANY_ROWS
from tests.support.local_s3.proxy import Fault, Proxy, proxied, used_here
from tests.support.local_s3.server import Server, served

ROWS = pa.table({"a": [1, 2, 3]})


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Proxy]]:
    with served(tmp_path_factory.mktemp("store")) as server, proxied(server.endpoint) as proxy:
        server.create("tests")
        yield server, proxy


@pytest.fixture
def proxy(running: tuple[Server, Proxy], monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """Let this process use the server through the proxy."""
    with used_here(*running, monkeypatch) as proxy:
        yield proxy


@pytest.fixture
def folder(proxy: Proxy) -> str:
    """A folder of the bucket that only one test uses."""
    return f"tests/{uuid.uuid4().hex[:8]}"


@pytest.fixture
def files(folder: str) -> fs.FileSystem:
    return open_location(f"s3://{folder}")[0]


@pytest.mark.parametrize("name", ["a", "ü", "a b#c%20d+e", "[a]*?.h5", "x=1/y"])
def test_a_file_has_the_bytes_that_were_written(folder: str, files: fs.FileSystem, name: str) -> None:
    path = f"{folder}/{name}"
    write_atomically(files, path, name.encode())
    assert files.open_input_stream(path).read() == name.encode()
    assert files.open_input_file(path).read_at(1, 0) == name.encode()[:1]
    assert [(info.path, info.size) for info in files.get_file_info(fs.FileSelector(folder, recursive=True))] == [
        (path, len(name.encode()))
    ]


def test_folders_exist_by_their_files(folder: str, files: fs.FileSystem) -> None:
    write_atomically(files, f"{folder}/a/b", b"1")
    kinds = [info.type for info in files.get_file_info([folder, f"{folder}/a", f"{folder}/a/b", f"{folder}/c"])]
    assert kinds == [fs.FileType.Directory, fs.FileType.Directory, fs.FileType.File, fs.FileType.NotFound]
    assert files.get_file_info(fs.FileSelector(f"{folder}/c", allow_not_found=True)) == []
    with pytest.raises(FileNotFoundError, match=f"s3://{folder}/c does not exist"):
        files.get_file_info(fs.FileSelector(f"{folder}/c"))
    files.delete_dir(f"{folder}/a")
    assert files.get_file_info(f"{folder}/a").type == fs.FileType.NotFound


def test_a_missing_file_is_an_error_when_it_is_opened(folder: str, files: fs.FileSystem) -> None:
    for opened in (files.open_input_stream, files.open_input_file):
        with pytest.raises(FileNotFoundError, match=f"s3://{folder}/a does not exist"):
            opened(f"{folder}/a")


@pytest.mark.parametrize("size", [0, 1, TAIL - 1, TAIL, TAIL + 1, PIECE, PIECE + 1, 2 * PIECE + 5])
def test_large_files_are_read_in_pieces(folder: str, files: fs.FileSystem, proxy: Proxy, size: int) -> None:
    content = np.random.default_rng(size).bytes(size)
    path = f"{folder}/a"
    write_atomically(files, path, content)
    proxy.clear()
    assert files.open_input_stream(path).read() == content
    n_requests = 2 if size == 0 else -(-size // PIECE)
    assert [request.method for request in proxy.requests()] == ["GET"] * n_requests
    with files.open_input_file(path) as file:
        assert file.size() == size
        for start in (0, size // 2, max(0, size - 3)):
            assert file.read_at(10, start) == content[start : start + 10]
    assert {request.method for request in proxy.requests()} == {"GET"}


@pytest.mark.parametrize("size", [1, 2 * PIECE + 5])
@pytest.mark.parametrize("cut", [False, True])
def test_a_copied_file_is_one_request_unless_it_is_cut(
    folder: str, files: fs.FileSystem, proxy: Proxy, size: int, cut: bool
) -> None:
    content = np.random.default_rng(size).bytes(size)
    write_atomically(files, f"{folder}/a", content)
    proxy.configure(faults=[Fault("cut", first=1, method="GET")] if cut else [])
    proxy.clear()
    assert b"".join(copied_pieces(files, f"{folder}/a")) == content
    assert [request.method for request in proxy.requests()] == ["GET"] * (1 + cut)


def test_the_parts_of_a_file_in_a_bucket_are_fetched_at_once(folder: str, files: fs.FileSystem, proxy: Proxy) -> None:
    table, data = content()
    write_atomically(files, f"{folder}/a", data)
    proxy.clear()
    file = RowGroups(files, f"{folder}/a")
    assert proxy.counts() == {("GET", "object"): 1}
    for columns, numbers, n_requests in ((["id", "n"], [0], 2), (["id", "wide", "n"], [1], 1), (["n"], None, GROUPS)):
        proxy.clear()
        check(file, table, columns, numbers)
        assert proxy.counts() == {("GET", "object"): n_requests}
    proxy.clear()
    # A column that was not fetched is one more request.
    numbers_of_group = file.fetch(["id"], [0]).read_row_group(0, ["n"])["n"].to_pylist()
    assert numbers_of_group == list(range(MANY_ROWS // GROUPS))
    assert proxy.counts() == {("GET", "object"): 2}


def test_requests_per_file(folder: str, files: fs.FileSystem, proxy: Proxy) -> None:
    proxy.clear()
    paths = [f"{folder}/{number}" for number in range(30)]
    for path in paths:
        write_atomically(files, path, b"1")
    assert proxy.counts() == {("PUT", "object"): 30}
    proxy.clear()
    delete_files(files, [*paths, f"{folder}/missing"])
    assert proxy.counts() == {("POST", "delete"): 1}


def test_a_filesystem_can_be_sent_to_a_worker(folder: str, files: fs.FileSystem) -> None:
    write_atomically(pickle.loads(pickle.dumps(files)), f"{folder}/a", b"1")
    assert files.open_input_stream(f"{folder}/a").read() == b"1"


FAULTS = {
    "overloaded": Fault("refuse", share=0.3),
    "reset": Fault("reset", share=0.3),
    "lost answers": Fault("lose", share=0.3),
    "cut bodies": Fault("cut", share=0.3, method="GET"),
    "expired": Fault("refuse", first=1, status=400, code="ExpiredToken"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_passing_faults_lose_nothing(folder: str, files: fs.FileSystem, proxy: Proxy, fault: Fault) -> None:
    proxy.configure(faults=[fault])
    content = np.random.default_rng(0).bytes(PIECE + 1000)

    def copied(number: int) -> bytes:
        path = f"{folder}/{number}"
        write_atomically(files, path, content[: -1 - number])
        return files.open_input_stream(path).read() + content[-1 - number :]

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(copied, range(8))) == {content}
    assert len(files.get_file_info(fs.FileSelector(folder))) == 8


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_store, "RETRIES", 1)
    monkeypatch.setattr(object_store, "REFRESHES", 1)


@pytest.mark.parametrize(
    ("fault", "kind", "message"),
    [
        (Fault("refuse"), OSError, "SlowDown: .*; the store is overloaded"),
        (Fault("reset"), OSError, "check the network and AWS_ENDPOINT_URL"),
        (Fault("refuse", status=400, code="ExpiredToken"), PermissionError, "ExpiredToken: .*; check the credentials"),
        (Fault("refuse", status=403, code="AccessDenied"), PermissionError, "AccessDenied: .*; check the policies"),
        (Fault("refuse", status=301, code="PermanentRedirect"), OSError, "is in another region; set AWS_REGION"),
        (Fault("refuse", status=404, code="NoSuchBucket"), OSError, "check the name of the bucket"),
    ],
    ids=lambda value: value.code if isinstance(value, Fault) else None,
)
@pytest.mark.usefixtures("impatient")
def test_lasting_faults_name_the_object_and_what_to_check(
    folder: str, files: fs.FileSystem, proxy: Proxy, fault: Fault, kind: type[OSError], message: str
) -> None:
    proxy.configure(faults=[fault])
    for use in (files.open_input_stream, files.open_input_file, lambda path: write_atomically(files, path, b"1")):
        with pytest.raises(kind, match=f"^s3://{folder}/a: .*{message}"):
            use(f"{folder}/a")


def test_a_file_that_changes_while_it_is_read_is_an_error(folder: str, files: fs.FileSystem) -> None:
    path = f"{folder}/a"
    write_atomically(files, path, b"1" * (PIECE + 1))
    with files.open_input_stream(path) as stream:
        write_atomically(files, path, b"2" * (PIECE + 1))
        with pytest.raises(OSError, match=f"s3://{path} changed while it was read"):
            stream.read()
    pieces = file_pieces(files, path)
    assert bytes(next(pieces)) == b"2" * PIECE
    write_atomically(files, path, b"3" * (PIECE + 1))
    with pytest.raises(OSError, match=f"s3://{path} changed while it was read"):
        next(pieces)


@pytest.mark.usefixtures("impatient")
def test_credentials_are_missing(folder: str, files: fs.FileSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/none")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/none")
    object_store._store.cache_clear()
    with pytest.raises(PermissionError, match=f"^s3://{folder}/a: no credentials: .*AWS_PROFILE"):
        files.open_input_stream(f"{folder}/a")


@pytest.mark.parametrize("verb", ["labels", "train", "search", "report"])
def test_a_warehouse_that_cannot_be_written_is_refused_before_any_work(
    verb: str, folder: str, proxy: Proxy, capsys: pytest.CaptureFixture[str]
) -> None:
    proxy.configure(faults=[Fault("refuse", method="PUT", status=403, code="AccessDenied")])
    with pytest.raises(SystemExit) as ended:
        run_verb(verb, ["--warehouse", f"s3://{folder}/w"])
    assert ended.value.code == 2
    message = capsys.readouterr().err
    assert message.startswith(f"{verb}: warehouse s3://{folder}/w cannot be written: s3://{folder}/w/")
    assert "AccessDenied" in message


def test_a_verb_that_only_reads_needs_no_write_permission(
    folder: str, proxy: Proxy, capsys: pytest.CaptureFixture[str]
) -> None:
    proxy.configure(faults=[Fault("refuse", method="PUT", status=403, code="AccessDenied")])
    with pytest.raises(SystemExit):
        run_verb("lineage", ["TRAAAAW128F429D538", "--warehouse", f"s3://{folder}/w"])
    assert "no finished run" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["lose", "refuse", "reset"])
@pytest.mark.parametrize("exists", [False, True])
def test_a_commit_whose_first_request_fails_is_in_the_table_once(
    folder: str, proxy: Proxy, kind: str, exists: bool
) -> None:
    warehouse = Warehouse(f"s3://{folder}/w")
    if exists:
        warehouse.write_arrow(ROWS.slice(1), "songs")
    proxy.configure(faults=[Fault(kind, first=1, method="PUT", key="_delta_log/")])  # type: ignore[arg-type]
    warehouse.write_arrow(ROWS, "songs")
    assert warehouse.read_table(None, "songs").equals(ROWS)
    assert pq.read_table(warehouse.path("songs"), filesystem=warehouse.filesystem).num_rows == 3


def test_a_commit_that_fails_leaves_the_old_table_and_the_next_one_cleans_up(folder: str, proxy: Proxy) -> None:
    warehouse = Warehouse(f"s3://{folder}/w")
    warehouse.write_arrow(ROWS, "songs")
    proxy.configure(faults=[Fault("refuse", method="PUT", key="_delta_log/", status=400, code="BadDigest")])
    with pytest.raises(UserError, match=r"table .*/w/songs cannot be written: .*BadDigest"):
        warehouse.write_arrow(ROWS.slice(1), "songs")
    assert warehouse.read_table(None, "songs").equals(ROWS)
    proxy.configure()
    warehouse.write_arrow(ROWS.slice(2), "songs")
    assert warehouse.read_table(None, "songs").num_rows == 1
    parquet = [info for info in warehouse.list_files(warehouse.path("songs")) if info.path.endswith(".parquet")]
    assert len(parquet) == 1


def test_a_scheme_in_upper_case_is_the_same_store(folder: str) -> None:
    warehouse = Warehouse(f"S3://{folder}/w")
    for number in (1, 2):  # the second replaces a table, by way of Delta
        warehouse.write_arrow(pa.table({"a": [number]}), "numbers")
    warehouse.write_json({"a": 1}, "numbers.json")
    for scheme in ("s3", "S3"):
        same = Warehouse(f"{scheme}://{folder}/w")
        assert same.read_table(None, "numbers")["a"].to_pylist() == [2]
        assert same.read_json("numbers.json") == {"a": 1}


def test_a_bucket_of_amazon_needs_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setattr(object_store, "_region", lambda bucket: "eu-west-1")
    endpoint, region = object_store.s3_endpoint("songs")
    assert (endpoint, region) == (None, "eu-west-1")
    assert object_store._store("songs", endpoint, region).config["region"] == "eu-west-1"
