"""Derived files kept for the next call."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from msd_spark.core import cache
from msd_spark.core.cache import cache_folder, cached, opened
from msd_spark.core.errors import UserError


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def writer(text: str, calls: list[str]) -> Callable[[Path], None]:
    """Return a function that writes an entry and notes that it was called."""

    def build(folder: Path) -> None:
        calls.append(text)
        (folder / "file").write_text(text)

    return build


def content(version: str, calls: list[str], text: str = "", **options: bool) -> str:
    """Return the content of an entry."""
    return (cached("kind", "place", version, writer(text or version, calls), **options) / "file").read_text()


def test_an_entry_is_written_once_per_version(own_cache: Path) -> None:
    calls: list[str] = []
    assert [content(version, calls) for version in ("1", "1", "2", "2")] == ["1", "1", "2", "2"]
    assert calls == ["1", "2"]
    assert len(list(own_cache.rglob("file"))) == 1  # version 1 was deleted
    other = cached("kind", "elsewhere", "1", writer("other", calls))
    assert content("2", calls) == "2"
    assert (other / "file").read_text() == "other"


@pytest.mark.parametrize("damage", ["truncated", "missing", "no manifest", "manifest"])
def test_an_incomplete_entry_is_written_again(damage: str) -> None:
    calls: list[str] = []
    folder = cached("kind", "place", "1", writer("text", calls))
    if damage == "truncated":
        (folder / "file").write_text("te")
    elif damage == "manifest":
        (folder / cache.MANIFEST).write_text("[")
    else:
        (folder / ("file" if damage == "missing" else cache.MANIFEST)).unlink()
    assert content("1", calls, "text") == "text"
    assert len(calls) == 2


def test_an_entry_whose_content_is_damaged_is_written_again() -> None:
    calls: list[str] = []
    folder = cached("kind", "place", "1", writer("7", calls))
    (folder / "file").write_text("x")

    def read(folder: Path) -> int:
        return int((folder / "file").read_text())

    assert opened("kind", "place", "1", writer("7", calls), read, (ValueError,)) == 7
    with pytest.raises(ValueError, match="invalid literal"):  # damaged as soon as it is written
        opened("kind", "place", "2", writer("x", calls), read, (ValueError,))


def test_a_failed_build_leaves_nothing_and_full_disks_are_named(own_cache: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "file").write_text("x")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(UserError, match=f"cache {own_cache} is full; free space there, or set MSD_SPARK_CACHE"):
        cached("kind", "place", "1", fail)
    assert not list(own_cache.rglob("file"))


def test_concurrent_calls_share_an_entry(own_cache: Path) -> None:
    calls: list[str] = []
    barrier = threading.Barrier(4)

    def build(folder: Path) -> None:
        barrier.wait(10)
        writer("text", calls)(folder)

    results: list[str] = []

    def call() -> None:
        results.append((cached("kind", "place", "1", build) / "file").read_text())

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == ["text"] * 4
    assert len(list(own_cache.rglob("file"))) == 1
    assert not [path for path in own_cache.rglob("*") if cache.UNFINISHED in path.name]


def test_old_entries_and_those_of_killed_calls_are_deleted(own_cache: Path) -> None:
    calls: list[str] = []
    unused = cached("kind", "unused", "1", writer("1", calls))
    used = cached("kind", "used", "1", writer("1", calls))
    killed, running = (used.parent / f"abc{cache.UNFINISHED}{name}" for name in ("killed", "running"))
    for folder, days in ((unused, 31), (used, 29), (killed, 2), (running, 0)):
        folder.mkdir(exist_ok=True)
        moment = time.time() - 86_400 * days
        os.utime(folder, (moment, moment))
    cached("kind", "new", "1", writer("1", calls))
    assert [folder.exists() for folder in (unused, unused.parent, used, killed, running)] == [
        False,
        False,
        True,
        False,
        True,
    ]


def test_a_cache_that_cannot_be_written_is_reported_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "file" / "cache"))
    monkeypatch.setattr(cache, "_OF_THIS_PROCESS", {})
    calls: list[str] = []
    assert [content(version, calls) for version in ("1", "1", "2")] == ["1", "1", "2"]
    assert calls == ["1", "2"]
    printed = capsys.readouterr().err
    assert printed.count("is not writable (Not a directory)") == 1
    assert "set MSD_SPARK_CACHE to a writable folder" in printed


def test_the_folder_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.delenv(cache.VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "msd-spark"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "msd-spark"
