from __future__ import annotations

import gzip
import io
import stat
import struct
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msd_spark.fetch.sources import SOURCES, MirrorError, Source
from msd_spark.fetch.unpack import HostileArchiveError, target_of, unpack

SUBSET = next(source for source in SOURCES if source.name == "subset")
SONG = "MillionSongSubset/data/A/B/C/TRABCAA128F9318786.h5"
TARGET = "songs/A/B/C/TRABCAA128F9318786.h5"
LABELS = next(source for source in SOURCES if source.name == "cd1")


def tar_of(path: Path, *members: tuple[str | tarfile.TarInfo, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for member, content in members:
            info = tarfile.TarInfo(member) if isinstance(member, str) else member
            if info.isreg():
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def zip_of(path: Path, *members: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members:
            archive.writestr(member, content)
    return path


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def files_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("mode", ["w:gz", "w"])
def test_songs_and_lists_are_extracted_and_nothing_else(tmp_path: Path, mode: str) -> None:
    archive = tar_of(
        tmp_path / "a.tar.gz",
        (special("MillionSongSubset/data", tarfile.DIRTYPE), b""),
        (SONG, b"song"),
        ("MillionSongSubset/A/B/D/TRABDAA128F9318786.h5", b"other layout"),
        ("MillionSongSubset/AdditionalFiles/subset_unique_tracks.txt", b"lists"),
        ("MillionSongSubset/AdditionalFiles/subset_msd_summary_file.h5", b"not needed"),
        ("MillionSongSubset/data/A/B/C/._TRABCAA128F9318786.h5", b"not a song"),
        ("LICENSE", b"text"),
        mode=mode,
    )
    paths = unpack(archive, SUBSET, tmp_path / "out")
    expected = [
        "additional/subset_unique_tracks.txt",
        "songs/A/B/C/TRABCAA128F9318786.h5",
        "songs/A/B/D/TRABDAA128F9318786.h5",
    ]
    assert paths == expected
    assert files_below(tmp_path / "out") == set(expected)
    assert (tmp_path / "out" / TARGET).read_bytes() == b"song"


def test_the_file_of_a_zip_is_extracted_under_its_own_name(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "a.zip", ("folder/", b""), ("folder/msd_tagtraum_cd1.cls", b"labels"))
    assert unpack(archive, LABELS, tmp_path / "out") == ["tagtraum/msd_tagtraum_cd1.cls"]


def link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


HOSTILE_TARS = {
    "absolute": ("/etc/songs/A/B/C/TRABCAA128F9318786.h5", b""),
    "upwards": ("../../A/B/C/TRABCAA128F9318786.h5", b""),
    "upwards within": ("A/B/C/../../../../x", b""),
    "symbolic link": (special("MillionSongSubset/data", tarfile.SYMTYPE, "/tmp"), b""),
    "hard link": (special(SONG, tarfile.LNKTYPE, "/etc/passwd"), b""),
    "device": (special("null", tarfile.CHRTYPE), b""),
    "pipe": (special("pipe", tarfile.FIFOTYPE), b""),
}


@pytest.mark.parametrize("member", HOSTILE_TARS.values(), ids=HOSTILE_TARS.keys())
def test_a_hostile_tar_is_refused_completely(tmp_path: Path, member: tuple[str | tarfile.TarInfo, bytes]) -> None:
    archive = tar_of(tmp_path / "a.tar.gz", member, (SONG, b"song"))
    with pytest.raises(HostileArchiveError):
        unpack(archive, SUBSET, tmp_path / "in" / "out")
    assert files_below(tmp_path) == {"a.tar.gz"}


@pytest.mark.parametrize("name", ["../msd_tagtraum_cd1.cls", "/msd_tagtraum_cd1.cls", "C:\\x.cls", "a\\..\\..\\x"])
def test_a_zip_with_names_outside_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    archive = zip_of(tmp_path / "a.zip", (name, b"x"), ("msd_tagtraum_cd1.cls", b"labels"))
    with pytest.raises(HostileArchiveError, match="a member outside its folder"):
        unpack(archive, LABELS, tmp_path / "out")
    assert files_below(tmp_path) == {"a.zip"}


def test_a_zip_with_a_link_is_refused(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "a.zip", (link("msd_tagtraum_cd1.cls"), b"/etc/passwd"))
    with pytest.raises(HostileArchiveError, match="a link or device"):
        unpack(archive, LABELS, tmp_path / "out")


def small(source: Source) -> Source:
    return replace(source, most_unpacked=100_000)


def test_decompression_bombs_are_stopped_at_the_limit(tmp_path: Path) -> None:
    zeros = bytes(200_000)
    with pytest.raises(HostileArchiveError, match="unpacks to more than 100,000 bytes"):
        unpack(zip_of(tmp_path / "a.zip", ("msd_tagtraum_cd1.cls", zeros)), small(LABELS), tmp_path / "a")
    with pytest.raises(HostileArchiveError, match="unpacks to more than 100,000 bytes"):
        unpack(tar_of(tmp_path / "b.tar.gz", ("other", zeros), (SONG, b"")), small(SUBSET), tmp_path / "b")
    # Zeros after the tar's end are no member of any size.
    tar = tar_of(tmp_path / "c.tar", (SONG, b"song"), mode="w").read_bytes()
    (tmp_path / "c.tar.gz").write_bytes(gzip.compress(tar + bytes(10_000_000)))
    with pytest.raises(HostileArchiveError, match="unpacks to more than 150,000 bytes"):
        unpack(tmp_path / "c.tar.gz", small(SUBSET), tmp_path / "c")


def test_a_header_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    info = tarfile.TarInfo(SONG)
    info.pax_headers = {"comment": "x" * 100_000}
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(info)
    with pytest.raises(HostileArchiveError, match=r"a header of 100,0.. bytes"):
        unpack(tmp_path / "a.tar.gz", SUBSET, tmp_path / "out")


def test_a_member_larger_than_declared_is_not_read_further(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "a.zip", ("msd_tagtraum_cd1.cls", bytes(200_000)))
    data = bytearray(archive.read_bytes())
    for mark, at in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        struct.pack_into("<I", data, data.find(mark) + at, 1_000)
    archive.write_bytes(data)
    with pytest.raises(MirrorError, match=r"damaged|larger"):
        unpack(archive, LABELS, tmp_path / "out")
    assert sum(path.stat().st_size for path in (tmp_path / "out").rglob("*") if path.is_file()) <= 1_000


def test_a_repeated_member_is_refused(tmp_path: Path) -> None:
    archive = tar_of(tmp_path / "a.tar.gz", (SONG, b"one"), (f"other/{SONG}", b"two"))
    with pytest.raises(HostileArchiveError, match=f"contains {TARGET} twice"):
        unpack(archive, SUBSET, tmp_path / "out")


def test_damaged_and_empty_archives_are_reported(tmp_path: Path) -> None:
    good = tar_of(tmp_path / "a.tar.gz", (SONG, bytes(range(256)) * 500)).read_bytes()
    for cut in (len(good) - 4, len(good) // 2, 30):
        (tmp_path / "b.tar.gz").write_bytes(good[:cut])
        with pytest.raises(MirrorError, match="damaged"):
            unpack(tmp_path / "b.tar.gz", SUBSET, tmp_path / f"out{cut}")
    (tmp_path / "c").write_bytes(b"no archive at all, " * 100)
    with pytest.raises(MirrorError, match="damaged"):
        unpack(tmp_path / "c", SUBSET, tmp_path / "c-out")
    with pytest.raises(MirrorError, match="does not contain songs"):
        unpack(tar_of(tmp_path / "d.tar.gz", ("README", b"x")), SUBSET, tmp_path / "d-out")


@given(name=st.text(st.characters(codec="utf-8")) | st.from_regex(r"\A([./A-Z]{0,9}/)?A/B/C/[TR./A-Z0-9]{18}\.h5\Z"))
def test_no_name_leads_out_of_the_folder(name: str) -> None:
    target = target_of(name, SUBSET)
    if target is not None:
        parts = target.split("/")
        assert parts[0] in ("songs", "additional")
        assert not {"", ".", ".."} & set(parts)
