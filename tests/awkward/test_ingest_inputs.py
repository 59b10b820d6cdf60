"""Song files as users have them: other names, packings and letter case, archives in archives, noise, pipes, bombs."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import random
import socket
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import h5py
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from msd_spark.core import schemas
from msd_spark.core.errors import UserError
from msd_spark.core.schemas import LEDGER_COUNTS
from msd_spark.core.song_layout import ARRAYS
from msd_spark.core.warehouse import Warehouse
from msd_spark.ingest import archives
from msd_spark.ingest.job import shortened
from msd_spark.ingest.ledger import keep_pending, read_ledger
from msd_spark.ingest.names import Content, content_of
from msd_spark.ingest.work import Outcome
from msd_spark.synthetic.run import generate
from msd_spark.synthetic.settings import SyntheticSettings
from tests.conftest import REPOSITORY
from tests.support.memory import growth_of
from tests.support.song_images import song_image
from tests.support.without_spark import image, ingest, rows, track, write_songs

AWKWARD = REPOSITORY.parent / "shared" / "awkward-inputs" / "ingest"

NOISE = ("._x.h5", "a/.DS_Store", "a/THUMBS.DB", "desktop.ini", "__MACOSX/a/._x.h5", f"__MACOSX/{track(9)}.h5")

PACKED: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}


def name(number: int) -> str:
    return f"A/{track(number)}.h5"


def tarred(members: dict[str, bytes]) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        for place, content in members.items():
            info = tarfile.TarInfo(place)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return sink.getvalue()


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", method) as archive:
        for place, content in members.items():
            archive.writestr(place, content)
    return sink.getvalue()


def songs(*numbers: int) -> dict[str, bytes]:
    return {name(number): image(number) for number in numbers}


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for place, content in files.items():
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def tracks(warehouse: Path) -> list[str]:
    return [song["track_id"] for song in rows(warehouse, "songs")]


def reasons(warehouse: Path) -> list[tuple[str, str | None, str]]:
    """Return file name, member and reason of each rejected input."""
    rejected = rows(warehouse, "rejected", "stage=ingest")
    return [(Path(row["source"]).name, row["member"], row["reason"]) for row in rejected]


def skips(warehouse: Path) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row in read_ledger(Warehouse(str(warehouse))):
        for one in row["skips"]:
            counts[one["reason"]] = counts.get(one["reason"], 0) + one["count"]
    return counts


@pytest.mark.parametrize(
    "file",
    [
        "x.h5",
        "x.H5",
        "x.hdf5",
        "x.HDF5",
        "x.h5.gz",
        "x.H5.GZ",
        "x.hdf5.bz2",
        "x.h5.xz",
        f"{track(1)}.H5",
        f"{track(1)}.h5.gz",
    ],
)
@pytest.mark.parametrize("named", [False, True])
def test_song_files_of_any_name_are_read(tmp_path: Path, file: str, named: bool) -> None:
    packing = next((end for end in PACKED if end and file.lower().endswith(end)), "")
    folder = write(tmp_path / "songs", {file: PACKED[packing](image(1))})
    ingest(tmp_path / "w", folder / file if named else folder)
    assert tracks(tmp_path / "w") == [track(1)]


@pytest.mark.parametrize(
    ("file", "pack"),
    [
        ("x.TAR", bytes),
        ("x.TAR.GZ", gzip.compress),
        ("x.Tgz", gzip.compress),
        ("x.tar.bz2", bz2.compress),
        ("x.tbz2", bz2.compress),
        ("x.tar.xz", lzma.compress),
        ("x.txz", lzma.compress),
        ("x.tar.gz", bytes),  # decompressed by a browser
        ("x.tar", gzip.compress),
    ],
)
@pytest.mark.parametrize("named", [False, True])
def test_tars_of_any_name_and_compression_are_read(
    tmp_path: Path, file: str, pack: Callable[[bytes], bytes], named: bool
) -> None:
    folder = write(tmp_path / "songs", {file: pack(tarred(songs(1, 2)))})
    (tmp_path / "list.txt").write_text(f"{folder / file}\n")
    if named:
        ingest(tmp_path / "w", manifest=str(tmp_path / "list.txt"))
    else:
        ingest(tmp_path / "w", folder)
    assert tracks(tmp_path / "w") == [track(1), track(2)]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_zips_are_read(tmp_path: Path, method: int) -> None:
    content = zipped(
        songs(1, 2) | {"bad.h5": b"no song", "notes.txt": b"x", "c.h5.gz": gzip.compress(image(3))}, method
    )
    ingest(tmp_path / "w", write(tmp_path / "songs", {"x.ZIP": content}))
    assert tracks(tmp_path / "w") == [track(1), track(2), track(3)]
    assert {row["member"] for row in rows(tmp_path / "w", "songs")} == {name(1), name(2), "c.h5.gz"}
    assert reasons(tmp_path / "w") == [("x.ZIP", "bad.h5", "not_hdf5")]
    assert skips(tmp_path / "w") == {"other_file": 1}


@pytest.mark.parametrize("outer", [tarred, zipped])
@pytest.mark.parametrize(
    ("file", "inner"),
    [
        ("i.tar", tarred(songs(2, 3))),
        ("i.TAR.GZ", gzip.compress(tarred(songs(2, 3)))),
        ("i.tar.xz", lzma.compress(tarred(songs(2, 3)))),
        ("i.zip", zipped(songs(2, 3))),
        ("i.zip", zipped({"j.tar": tarred(songs(2)), name(3): image(3)})),
    ],
)
def test_archives_in_archives_are_read(
    tmp_path: Path, outer: Callable[[dict[str, bytes]], bytes], file: str, inner: bytes
) -> None:
    ending = outer.__name__[:3]
    content = outer(songs(1) | {f"b/{file}": inner} | songs(4))
    ingest(tmp_path / "w", write(tmp_path / "songs", {f"x.{ending}": content}))
    assert tracks(tmp_path / "w") == [track(number) for number in (1, 2, 3, 4)]
    members = {row["track_id"]: row["member"] for row in rows(tmp_path / "w", "songs")}
    assert members[track(3)] == f"b/{file}/{name(3)}"


def test_a_damaged_archive_in_an_archive_hides_no_other_song(tmp_path: Path) -> None:
    cut = tarred(songs(2, 3))[:-11000]
    content = tarred(songs(1) | {"cut.tar": cut, "no.tar.gz": b"no archive", "no.zip": b"no archive"} | songs(4))
    ingest(tmp_path / "w", write(tmp_path / "songs", {"x.tar": content}))
    assert tracks(tmp_path / "w") == [track(number) for number in (1, 2, 4)]
    assert reasons(tmp_path / "w") == [
        ("x.tar", f"cut.tar/{name(3)}", "truncated_archive"),
        ("x.tar", "no.tar.gz", "not_an_archive"),
        ("x.tar", "no.zip", "not_an_archive"),
    ]


@pytest.mark.parametrize("pack", PACKED.values(), ids=PACKED)
@pytest.mark.parametrize("closed", [True, False], ids=["two archives", "one archive in two streams"])
def test_concatenated_archives_and_streams_are_read(
    tmp_path: Path, pack: Callable[[bytes], bytes], closed: bool
) -> None:
    first, second = tarred(songs(1, 2)), tarred(songs(3))
    whole = tarred(songs(1, 2, 3))
    content = pack(first) + pack(second) if closed else pack(whole[:5000]) + pack(whole[5000:])
    ingest(tmp_path / "w", write(tmp_path / "songs", {"x.tar.gz": content}))
    assert tracks(tmp_path / "w") == [track(1), track(2), track(3)]
    assert reasons(tmp_path / "w") == []


def test_concatenated_zips_are_read(tmp_path: Path) -> None:
    both = zipped(songs(1)) + zipped(songs(2, 3))
    ingest(tmp_path / "w", write(tmp_path / "songs", {"x.zip": both, "y.tar": tarred({"z.zip": zipped(songs(4)) * 2})}))
    assert tracks(tmp_path / "w") == [track(1), track(2), track(3), track(4)]
    assert [reason for *_, reason in reasons(tmp_path / "w")] == ["duplicate_track_id"]


def test_a_zip_that_ends_within_a_stored_zip_is_rejected(tmp_path: Path) -> None:
    whole = zipped(songs(1) | {"inner.zip": zipped(songs(2)), "last": b"x" * 99}, zipfile.ZIP_STORED)
    cut = whole[: whole.index(b"x" * 99)]
    ingest(tmp_path / "w", write(tmp_path / "songs", {"x.zip": cut}))
    assert ("x.zip", name(2), "truncated_archive") in reasons(tmp_path / "w")


def test_zeros_between_streams_and_after_an_archive_are_no_damage(tmp_path: Path) -> None:
    packed = lzma.compress(tarred(songs(1))) + bytes(2 << 20) + lzma.compress(tarred(songs(2)))
    ingest(tmp_path / "w", write(tmp_path / "songs", {"x.tar.xz": packed, "y.tar": tarred(songs(3)) + bytes(700)}))
    assert tracks(tmp_path / "w") == [track(1), track(2), track(3)]
    assert reasons(tmp_path / "w") == []


def with_large_offset(archive: bytes) -> bytes:
    """Return a zip whose first record has its offset in an extra field, as one of 2**63 bytes."""
    at = archive.index(b"PK\1\2")
    record = bytearray(archive[at:])
    record[42:46] = b"\xff" * 4
    extra = struct.pack("<2HQ", 1, 8, 1 << 63)
    record[30:32] = len(extra).to_bytes(2, "little")
    name_end = 46 + int.from_bytes(record[28:30], "little")
    end = record.index(b"PK\5\6")
    size = int.from_bytes(record[end + 12 : end + 16], "little")
    record[end + 12 : end + 16] = (size + len(extra)).to_bytes(4, "little")
    return archive[:at] + bytes(record[:name_end]) + extra + bytes(record[name_end:])


def attributes(values: bytes) -> bytes:
    """Return a tar of a header with attributes for the next member, and a song."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        info = tarfile.TarInfo("attributes")
        info.type, info.size = tarfile.XHDTYPE, len(values)
        archive.addfile(info, io.BytesIO(values))
        info = tarfile.TarInfo(name(9))
        info.size = len(image(9))
        archive.addfile(info, io.BytesIO(image(9)))
    return sink.getvalue()


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("x.zip", with_large_offset(zipped(songs(1)))),
        ("x.tar", tarred({"y.zip": with_large_offset(zipped(songs(1)))})),
        ("x.tar", tarred({"y.zip": b"PK\6\7" + bytes(16) + zipped({})})),
        ("x.tar", attributes(b"25 GNU.sparse.map=no,one\n29 GNU.sparse.realsize=manyy\n")),
        ("x.tar", attributes(b"11 path=y\n\0")[:1024] * 300),
    ],
    ids=["offset", "offset within", "directory within", "attributes", "headers"],
)
def test_invalid_numbers_in_an_archive_are_a_rejection(tmp_path: Path, file: str, content: bytes) -> None:
    summary = ingest(tmp_path / "w", write(tmp_path / "songs", {file: content, "good.h5": image(5)}))
    assert track(5) in tracks(tmp_path / "w")
    assert summary.facts["rejected"] == 1


