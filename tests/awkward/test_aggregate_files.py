"""Aggregate files with links to other files, or with implausible declared sizes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from msd_spark.core.song_layout import ARRAYS
from msd_spark.songfile.aggregate import describe, read_songs
from msd_spark.songfile.song import Song, SongFileError
from msd_spark.synthetic.run import generate
from msd_spark.synthetic.settings import SyntheticSettings
from tests.support.memory import growth_of

N_SONGS = 6
SECRET = b"a secret of another file"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("packed") / "data"
    packaging = ("files", "aggregate")
    generate(SyntheticSettings(songs=N_SONGS, seed=3, packaging=packaging, workers=1, broken=0), folder)
    (path,) = (folder / "aggregate").glob("*.h5")
    return path.read_bytes()


@pytest.fixture
def aggregate(written: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "aggregate.h5"
    path.write_bytes(written)
    with h5py.File(tmp_path / "other.h5", "w") as other, h5py.File(path) as file:
        for name in ("metadata", "analysis"):
            file.copy(name, other)
        other["secret"] = np.full(file["metadata/artist_terms"].shape, SECRET, "S256")
    return path


def read(path: Path) -> list[Song | SongFileError]:
    return [song for _, song in read_songs(str(path), 0, N_SONGS)]


def external(path: str, target: str) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[path]
        file[path] = h5py.ExternalLink("other.h5", target)

    return change


def soft(path: str) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        file.move(path, f"{path}_moved")
        file[path] = h5py.SoftLink(f"/{path}_moved")

    return change


def soft_to_external(file: h5py.File) -> None:
    del file["metadata/artist_terms"]
    file["elsewhere"] = h5py.ExternalLink("other.h5", "secret")
    file["metadata/artist_terms"] = h5py.SoftLink("/elsewhere")


def stored_elsewhere(file: h5py.File) -> None:
    dataset = file["metadata/artist_terms"]
    shape, dtype = dataset.shape, dataset.dtype
    del file["metadata/artist_terms"]
    file.create_dataset("metadata/artist_terms", shape, dtype, external=[("other.h5", 0, h5py.h5f.UNLIMITED)])


def virtual(file: h5py.File) -> None:
    dataset = file["metadata/artist_terms"]
    layout = h5py.VirtualLayout(dataset.shape, dataset.dtype)
    layout[:] = h5py.VirtualSource("other.h5", "secret", dataset.shape)
    del file["metadata/artist_terms"]
    file.create_virtual_dataset("metadata/artist_terms", layout)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(external("metadata/artist_terms", "secret"), id="external array"),
        pytest.param(external("analysis/songs", "analysis/songs"), id="external table"),
        pytest.param(external("metadata", "metadata"), id="external group"),
        pytest.param(soft("metadata/artist_terms"), id="soft array"),
        pytest.param(soft("metadata/songs"), id="soft table"),
        pytest.param(soft("analysis"), id="soft group"),
        pytest.param(soft_to_external, id="soft link to an external one"),
        pytest.param(stored_elsewhere, id="external storage"),
        pytest.param(virtual, id="virtual dataset"),
    ],
)
def test_no_song_has_the_contents_of_another_file(aggregate: Path, change: Callable[[h5py.File], None]) -> None:
    with h5py.File(aggregate, "r+") as file:
        change(file)
    for song in read(aggregate):
        assert isinstance(song, SongFileError)
        assert song.reason in ("wrong_layout", "missing_data")
        assert SECRET.decode() not in song.detail


def long_texts(file: h5py.File) -> None:
    rows = len(file["metadata/similar_artists"])
    del file["metadata/similar_artists"]
    file.create_dataset("metadata/similar_artists", (rows,), "S4000000")


def wide_table(file: h5py.File) -> None:
    dtype = file["analysis/songs"].dtype
    del file["analysis/songs"]
    file.create_dataset("analysis/songs", (N_SONGS, 10_000_000), dtype, chunks=(1, 1000))


def scalar_table(file: h5py.File) -> None:
    del file["metadata/songs"]
    file["metadata/songs"] = 1


@pytest.mark.parametrize("change", [long_texts, wide_table, scalar_table])
def test_songs_of_implausible_types_and_shapes_are_rejected(
    aggregate: Path, change: Callable[[h5py.File], None]
) -> None:
    with h5py.File(aggregate, "r+") as file:
        change(file)
    assert all(isinstance(song, SongFileError) for song in read(aggregate))
    description = describe(str(aggregate))
    assert description == (None if change is scalar_table else (N_SONGS, True))


@pytest.mark.parametrize("change", [external("metadata", "metadata"), external("metadata/songs", "metadata/songs")])
def test_a_file_whose_songs_are_elsewhere_is_no_aggregate(aggregate: Path, change: Callable[[h5py.File], None]) -> None:
    with h5py.File(aggregate, "r+") as file:
        change(file)
    assert describe(str(aggregate)) is None


READ = """
from msd_spark.songfile.aggregate import read_songs
from msd_spark.songfile.song import SongFileError
def read(path):
    songs = (song for _, song in read_songs(path, 0, %d))
    return [song.reason if isinstance(song, SongFileError) else "song" for song in songs]
"""


@pytest.mark.parametrize(("rows", "reason"), [(90_000, "song"), (120_000, "implausible_size")])
def test_declared_sizes_take_no_memory(written: bytes, aggregate: Path, rows: int, reason: str) -> None:
    (good := aggregate.with_name("good.h5")).write_bytes(written)
    with h5py.File(aggregate, "r+") as file:
        for array in ARRAYS:
            if "segments" in array.name:
                file[array.path].resize(rows * N_SONGS, axis=0)
        table = file["analysis/songs"][:]
        for name in table.dtype.names:
            if name.startswith("idx_segments"):
                table[name] = np.arange(N_SONGS) * rows
        file["analysis/songs"][:] = table
    growth, reasons = growth_of(READ % N_SONGS, "read", [good], [aggregate])
    assert reasons == [[reason] * N_SONGS]
    assert growth < 100
