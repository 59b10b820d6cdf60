from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import fs

from msd_spark.core.rejections import Rejection
from msd_spark.ingest import reading
from msd_spark.ingest.reading import read_unit
from msd_spark.ingest.units import Kind, SongInput, Unit
from msd_spark.io import paged as pages
from msd_spark.io.paged import MOST_PAGES, PAGE, PagedFile, open_seekable
from msd_spark.songfile.aggregate import describe, read_songs
from msd_spark.songfile.song import SongFileError
from msd_spark.synthetic.run import generate
from msd_spark.synthetic.settings import SyntheticSettings


class Counted:
    """A remote file that counts its requests."""

    def __init__(self, content: bytes, fails_at: int = -1) -> None:
        self.content, self.fails_at, self.requests = content, fails_at, 0

    def size(self) -> int:
        return len(self.content)

    def read_at(self, size: int, offset: int) -> bytes:
        self.requests += 1
        if self.requests == self.fails_at:
            raise OSError("AWS Error NETWORK_CONNECTION during GetObject operation")
        return self.content[offset : offset + size]

    def close(self) -> None:
        pass


@given(st.binary(max_size=60), st.lists(st.tuples(st.integers(0, 70), st.integers(0, 40)), max_size=20))
def test_any_reads_give_the_files_bytes(content: bytes, reads: list[tuple[int, int]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pages, "PAGE", 8)
        patch.setattr(pages, "MOST_PAGES", 2)
        paged, plain = PagedFile(Counted(content)), io.BytesIO(content)
        for at, size in reads:
            assert paged.seek(at) == plain.seek(at)
            assert paged.read(size) == plain.read(size)
            assert paged.tell() == plain.tell()
        assert paged.seek(-len(content), io.SEEK_END) == 0
        assert paged.readall() == content
        assert len(paged._pages) <= 2


def test_a_file_that_became_shorter_is_an_error() -> None:
    file = Counted(b"x" * 100)
    paged = PagedFile(file)
    file.content = b"x" * 50
    with pytest.raises(OSError, match="the file ends at 50; it had 100 bytes"):
        paged.read(100)


@pytest.fixture(scope="module")
def aggregate(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("aggregate") / "data"
    generate(SyntheticSettings(songs=12, seed=3, packaging=("aggregate",), workers=1, broken=0), folder)
    (path,) = (folder / "aggregate").glob("*.h5")
    return path.read_bytes()


def test_an_aggregate_is_read_with_few_requests(aggregate: bytes) -> None:
    file = Counted(aggregate)
    paged: Any = PagedFile(file)
    assert describe(paged) == (12, True)
    songs = [song for _, song in read_songs(paged, 0, 12)]
    assert not [song for song in songs if isinstance(song, SongFileError)]
    assert file.requests <= len(file.content) // PAGE + 1 <= MOST_PAGES


@pytest.mark.parametrize("fails_at", [1, 2])
def test_a_store_that_does_not_answer_is_no_damaged_aggregate(
    aggregate: bytes, fails_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next ingest has to read it again."""

    class Store:
        def open_input_file(self, _path: str) -> Counted:
            return Counted(aggregate, fails_at)

    monkeypatch.setattr(reading, "open_location", lambda location: (Store(), location, ""))
    found = list(read_unit(Unit.of(Kind.AGGREGATE, "s3://b", [SongInput("s3://b/a.h5", len(aggregate), 1)], 0, 12)))
    assert len(found) == 12
    refused = [item for item in found if isinstance(item, Rejection)]
    assert refused
    assert {item.reason for item in refused} == {"cannot_be_read"}
    assert all("NETWORK_CONNECTION" in item.detail for item in refused)


def test_local_files_are_left_to_hdf5(tmp_path: Path) -> None:
    (tmp_path / "x.h5").write_bytes(b"content")
    with open_seekable(fs.LocalFileSystem(), f"{tmp_path}/x.h5") as local:
        assert local == f"{tmp_path}/x.h5"
    with open_seekable(fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem()), "x.h5") as remote:
        assert isinstance(remote, PagedFile)
        assert remote.read(3) == b"con"
    assert remote.closed