def test_bombs_within_bombs_end_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "SMALLEST_BUDGET", 1 << 20)
    monkeypatch.setattr(archives, "LARGEST_RATIO", 1)
    zeros = gzip.compress(bytes(64 << 20))
    files = {"x.tar": tarred({"y.tar.gz": zeros, **songs(1)}), "z.zip": zipped({"y.tar.gz": zeros})}
    repeated = zipped({"y.zip": zipped({f"{number}.txt": b"" for number in range(2000)})})
    ingest(tmp_path / "w", write(tmp_path / "songs", files | {"r.zip": repeated}))
    assert tracks(tmp_path / "w") == [track(1)]
    details = [row["detail"] for row in rows(tmp_path / "w", "rejected", "stage=ingest")]
    assert len(details) == 3
    assert all("unpacks to too many bytes" in detail for detail in details)


def test_a_location_with_only_noise_does_not_drop_its_songs(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a", songs(1)), write(tmp_path / "b", songs(2))
    ingest(tmp_path / "w", first, second)
    (second / name(2)).unlink()
    (second / ".DS_Store").touch()
    with pytest.raises(UserError, match=f"1 songs from {second}, but --songs does not name it or it has"):
        ingest(tmp_path / "w", first, second)


@pytest.mark.parametrize("pack", PACKED.values(), ids=PACKED)
def test_a_truncated_second_archive_is_rejected(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    # Readers of compressed content lose up to a buffer before the damage.
    first = pack(tarred(songs(1) | {"filler": random.Random(1).randbytes(1_000_000)}))
    content = first + pack(tarred(songs(2)))[:700]
    ingest(tmp_path / "w", write(tmp_path / "songs", {"x.tar": content}))
    assert tracks(tmp_path / "w") == [track(1)]
    assert [reason for _, _, reason in reasons(tmp_path / "w")] == ["truncated_archive"]


def test_song_files_of_several_streams_are_read(tmp_path: Path) -> None:
    content = image(1)
    files = {f"{end[1:]}.h5{end}": pack(content[:99]) + pack(content[99:]) for end, pack in PACKED.items() if end}
    ingest(tmp_path / "w", write(tmp_path / "songs", files))
    assert [reason for *_, reason in reasons(tmp_path / "w")] == ["duplicate_track_id"] * 2


@pytest.mark.parametrize(
    "damage", [lambda content: content[:-20], lambda content: content[:40] + b"\xff" * 50 + content[90:]]
)
@pytest.mark.parametrize("end", [end for end in PACKED if end])
def test_damaged_compressed_songs_are_rejected(tmp_path: Path, end: str, damage: Callable[[bytes], bytes]) -> None:
    files = {f"bad.h5{end}": damage(PACKED[end](image(2))), "good.h5": image(1)}
    ingest(tmp_path / "w", write(tmp_path / "songs", files))
    assert tracks(tmp_path / "w") == [track(1)]
    assert reasons(tmp_path / "w") == [(f"bad.h5{end}", None, "cannot_be_decompressed")]


def test_packed_aggregates_are_rejected_with_the_remedy(tmp_path: Path) -> None:
    """The number of their songs is known only after reading."""
    packaging = ("aggregate",)
    generate(SyntheticSettings(songs=3, seed=3, packaging=packaging, workers=1, broken=0), tmp_path / "data")
    content = next((tmp_path / "data").glob("aggregate/*.h5")).read_bytes()
    files = {
        "good.h5": image(1),
        "a.HDF5": content,
        "b.h5.gz": gzip.compress(content),
        "c.zip": zipped({"c.h5": content}),
    }
    ingest(tmp_path / "w", write(tmp_path / "songs", files))
    assert len(tracks(tmp_path / "w")) == 4
    assert reasons(tmp_path / "w") == [("b.h5.gz", None, "not_one_song"), ("c.zip", "c.h5", "not_one_song")]
    for row in rows(tmp_path / "w", "rejected", "stage=ingest"):
        assert row["detail"].endswith("; unpack an aggregate file to read it")


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("x.zip", zipped({})),
        ("x.tar", tarred({})),
        ("x.tar.gz", gzip.compress(tarred({}), mtime=0)),
        ("x.tar", tarred({"i.zip": zipped({})})),
    ],
    ids=["zip", "tar", "tar.gz", "zip in a tar"],
)
def test_archives_without_files_are_counted(tmp_path: Path, file: str, content: bytes) -> None:
    ingest(tmp_path / "w", write(tmp_path / "songs", {file: content, "good.h5": image(1)}))
    assert skips(tmp_path / "w") == {"empty_archive": 1}


