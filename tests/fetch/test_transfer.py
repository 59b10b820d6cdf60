from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from msd_spark.core.errors import UserError
from msd_spark.fetch.part_file import PartFile, Version
from msd_spark.fetch.sources import MirrorError
from msd_spark.fetch.transfer import Patience, download
from tests.fetch.conftest import Reply, Server

CONTENT = bytes(range(256)) * 1000
PATH = "file.bin"


class Fetched:
    """A part file, and a download into it that records its waits."""

    def __init__(self, folder: Path, attempts: int = 4) -> None:
        self.part = PartFile(folder / "file.bin.part")
        self.waits: list[float] = []
        self.patience = Patience(attempts=attempts, timeouts=(5, 5), pause=self.waits.append)

    def __call__(self, address: str, **known: int) -> bytes:
        with requests.Session() as session:
            session.max_redirects = 3
            download(session, address, self.part, self.patience, **known)
        return self.part.path.read_bytes()


@pytest.fixture
def fetched(tmp_path: Path) -> Fetched:
    return Fetched(tmp_path)


def serve(server: Server, *replies: Reply) -> str:
    server.files[PATH] = CONTENT
    server.replies[PATH] = list(replies)
    return server.url(PATH)


def test_a_file_comes_by_one_request_without_compression(server: Server, fetched: Fetched) -> None:
    assert fetched(serve(server), size=len(CONTENT)) == CONTENT
    assert (server.ranges, fetched.waits) == ([None], [])
    assert server.asked[0][1]["Accept-Encoding"] == "identity"


def test_an_interrupted_download_resumes_where_it_stopped(server: Server, fetched: Fetched) -> None:
    address = serve(server, Reply(stop_after=100_000), Reply(stop_after=50_000))
    assert fetched(address) == CONTENT
    assert server.ranges == [None, "bytes=100000-", "bytes=150000-"]
    assert {headers.get("If-Range") for _, headers in server.asked[1:]} == {'"v1"'}


def test_a_later_command_resumes_where_an_earlier_one_was_killed(server: Server, tmp_path: Path) -> None:
    address = serve(server, Reply(stop_after=9_000))
    with pytest.raises(MirrorError):
        Fetched(tmp_path, attempts=1)(address)
    assert Fetched(tmp_path)(address) == CONTENT
    assert server.ranges == [None, "bytes=9000-"]


def test_a_complete_part_is_not_requested_again(server: Server, fetched: Fetched, tmp_path: Path) -> None:
    address = serve(server)
    fetched(address)
    assert Fetched(tmp_path)(address) == CONTENT
    assert len(server.asked) == 1


def test_a_file_that_changed_meanwhile_starts_from_the_beginning(server: Server, fetched: Fetched) -> None:
    address = serve(server, Reply(stop_after=1_000))
    with pytest.raises(MirrorError):
        Fetched(fetched.part.path.parent, attempts=1)(address)
    server.files[PATH], server.etags[PATH] = CONTENT[::-1], '"v2"'
    assert Fetched(fetched.part.path.parent)(address) == CONTENT[::-1]


@pytest.mark.parametrize(
    "wrong",
    [
        Reply(shift=7),
        Reply(ignore_range=True),
        Reply(headers={"Content-Range": "bytes 100000-255999/300000"}),
        Reply(headers={"Content-Range": "bytes 100000-200000/256000"}),
        Reply(headers={"Content-Range": None}),
        Reply(status=416, body=b"", headers={"Content-Range": "bytes */10"}),
    ],
    ids=["another start", "ignored", "another size", "another end", "no range declared", "past the end"],
)
def test_a_range_other_than_the_requested_one_is_never_appended(server: Server, fetched: Fetched, wrong: Reply) -> None:
    assert fetched(serve(server, Reply(stop_after=100_000), wrong)) == CONTENT
    assert server.ranges[:2] == [None, "bytes=100000-"]


def test_without_a_strong_tag_or_a_date_it_starts_from_the_beginning(server: Server, fetched: Fetched) -> None:
    weak: dict[str, str | None] = {"ETag": 'W/"v1"'}
    assert fetched(serve(server, Reply(stop_after=100_000, headers=weak), Reply(headers=weak))) == CONTENT
    assert server.ranges == [None, None]


def test_a_mirror_of_the_same_date_continues_the_bytes_of_another(server: Server, fetched: Fetched) -> None:
    date = "Tue, 29 Mar 2011 04:28:44 GMT"
    address = serve(server, Reply(stop_after=60_000, headers={"Last-Modified": date}))
    with pytest.raises(MirrorError):
        Fetched(fetched.part.path.parent, attempts=1)(address)
    server.files["mirror/file.bin"], server.etags["mirror/file.bin"] = CONTENT, date  # accepts this condition
    assert Fetched(fetched.part.path.parent)(server.url("mirror/file.bin")) == CONTENT
    assert (server.ranges[-1], server.asked[-1][1]["If-Range"]) == ("bytes=60000-", date)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_temporary_failure_is_waited_for_as_long_as_the_server_asks(
    server: Server, fetched: Fetched, status: int
) -> None:
    busy = Reply(status=status, body=b"busy", headers={"Retry-After": "17"})
    assert fetched(serve(server, busy)) == CONTENT
    assert fetched.waits == [17]


