"""Reading of tars: one pass, nothing unpacked, a song or a reason for every member."""

from __future__ import annotations

import gzip
import io
import random
import tarfile
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import fs

from msd_spark.core.rejections import Rejection
from msd_spark.ingest import archives
from msd_spark.ingest.loose import TEMPORARY
from msd_spark.ingest.names import Skipped
from msd_spark.ingest.reading import read_unit
from msd_spark.ingest.units import Kind, SongInput, Unit
from msd_spark.songfile.parse import LARGEST_SONG_FILE
from tests.support.without_spark import image, track

Member = tuple[str, bytes] | tarfile.TarInfo


def tar(*members: Member, format: int = tarfile.USTAR_FORMAT) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=format) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
                continue
            info = tarfile.TarInfo(member[0])
            info.size = len(member[1])
            archive.addfile(info, io.BytesIO(member[1]))
    return sink.getvalue()


def link(name: str, kind: bytes, target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def name(number: int) -> str:
    return f"A/A/A/{track(number)}.h5"


def song(number: int) -> Member:
    return name(number), image(number)


THREE = tar(song(1), song(2), song(3))
ENDS = list(accumulate(512 + -(-len(image(number)) // 512) * 512 for number in (1, 2, 3)))
"""Where each of the three members ends."""
MEMBER = ENDS[0]


def read(folder: Path, content: bytes, file: str = "x.tar") -> list[tuple[str | None, str]]:
    """Return each member with its track id, or with the reason why it has none."""
    found: list[tuple[str | None, str]] = []
    (folder / file).write_bytes(content)
    unit = Unit.of(Kind.TAR, str(folder), [SongInput(str(folder / file), len(content), 1)])
    for item in read_unit(unit):
        if isinstance(item, Skipped):
            found.append((item.member, item.reason))
        elif isinstance(item, Rejection):
            assert item.source == str(folder / file)
            assert item.detail
            assert "\n" not in item.detail
            found.append((item.member, item.reason))
        else:
            assert item["source"] == str(folder / file)
            found.append((item["member"], item["track_id"]))
    return found


def tracks(*numbers: int) -> list[tuple[str | None, str]]:
    return [(name(number), track(number)) for number in numbers]


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("file", ["x.tar", "x.tar.gz", "x.tgz"])
def test_members_come_in_order(tmp_path: Path, format: int, file: str) -> None:
    content = tar(song(2), song(1), song(3), format=format)
    assert read(tmp_path, content if file == "x.tar" else gzip.compress(content), file) == tracks(2, 1, 3)


def test_an_official_shard_without_songs_is_skipped(tmp_path: Path) -> None:
    folder = tarfile.TarInfo("A")
    folder.type = tarfile.DIRTYPE
    assert read(tmp_path, tar(folder)) == [(None, "empty_archive")]


def test_members_that_are_not_song_files_are_skipped(tmp_path: Path) -> None:
    folder = tarfile.TarInfo("folder.h5")
    folder.type = tarfile.DIRTYPE
    content = tar(("README", b"x" * 5000), folder, song(1), ("A/notes.h5.txt", b"x"), song(2))
    assert read(tmp_path, content) == [
        ("README", "other_file"),
        *tracks(1),
        ("A/notes.h5.txt", "other_file"),
        *tracks(2),
    ]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_not_followed(tmp_path: Path, kind: bytes) -> None:
    (tmp_path / f"{track(2)}.h5").write_bytes(image(2))
    for target in (name(1), f"{tmp_path}/{track(2)}.h5", f"../{track(2)}.h5"):
        content = tar(song(1), link(name(2), kind, target), song(3))
        assert read(tmp_path, content) == [*tracks(1), (name(2), "not_a_file"), *tracks(3)]


@pytest.mark.parametrize("before", ["/", "/etc/", "../../", "./", "a/../../"])
def test_a_members_name_is_only_a_label(tmp_path: Path, before: str) -> None:
    place = f"{before}{track(1)}.h5"
    assert read(tmp_path, tar((place, image(1)))) == [(place, track(1))]
    assert [path.name for path in tmp_path.iterdir()] == ["x.tar"]


def test_a_member_under_another_songs_name_is_refused(tmp_path: Path) -> None:
    content = tar((name(1), image(2)), ("song.h5", image(3)), (name(4), b"x"), (name(5), b""))
    assert read(tmp_path, content) == [
        (name(1), "track_id_mismatch"),
        ("song.h5", track(3)),
        (name(4), "not_hdf5"),
        (name(5), "empty_file"),
    ]


def test_a_repeated_member_is_read_twice(tmp_path: Path) -> None:
    assert read(tmp_path, tar(song(1), song(2), song(1))) == tracks(1, 2, 1)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("end", "whole"),
    [
        pytest.param(ENDS[1] + 100, 2, id="in a header"),
        pytest.param(ENDS[1] + 512, 2, id="after a header"),
        pytest.param(ENDS[1] + 2000, 2, id="in a member"),
        pytest.param(ENDS[0], 1, id="between members"),
        pytest.param(ENDS[2], 3, id="before the closing zeros"),
        pytest.param(ENDS[2] + 100, 3, id="in the closing zeros"),
    ],
)
def test_a_truncated_end_is_detected(tmp_path: Path, end: int, whole: int, packed: bool) -> None:
    content = gzip.compress(THREE[:end]) if packed else THREE[:end]
    *found, cut = read(tmp_path, content, "x.tar.gz" if packed else "x.tar")
    assert found == tracks(*range(1, whole + 1))
    assert cut[1] == "truncated_archive"


@pytest.mark.parametrize("kept", [0.5, 0.7, 0.9])
def test_a_truncated_gzip_stream_is_detected(tmp_path: Path, kept: float) -> None:
    draw = random.Random(1)
    content = gzip.compress(tar(song(1), ("noise", draw.randbytes(5_000_000)), song(2)), 1)
    *found, cut = read(tmp_path, content[: int(kept * len(content))], "x.tar.gz")
    assert found in (tracks(1), [*tracks(1), ("noise", "other_file")])
    assert cut[1] == "truncated_archive"


def test_a_damaged_gzip_stream_is_detected(tmp_path: Path) -> None:
    draw = random.Random(1)
    content = bytearray(gzip.compress(tar(song(1), ("noise", draw.randbytes(5_000_000)), song(2)), 1))
    at = len(content) - 5000
    content[at : at + 1000] = b"\xff" * 1000
    *found, cut = read(tmp_path, bytes(content), "x.tar.gz")
    assert found[:1] == tracks(1)  # what follows may be intact: only the checksum at the end shows it
    assert cut[1] == "truncated_archive"


def test_a_damaged_header_is_not_taken_for_the_end(tmp_path: Path) -> None:
    content = bytearray(THREE)
    content[MEMBER + 10] ^= 1
    assert read(tmp_path, bytes(content)) == [*tracks(1), (name(1), "truncated_archive")]


@pytest.mark.parametrize(
    ("content", "file"),
    [
        pytest.param(b"", "x.tar", id="empty"),
        pytest.param(b"hello", "x.tar", id="text"),
        pytest.param(b"hello" * 1000, "x.tar", id="more text"),
        pytest.param(THREE[:300], "x.tar", id="half a header"),
        pytest.param(b"", "x.tar.gz", id="empty, named gz"),
        pytest.param(b"\x1f\x8b" + b"\xff" * 1000, "x.tar.gz", id="like gzip"),
        pytest.param(gzip.compress(b"hello" * 1000), "x.tgz", id="packed text"),
        pytest.param(gzip.compress(b""), "x.tgz", id="packed nothing"),
    ],
)
def test_a_file_that_is_not_an_archive_is_rejected_permanently(tmp_path: Path, content: bytes, file: str) -> None:
    assert read(tmp_path, content, file) == [(None, "not_an_archive")]
    assert "not_an_archive" not in TEMPORARY


@pytest.mark.parametrize("file", ["x.tar", "x.tar.gz"])
def test_a_missing_archive_is_retried(tmp_path: Path, file: str) -> None:
    unit = Unit.of(Kind.TAR, "/d", [SongInput(str(tmp_path / file), -1, 0)])
    (item,) = read_unit(unit)
    assert isinstance(item, Rejection)
    assert (item.source, item.member, item.reason) == (str(tmp_path / file), None, "not_found")


def declared(place: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    """Return a header that declares the size of its member."""
    info = tarfile.TarInfo(place)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("size", [LARGEST_SONG_FILE + 1, 2**33, 2**60])
@pytest.mark.parametrize("place", [name(2), "README"])
def test_a_member_of_hostile_size_ends_the_reading_soon(tmp_path: Path, size: int, place: str) -> None:
    content = THREE[:MEMBER] + declared(place, size) + THREE[MEMBER:]
    first, *others = read(tmp_path, content)
    assert [first] == tracks(1)
    assert others[-1] == (place, "truncated_archive")
    assert (name(2), "implausible_size") in others or place == "README"


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_a_header_of_hostile_size_is_not_read_into_memory(
    tmp_path: Path, kind: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    read_stream = tarfile._Stream.read  # type: ignore[attr-defined]

    def noted(stream: Any, size: int) -> Any:
        sizes.append(size)
        return read_stream(stream, size)

    monkeypatch.setattr(tarfile._Stream, "read", noted)  # type: ignore[attr-defined]
    content = THREE[:MEMBER] + declared("long", 2**40, kind) + THREE[MEMBER:]
    assert read(tmp_path, content) == [*tracks(1), (name(1), "truncated_archive")]
    assert max(sizes) <= 1 << 20


def test_a_long_name_is_read(tmp_path: Path) -> None:
    place = "x" * 3000 + f"/{track(1)}.h5"
    for format in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        assert read(tmp_path, tar((place, image(1)), format=format)) == [(place, track(1))]


def test_a_name_that_is_not_utf8_is_written_with_escapes(tmp_path: Path) -> None:
    assert read(tmp_path, tar(("\udcff.h5", image(1)))) == [("\\udcff.h5", track(1))]


@given(st.integers(0, len(THREE) - 1), st.integers(1, 255))
def test_a_changed_byte_anywhere_ends_in_songs_and_rejections(
    tmp_path_factory: pytest.TempPathFactory, at: int, change: int
) -> None:
    content = bytearray(THREE)
    content[at] ^= change
    found = read(tmp_path_factory.mktemp("tar"), bytes(content))
    # Every member has a song or a reason, or the archive is reported as damaged.
    assert len(found) >= 3 or found[-1][1] in ("truncated_archive", "not_an_archive")


class Breaking(io.RawIOBase):
    """A connection that breaks after its bytes."""

    def __init__(self, content: bytes) -> None:
        self.content = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = self.content.readinto(buffer)
        if not size:
            raise OSError("When reading x.tar: AWS Error NETWORK_CONNECTION")
        return size


@pytest.mark.parametrize(("file", "pack"), [("x.tar", bytes), ("x.tar.gz", gzip.compress)])
def test_a_broken_connection_is_not_a_truncated_archive(
    file: str, pack: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next ingest has to read it again."""
    content = pack(THREE)

    class Store:
        def open_input_stream(self, _path: str, compression: str | None) -> Breaking:
            return Breaking(content[: len(content) * 2 // 3])

    def open_location(location: str) -> tuple[fs.FileSystem, str, str]:
        return Store(), location, ""

    monkeypatch.setattr(archives, "open_location", open_location)
    *_, last = read_unit(Unit.of(Kind.TAR, "s3://b", [SongInput(f"s3://b/{file}", len(content), 1)]))
    assert isinstance(last, Rejection)
    assert last.reason == "cannot_be_read"
    assert "NETWORK_CONNECTION" in last.detail