@pytest.mark.parametrize("rest", [bytes(1024), bytes(700)])
@pytest.mark.parametrize("file", ["x.h5.gz", "x.tar.gz"])
def test_zeros_after_a_gzip_stream_are_ignored(tmp_path: Path, file: str, rest: bytes) -> None:
    content = image(1) if file == "x.h5.gz" else tarred(songs(1))
    ingest(tmp_path / "w", write(tmp_path / "songs", {file: gzip.compress(content) + rest}))
    assert tracks(tmp_path / "w") == [track(1)]
    assert reasons(tmp_path / "w") == []


def test_noise_is_skipped_everywhere(tmp_path: Path) -> None:
    noise = dict.fromkeys(NOISE, b"noise")
    folder = write(tmp_path / "songs", noise | songs(1))
    write(folder, {"x.tar": tarred(noise | songs(2)), "x.zip": zipped(noise | songs(3))})
    summary = ingest(tmp_path / "w", folder, folder / "._x.h5")
    assert tracks(tmp_path / "w") == [track(1), track(2), track(3)]
    assert (summary.facts["rejected"], summary.facts["skipped"]) == (0, 3 * len(NOISE))
    assert skips(tmp_path / "w") == {"noise": 3 * len(NOISE)}


def mixed(folder: Path) -> Path:
    """Write a folder with songs, rejected files, duplicates and files that are skipped."""
    nested = tarred(songs(5) | {"deep.tar.gz": gzip.compress(tarred(songs(6))), "README": b"x"})
    deep = tarred(songs(7))
    for _ in range(5):
        deep = tarred({"t.tar": deep})
    files = {
        **songs(1, 2),
        "two.H5": image(2),
        "bad.hdf5": b"no song",
        "bad.h5.gz": b"\x1f\x8bno gzip",
        "x.zip": zipped(songs(3) | {"bad.h5": b""}),
        "x.tar.bz2": bz2.compress(nested),
        "deep.tar": deep,
        "notes.txt": b"x",
        "songs.7z": b"x",
        "songs.tar.zst": b"x",
        ".DS_Store": b"x",
    }
    return write(folder, files)