def test_waits_double_and_vary_and_are_limited(server: Server, tmp_path: Path) -> None:
    fetched = Fetched(tmp_path, attempts=6)
    address = serve(server, *[Reply(status=500, body=b"")] * 9)
    with pytest.raises(MirrorError, match="status 500 Internal Server Error, 6 times"):
        fetched(address)
    assert len(server.asked) == 6
    assert fetched.waits[0] == 0
    # 1 s * 2^(n - 1) before attempt n + 1, and up to 1 s more.
    for wait, least in zip(fetched.waits[1:], (2, 4, 8, 16), strict=True):
        assert least <= wait <= least + 1


def test_a_server_that_asks_for_hours_is_given_up(server: Server, fetched: Fetched) -> None:
    with pytest.raises(MirrorError, match="the server asks to wait for 7200 seconds"):
        fetched(serve(server, Reply(status=503, body=b"", headers={"Retry-After": "7200"})))
    assert fetched.waits == []


def test_only_requests_without_progress_are_counted(server: Server, tmp_path: Path) -> None:
    fetched = Fetched(tmp_path, attempts=2)
    assert fetched(serve(server, *[Reply(stop_after=20_000)] * 8)) == CONTENT


@pytest.mark.parametrize(
    ("reply", "seen"),
    [
        (Reply(status=404), "status 404 Not Found"),
        (Reply(status=403), "status 403 Forbidden"),
        (Reply(headers={"Content-Type": "text/html; charset=utf-8"}), "an HTML page instead"),
        (Reply(body=b"\n <!DOCTYPE html><p>moved</p>"), "an HTML page instead"),
        (Reply(headers={"Content-Encoding": "gzip"}), "Content-Encoding gzip"),
        (Reply(headers={"Content-Length": None}), "no length declared"),
        (Reply(status=302, headers={"Location": "/file.bin"}), "Exceeded 3 redirects"),
        (Reply(status=302, headers={"Location": "file:///etc/passwd"}), "No connection adapters"),
    ],
)
def test_a_permanent_failure_is_not_retried(server: Server, fetched: Fetched, reply: Reply, seen: str) -> None:
    with pytest.raises(MirrorError, match=re.escape(seen)):
        fetched(serve(server, *[reply] * 5))
    assert fetched.part.size == 0
    assert fetched.waits == []


def test_redirections_are_followed(server: Server, fetched: Fetched) -> None:
    serve(server)
    server.replies["old"] = [Reply(status=302, headers={"Location": "/file.bin"}, body=b"")]
    assert fetched(server.url("old")) == CONTENT


def test_a_file_of_another_size_than_the_known_one_is_refused(server: Server, fetched: Fetched) -> None:
    with pytest.raises(MirrorError, match="the file there has 256,000 bytes instead of 300,000"):
        fetched(serve(server), size=300_000)
    assert fetched.part.size == 0


def test_an_unreachable_server_is_retried_and_given_up(fetched: Fetched) -> None:
    with pytest.raises(MirrorError, match=r"refused.*, 4 times"):
        fetched("http://127.0.0.1:9/file.bin")
    assert len(fetched.waits) == 3


def test_a_full_disk_is_reported_before_a_byte_is_received(
    server: Server, fetched: Fetched, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(".")._replace(free=100_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(UserError, match=r"file.bin needs 117 MB on the disk of .*, which has 100 MB free"):
        fetched(serve(server), spare=50_000_000)  # 50 and 0.3 and what is left free, 67 MB
    assert fetched.part.path.stat().st_size == 0


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stops=st.lists(st.integers(0, 255_999), max_size=5), lost=st.booleans())
def test_wherever_it_is_interrupted_the_bytes_are_those_of_the_file(
    server: Server, tmp_path_factory: pytest.TempPathFactory, stops: list[int], lost: bool
) -> None:
    fetched = Fetched(tmp_path_factory.mktemp("any"), attempts=8)
    if lost and stops:  # bytes of an unknown version
        fetched.part.path.write_bytes(b"x" * stops[0])
    assert fetched(serve(server, *(Reply(stop_after=stop) for stop in stops))) == CONTENT


def test_a_part_with_an_unreadable_version_is_ignored(tmp_path: Path) -> None:
    part = PartFile(tmp_path / "a.part")
    part.begin(Version("http://x/a", '"1"', None, 5))
    part.path.write_bytes(b"12345")
    assert PartFile(part.path).is_complete
    assert PartFile(part.path).version == replace(part.version or Version(""), address="http://x/a")
    (tmp_path / "a.part.json").write_text('{"address": 1, "more"')
    assert PartFile(part.path).size == 0
