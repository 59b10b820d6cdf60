"""Files that the parser rejects: the reason, and that the detail names the object."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from msd_spark.songfile.direct.chunks import inflate
from msd_spark.songfile.direct.structure import Unfamiliar
from msd_spark.songfile.parse import SongFileError, parse_song
from tests.support.song_images import TRACK_ID, refusal, replaced, song_image

TRACK = "TRAAAAV128F421A322"
NAN = float("nan")


def shortened(name: str) -> Callable[[h5py.File], None]:
    return replaced(
        f"analysis/{name}", np.zeros((4, 12)) if name in ("segments_pitches", "segments_timbre") else np.zeros(4)
    )


def with_value(path: str, value: float) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        file[path][2] = value

    return change


def without_column(file: h5py.File) -> None:
    row = file["metadata/songs"][:]
    del file["metadata/songs"]
    file["metadata/songs"] = row[[name for name in row.dtype.names if name not in ("title", "artist_id")]]


def declared_huge(file: h5py.File) -> None:
    del file["analysis/bars_start"]
    file.create_dataset("analysis/bars_start", shape=(2_000_000,), dtype="f8", chunks=(1024,))


def doubled(file: h5py.File) -> None:
    rows = file["metadata/songs"][:]
    del file["metadata/songs"]
    file["metadata/songs"] = np.repeat(rows, 2)


def corrupted(file: h5py.File) -> None:
    del file["analysis/bars_start"]
    bars = file.create_dataset("analysis/bars_start", shape=(10,), dtype="f8", chunks=(10,), compression=1)
    bars.id.write_direct_chunk((0,), b"this is no deflated chunk")


def too_short(file: h5py.File) -> None:
    del file["analysis/bars_start"]
    bars = file.create_dataset("analysis/bars_start", shape=(10,), dtype="f8", chunks=(10,), compression=1)
    bars.id.write_direct_chunk((0,), zlib.compress(bytes(72)))  # nine of ten numbers


def foreign(file: h5py.File) -> None:
    for group in list(file):
        del file[group]
    file["mine"] = np.arange(3)


@pytest.mark.parametrize(
    ("change", "reason", "named"),
    [
        (foreign, "missing_data", "analysis/songs"),
        (replaced("analysis/bars_start", h5py.SoftLink("/nowhere")), "wrong_layout", "analysis/bars_start"),
        (replaced("analysis/bars_start", h5py.SoftLink("/analysis/bars_start")), "wrong_layout", "analysis/bars_start"),
        (replaced("analysis/bars_start", np.dtype("f8")), "missing_data", "analysis/bars_start"),
        (replaced("analysis/bars_start", 3.0), "wrong_layout", "analysis/bars_start has shape ()"),
        (replaced("analysis/bars_start", h5py.Empty("f8")), "wrong_layout", "analysis/bars_start"),
        (replaced("analysis/bars_start", np.zeros((3, 2))), "wrong_layout", "(3, 2)"),
        (replaced("analysis/segments_pitches", np.zeros((5, 11))), "wrong_layout", "(5, 11)"),
        (replaced("analysis/segments_timbre", np.zeros(60)), "wrong_layout", "(60,)"),
        (without_column, "wrong_layout", "metadata/songs lacks artist_id, title"),
        (replaced("metadata/songs", np.zeros(1)), "wrong_layout", "metadata/songs lacks"),
        (doubled, "not_one_song", "metadata/songs has shape (2,)"),
        (replaced("analysis/songs", h5py.Empty("f8")), "not_one_song", "analysis/songs"),
        (declared_huge, "implausible_size", "2000000"),
        (corrupted, "unreadable_data", "analysis/bars_start"),
        (too_short, "unreadable_data", "analysis/bars_start: a chunk does not have 80 bytes"),
        (replaced("analysis/bars_start", np.array([b"x"])), "unreadable_data", "analysis/bars_start"),
        (shortened("segments_timbre"), "length_mismatch", "segments_timbre has 4 rows, segments_start 5"),
        (shortened("segments_loudness_max"), "length_mismatch", "segments_loudness_max has 4 rows"),
        (with_value("analysis/segments_pitches", NAN), "not_finite", "segments_pitches"),
        (with_value("analysis/segments_timbre", np.inf), "not_finite", "segments_timbre"),
        (with_value("analysis/segments_loudness_start", 1e300), "not_finite", "segments_loudness_start"),
    ],
)
def test_hdf5_files_that_are_no_song(change: Callable[[h5py.File], None], reason: str, named: str) -> None:
    seen, detail = refusal(song_image(change), TRACK_ID)
    assert seen == reason
    assert named in detail
    assert "\n" not in detail


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (b"", "empty_file"),
        (b"hello", "not_hdf5"),
        (b"\0" * 5000, "not_hdf5"),
        (b"\x89HDF\r\n\x1a\n", "not_hdf5"),
        (b"\x89HDF\r\n\x1a\n" + b"\xff" * 5000, "not_hdf5"),
    ],
)
def test_bytes_that_are_no_hdf5(image: bytes, reason: str) -> None:
    seen, detail = refusal(image)
    assert seen == reason
    assert detail


def test_a_chunk_of_another_size_is_left_to_h5py() -> None:
    for n_bytes in (79, 81):
        with pytest.raises(Unfamiliar):
            inflate(memoryview(zlib.compress(bytes(n_bytes))), 80)
    assert inflate(memoryview(zlib.compress(bytes(80))), 80) == bytes(80)


def test_a_song_without_a_track_id() -> None:
    reason, detail = refusal(song_image(track_id=b""))
    assert reason == "no_track_id"
    assert "track_id" in detail


def test_a_song_under_another_songs_name() -> None:
    reason, detail = refusal(song_image(), TRACK)
    assert reason == "track_id_mismatch"
    assert TRACK in detail
    assert TRACK_ID in detail


def secret(folder: Path) -> Path:
    path = folder / "secret.h5"
    with h5py.File(path, "w") as file:
        file["words"] = np.array([b"a secret"], "S256")
        file.create_group("metadata")
    return path


def external_storage(path: Path) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file["metadata/artist_terms"]
        file.create_dataset("metadata/artist_terms", shape=(1,), dtype="S256", external=[(str(path), 0, 256)])

    return change


def virtual(path: Path) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file["metadata/artist_terms"]
        layout = h5py.VirtualLayout((1,), "S256")
        layout[:] = h5py.VirtualSource(str(path), "words", (1,))
        file.create_virtual_dataset("metadata/artist_terms", layout)

    return change


@pytest.mark.parametrize("make", [external_storage, virtual])
def test_a_song_file_cannot_read_other_files(
    tmp_path: Path, make: Callable[[Path], Callable[[h5py.File], None]]
) -> None:
    reason, detail = refusal(song_image(make(secret(tmp_path))))
    assert reason == "wrong_layout"
    assert detail == "metadata/artist_terms has its data in other files"


def test_a_song_file_cannot_link_to_other_files(tmp_path: Path) -> None:
    reason, detail = refusal(
        song_image(replaced("metadata/artist_terms", h5py.ExternalLink(str(secret(tmp_path)), "/words")))
    )
    assert reason in ("missing_data", "wrong_layout")
    assert "metadata/artist_terms" in detail


def test_an_error_that_is_kept_does_not_change_what_the_next_files_hold() -> None:
    with pytest.raises(SongFileError, match="wrong_layout") as kept:
        parse_song(song_image(replaced("analysis/bars_start", 3.0), track_id=TRACK.encode()))
    assert parse_song(song_image())["track_id"] == TRACK_ID
    assert refusal(b"hello")[0] == "not_hdf5"
    assert kept.value.reason == "wrong_layout"