MIXED = {"noise": 1, "other_file": 2, "unsupported_compression": 2, "nested_too_deep": 1}


def test_every_file_of_a_mixed_folder_is_accounted_for(tmp_path: Path) -> None:
    folder, warehouse = mixed(tmp_path / "songs"), tmp_path / "w"
    summary = ingest(warehouse, folder)
    assert tracks(warehouse) == [track(number) for number in (1, 2, 3, 5, 6)]
    assert [summary.facts[name] for name in LEDGER_COUNTS] == [15, 5, 3, 1, 6]
    assert summary.facts["inputs = songs + rejected + duplicates + skipped"] == "15 = 5 + 3 + 1 + 6"
    for row in read_ledger(Warehouse(str(warehouse))):
        assert row["inputs"] == row["songs"] + row["rejected"] + row["duplicates"] + row["skipped"]
        assert row["skipped"] == sum(one["count"] for one in row["skips"])
    assert skips(warehouse) == MIXED
    example = summary.facts["rejected, cannot_be_decompressed"]
    assert example == f"1, such as {shortened(f'{folder}/bad.h5.gz')}"


def test_a_second_ingest_of_a_mixed_folder_changes_nothing(tmp_path: Path) -> None:
    folder, warehouse = mixed(tmp_path / "songs"), tmp_path / "w"
    first = ingest(warehouse, folder).facts
    version = Warehouse(str(warehouse)).snapshot("ledger").version
    (folder / ".DS_Store").write_bytes(b"changed by the Finder")
    again = ingest(warehouse, folder).facts
    assert again["units done before"] == again["units"]
    assert [again[name] for name in LEDGER_COUNTS] == [first[name] for name in LEDGER_COUNTS]
    assert Warehouse(str(warehouse)).snapshot("ledger").version == version
    files = {path.name for path in (warehouse / "songs").glob("*.parquet")}
    (folder / "more.txt").touch()
    more = ingest(warehouse, folder).facts
    assert (more["skipped"], more["songs"]) == (first["skipped"] + 1, first["songs"])
    assert {path.name for path in (warehouse / "songs").glob("*.parquet")} == files  # no song was read again


