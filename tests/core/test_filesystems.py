from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from pyarrow import fs

from msd_spark.core import object_store
from msd_spark.core.errors import UserError
from msd_spark.core.filesystems import is_local, open_location

SEEN: list[str] = []


class NothingThere(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        SEEN.append(self.path)
        self.send_error(404)

    def do_GET(self) -> None:
        SEEN.append(self.path)
        self.send_error(404)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    """The address of a server that has nothing and notes what it is asked for."""
    SEEN.clear()
    with HTTPServer(("127.0.0.1", 0), NothingThere) as here:
        thread = threading.Thread(target=here.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{here.server_port}"
        here.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("location", "local"),
    [("/d", True), ("d/e", True), ("file:///d", True), ("s3://b/k", False), ("hdfs://h/d", False)],
)
def test_which_locations_are_of_this_machine(location: str, local: bool) -> None:
    assert is_local(location) is local


@pytest.mark.parametrize("name", ["songs", "a b", "a#b", "a%20b", "ü"])
def test_a_local_path_is_itself(tmp_path: Path, name: str) -> None:
    for location in (f"{tmp_path}/{name}", f"{tmp_path}/x/../{name}/", f"file://{tmp_path}/{name}"):
        filesystem, path, prefix = open_location(location)
        assert isinstance(filesystem, fs.LocalFileSystem)
        assert prefix + path == f"{tmp_path}/{name}"


def test_a_relative_path_is_relative_to_where_we_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert open_location("songs")[1] == f"{tmp_path}/songs"


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
def test_another_s3_server_is_the_one_that_is_asked(
    server: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv(variable, server)
    object_store._store.cache_clear()
    filesystem, path, prefix = open_location("s3://bucket/songs/A/")
    assert (path, prefix) == ("bucket/songs/A", "s3://")
    with pytest.raises(OSError, match=r"s3://bucket/songs/A: .*check the network"):
        filesystem.get_file_info(path)
    assert SEEN[0] == "/bucket/songs/A"
    assert open_location("s3://bucket")[1:] == ("bucket", "s3://")
    object_store._store.cache_clear()


def test_an_address_that_nothing_opens() -> None:
    with pytest.raises(UserError, match=r"^gopher://host/songs cannot be opened: "):
        open_location("gopher://host/songs")
