from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.data.cache.folder import LEDGER, MARK, PART, RESERVE, CacheFolder, Copy

SIZE = 100
LARGE = 1 << 20  # more than what pytest has captured in files


def name_of(number: int) -> str:
    return f"{number:040x}"


def content_of(number: int, size: int = SIZE) -> bytes:
    return MARK + bytes([number]) * (size - 2 * len(MARK)) + MARK


def copies_in(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name != LEDGER]


def used(folder: Path) -> int:
    return sum(path.stat().st_size for path in copies_in(folder))


class Source:
    """Files to fetch; counts how often."""

    def __init__(self) -> None:
        self.fetched: list[int] = []

    def into(self, folder: CacheFolder, number: int, size: int = SIZE) -> Copy | None:
        def read() -> Iterator[bytes]:
            self.fetched.append(number)
            yield content_of(number, size)

        return folder.fetch(name_of(number), size, read)


def read(copy: Copy) -> bytes:
    return Path(copy.path).read_bytes()


@given(
    uses=st.lists(st.tuples(st.integers(0, 7), st.booleans()), max_size=40),
    bound=st.integers(0, 6 * SIZE),
    plan=st.lists(st.integers(0, 7), max_size=8),
)
def test_the_bound_holds_and_files_in_use_remain(
    tmp_path_factory: pytest.TempPathFactory, uses: list[tuple[int, bool]], bound: int, plan: list[int]
) -> None:
    path = tmp_path_factory.mktemp("cache")
    folder, source, in_use = CacheFolder(str(path), bound), Source(), list[tuple[int, Copy]]()
    folder.plan(map(name_of, plan))
    for number, keeps in uses:
        size = 20 + 20 * number
        if copy := source.into(folder, number, size):
            in_use.append((number, copy))
        assert used(path) <= bound
        assert (copy is None) <= (sum({n: 20 + 20 * n for n, _ in in_use}.values()) + size > bound)
        for other, other_copy in in_use:
            assert read(other_copy) == content_of(other, 20 + 20 * other)
        if not keeps:
            for _, other_copy in in_use:
                other_copy.release()
            in_use.clear()
    for _, copy in in_use:
        copy.release()


def test_files_to_be_read_later_are_removed_before_those_to_be_read_next(tmp_path: Path) -> None:
    folder, source = CacheFolder(str(tmp_path), 4 * SIZE), Source()
    for number in (0, 1, 2, 3):
        copy = source.into(folder, number)
        assert copy
        copy.release()
    folder.plan(map(name_of, (3, 9, 1, 2)))  # 0 is not planned
    present = []
    for number in (4, 5):
        copy = source.into(folder, number)
        assert copy
        present.append({other for other in range(6) if (tmp_path / name_of(other)).exists()})
    assert present == [{1, 2, 3, 4}, {1, 3, 4, 5}]


@pytest.mark.parametrize("damage", [content_of(1)[:-9], content_of(1)[:-4] + b"    ", b""])
def test_a_damaged_copy_is_fetched_again(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / name_of(1)).write_bytes(damage)
    source = Source()
    copy = source.into(CacheFolder(str(tmp_path), 9 * SIZE), 1)
    assert copy
    assert read(copy) == content_of(1)
    assert source.fetched == [1]


def test_other_files_in_the_folder_remain_and_leftovers_do_not(tmp_path: Path) -> None:
    names = ("notes.txt", "a.part", name_of(1) + PART, name_of(2))
    for name in names:
        (tmp_path / name).write_bytes(bytes(SIZE))
    (tmp_path / LEDGER).write_text("damaged")
    folder, source = CacheFolder(str(tmp_path), SIZE), Source()
    assert source.into(folder, 3)
    assert {path.name for path in tmp_path.iterdir()} == {"notes.txt", "a.part", name_of(3), LEDGER}