def test_skipped_files_of_a_location_that_is_not_named_again_are_dropped(tmp_path: Path) -> None:
    write(tmp_path / "a", songs(1))
    write(tmp_path / "b", {"notes.txt": b"x"})
    assert ingest(tmp_path / "w", tmp_path / "a", tmp_path / "b").facts["skipped"] == 1
    assert ingest(tmp_path / "w", tmp_path / "a").facts["skipped"] == 0


@pytest.mark.parametrize("files", [{"notes.txt": b"x", "a/.DS_Store": b"x"}, {"x.tar": tarred({"notes.txt": b"x"})}])
def test_a_folder_without_songs_is_an_error(tmp_path: Path, files: dict[str, bytes]) -> None:
    with pytest.raises(UserError, match=r"no song file.*1 files skipped as other_file|the input has no song"):
        ingest(tmp_path / "w", write(tmp_path / "songs", files))


def without_skips(table: pa.Table) -> pa.Table:
    return table.drop_columns(["skipped", "skips"])


def test_a_ledger_from_before_the_column_skipped_is_read(tmp_path: Path) -> None:
    folder, warehouse = write(tmp_path / "songs", songs(1, 2)), Warehouse(str(tmp_path / "w"))
    ingest(tmp_path / "w", folder)
    older = without_skips(warehouse.read_table(None, "ledger"))
    warehouse.remove("ledger")
    warehouse.write_arrow(
        older.cast(pa.schema([schemas.LEDGER.field(column) for column in older.column_names])), "ledger"
    )
    (folder / "notes.txt").touch()
    write(folder, {"b/x.tar": tarred(songs(3) | {"README": b"x"})})
    summary = ingest(tmp_path / "w", folder)
    assert [summary.facts[name] for name in (*LEDGER_COUNTS, "units done before")] == [5, 3, 0, 0, 2, 1]
    (path,) = (tmp_path / "w" / "ledger").glob("*.parquet")
    assert pq.read_schema(path).names == schemas.LEDGER.names
    assert warehouse.snapshot("ledger").schema.names == schemas.LEDGER.names


def test_unfinished_units_from_before_the_column_skipped_are_read(tmp_path: Path) -> None:
    warehouse = Warehouse(str(tmp_path))
    row = Outcome("u", "tar", "/d", "/d/x.tar").ledger_row()
    older = pa.schema([field for field in schemas.LEDGER if field.name not in ("skipped", "skips")])
    warehouse.write_arrow(pa.Table.from_pylist([row], older), "_ingest")
    keep_pending(warehouse, [Outcome("v", "tar", "/d", "/d/y.tar", skips={"noise": (1, "x")})])
    assert {row["unit"]: row["skipped"] for row in read_ledger(warehouse, "_ingest")} == {"u": 0, "v": 1}


def test_the_shared_inputs_are_read(tmp_path: Path) -> None:
    if not AWKWARD.is_dir():
        pytest.skip("awkward inputs: no folder shared/awkward-inputs")
    summary = ingest(tmp_path / "w", AWKWARD)
    assert [summary.facts[name] for name in LEDGER_COUNTS] == [6, 3, 0, 2, 1]
    assert [summary.facts["songs"] for summary in [ingest(tmp_path / "v", AWKWARD / "nested.tar")]] == [1]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a/TRX.H5", Content.SONG),
        ("x.h5.7z", Content.OTHER),
        ("x.h5.txt", Content.OTHER),
        ("x.h5\n", Content.OTHER),
        ("h5", Content.OTHER),
        ("x.tar.gz.part", Content.OTHER),
        ("x.TBZ", Content.TAR),
        ("x.h5.zip", Content.ZIP),
        ("a/__macosx/x.h5", Content.OTHER),
    ],
)
def test_names(name: str, content: Content) -> None:
    assert content_of(name) is content


# Pipes, sockets, devices