@pytest.mark.parametrize("pieces", [[], [b"PAR1"], [content_of(1), b"PAR1"]])
def test_a_source_of_another_size_is_not_cached(tmp_path: Path, pieces: list[bytes]) -> None:
    assert CacheFolder(str(tmp_path), 9 * SIZE).fetch(name_of(1), SIZE, lambda: pieces) is None
    assert {path.name for path in tmp_path.iterdir()} == {LEDGER}


def test_a_source_that_fails_is_left_to_the_reader(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def failing() -> Iterator[bytes]:
        yield b"PAR1"
        raise OSError("s3://bucket/key: unreachable")

    folder = CacheFolder(str(tmp_path), 9 * SIZE)
    assert folder.fetch(name_of(1), SIZE, failing) is None
    assert Source().into(folder, 1)
    assert capfd.readouterr().err == ""


def test_a_full_disk_is_reported_once_and_copies_remain_useful(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder, source = CacheFolder(str(tmp_path), 90 * LARGE), Source()
    assert source.into(folder, 1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * LARGE, hard))  # a real error, as of a disk that is full
    try:
        assert source.into(folder, 2, 3 * LARGE) is None
        assert source.into(folder, 3, 3 * LARGE) is None
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert source.into(folder, 1)
    assert source.fetched == [1]
    assert capfd.readouterr().err == (
        f"cache {tmp_path}: File too large; reading the store directly, which is slow; "
        "free space on its disk, or choose another --cache or --cache-gib\n"
    )
    assert {path.name for path in tmp_path.iterdir()} == {name_of(1), LEDGER}


def test_a_disk_that_is_nearly_full_is_left_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, source = CacheFolder(str(tmp_path), 9 * SIZE), Source()
    for number, free in enumerate((RESERVE + 9 * SIZE, RESERVE + SIZE, RESERVE, RESERVE // 2)):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: SimpleNamespace(total=100 * RESERVE, free=free))
        if copy := source.into(folder, number):
            copy.release()
        assert folder.full == (number == 3)
    assert not copies_in(tmp_path)


def test_a_folder_that_cannot_be_made_is_reported(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    folder = CacheFolder(f"{tmp_path}/file/cache", 9 * SIZE)
    assert Source().into(folder, 1) is None
    assert capfd.readouterr().err.startswith(
        f"cache {tmp_path}/file/cache: Not a directory; reading the store directly"
    )


RANK = """
import sys, time
from pathlib import Path
from types import SimpleNamespace
from tests.training.data.cache.test_folder import Source, content_of, name_of, read
from training.data.cache.folder import CacheFolder

folder, first, n, seconds = CacheFolder(sys.argv[1], 10**6), *map(int, sys.argv[2:4]), float(sys.argv[4])
fetched = []
for number in range(n):
    number = (first + number) % n
    def slow():
        print("fetches", number, flush=True)
        time.sleep(seconds)
        yield content_of(number)
    copy = folder.fetch(name_of(number), 100, slow)
    assert read(copy) == content_of(number)
    copy.release()
"""


def rank(folder: Path, first: int, n: int, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", RANK, str(folder), str(first), str(n), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_two_processes_fetch_each_file_once(tmp_path: Path) -> None:
    processes = [rank(tmp_path, first, 30, 0.01) for first in (0, 0)]
    fetched = [line for process in processes for line in process.communicate(timeout=60)[0].splitlines()]
    assert [process.returncode for process in processes] == [0, 0]
    assert sorted(fetched) == sorted(f"fetches {number}" for number in range(30))


def test_the_file_of_a_killed_process_is_fetched_by_another(tmp_path: Path) -> None:
    process = rank(tmp_path, 1, 5, 600)
    assert process.stdout
    assert process.stdout.readline() == "fetches 1\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert (tmp_path / (name_of(1) + PART)).stat().st_size == SIZE
    started = time.monotonic()
    copy = CacheFolder(str(tmp_path), SIZE).fetch(name_of(1), SIZE, lambda: [content_of(1)])
    assert copy
    assert time.monotonic() - started < 5
    assert {path.name for path in tmp_path.iterdir()} == {name_of(1), LEDGER}