@pytest.mark.timeout(60)
@pytest.mark.parametrize("named", ["folder", "files", "manifest"])
@pytest.mark.parametrize("ending", ["{track}.h5", "x.h5", "x.h5.gz", "x.tar", "x.tar.gz", "x.zip"])
def test_pipes_sockets_and_devices_are_rejected_not_waited_for(
    tmp_path: Path, named: str, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (good,) = write_songs(tmp_path / "songs", [1])
    monkeypatch.chdir(good.parent)  # the path of a socket is limited to 108 bytes
    paths = [good.with_name(kind + ending.format(track=track(2))) for kind in ("", "socket-", "null-")]
    os.mkfifo(paths[0])
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(paths[1].name)
        paths[2].symlink_to("/dev/zero")
        (tmp_path / "list.txt").write_text("".join(f"{path}\n" for path in (good, *paths)))
        if named == "manifest":
            ingest(tmp_path / "w", manifest=str(tmp_path / "list.txt"))
        else:
            ingest(tmp_path / "w", *([good.parent] if named == "folder" else [good, *paths]))
    assert tracks(tmp_path / "w") == [track(1)]
    rejected = rows(tmp_path / "w", "rejected", "stage=ingest")
    details = ("it is a named pipe", "it is a device", "it is a socket")
    assert {(row["source"], row["reason"]) for row in rejected} == {(str(path), "not_a_file") for path in paths}
    assert {row["detail"].split(";")[0] for row in rejected} == set(details)


# Bombs

READ = """
from pathlib import Path
from msd_spark.ingest.reading import read_unit
from msd_spark.ingest.units import Kind, SongInput, Unit
def read(path):
    kind = {"tar": Kind.TAR, "zip": Kind.ZIP}.get(Path(path).name.split(".")[1], Kind.FILES)
    items = read_unit(Unit.of(kind, "/d", [SongInput(path, Path(path).stat().st_size, 1)]))
    return [item["track_id"] if isinstance(item, dict) else item.reason for item in items]
"""

BOMB = 128
"""MiB of a bomb when decompressed."""


def zeros(compress: Callable[[bytes], bytes]) -> bytes:
    """Return the zeros of a bomb in many streams, which are made faster than one."""
    return compress(bytes(8 << 20)) * (BOMB // 8)


def xz_of_a_large_dictionary() -> bytes:
    """Return a bomb in one stream whose header declares a dictionary of 384 MiB."""
    content = bytearray(lzma.compress(bytes(BOMB << 20), preset=0))
    content[16] = 33
    content[20:24] = zlib.crc32(content[12:20]).to_bytes(4, "little")
    return bytes(content)


def declared(n_rows: int, rows_per_chunk: int) -> bytes:
    """Return a song file that declares many segments and stores none."""

    def change(file: h5py.File) -> None:
        for array in ARRAYS:
            if array.name.startswith("segments_"):
                del file[array.path]
                chunks = (rows_per_chunk, *array.row_shape) if rows_per_chunk else None
                file.create_dataset(array.path, (n_rows, *array.row_shape), array.dtype, chunks=chunks)

    return song_image(change, track_id=track(1).encode())


def test_declared_sizes_do_not_grow_the_process(tmp_path: Path) -> None:
    files = {
        "1.h5": (declared(100_000, 1000), track(1)),  # all zeros
        "2.h5": (declared(900_000, 1000), "implausible_size"),
        "3.h5": (declared(1 << 40, 1000), "implausible_size"),
        "4.h5": (declared(1 << 40, 0), "implausible_size"),
        "5.h5": (declared(100_000, 100_000), "implausible_size"),
    }
    write(tmp_path, {"good.h5": image(1)} | {file: content for file, (content, _) in files.items()})
    growth, results = growth_of(READ, "read", [tmp_path / "good.h5"], [tmp_path / file for file in files])
    assert dict(zip(files, results, strict=True)) == {file: [expected] for file, (_, expected) in files.items()}
    assert growth < 96


def test_bombs_do_not_grow_the_process(tmp_path: Path) -> None:
    xz, gz = xz_of_a_large_dictionary(), zeros(gzip.compress)
    bombs = {
        "1.h5.gz": (gz, ["implausible_size"]),
        "2.h5.bz2": (zeros(bz2.compress), ["implausible_size"]),
        "3.h5.xz": (zeros(partial(lzma.compress, preset=0)), ["implausible_size"]),
        "4.h5.xz": (xz, ["cannot_be_decompressed"]),
        "5.tar.xz": (xz, ["not_an_archive"]),
        "6.tar.gz": (gzip.compress(tarred({"y.h5": bytes(BOMB << 20)}), 1), ["implausible_size"]),
        "7.tar": (tarred({"y.h5.gz": gz, "z.tar.gz": gz}), ["implausible_size", "empty_archive"]),
        "8.zip": (zipped({"y.h5": bytes(BOMB << 20), "z.tar.gz": gz}), ["implausible_size", "empty_archive"]),
    }
    good = {"good.h5": image(1), "good.tar": tarred(songs(1)), "good.zip": zipped(songs(1))}
    write(tmp_path, good | {file: content for file, (content, _) in bombs.items()})
    growth, reasons = growth_of(READ, "read", [tmp_path / place for place in good], [tmp_path / file for file in bombs])
    assert dict(zip(bombs, reasons, strict=True)) == {file: expected for file, (_, expected) in bombs.items()}
    assert growth < 96
