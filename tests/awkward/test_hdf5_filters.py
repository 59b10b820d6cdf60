"""Song files and aggregates written with other HDF5 filters, and chunks that decode to other sizes than declared."""

from __future__ import annotations

import bz2
import io
import subprocess
import sys
import zlib
from itertools import product
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pyarrow as pa
import pytest

from msd_spark.core.song_layout import ARRAYS, TABLES
from msd_spark.songfile.aggregate import read_songs
from msd_spark.songfile.filters import LZF, Filter, check_chunk
from msd_spark.songfile.parse import Song, SongFileError, parse_song, same_song
from msd_spark.synthetic.run import generate
from msd_spark.synthetic.settings import SyntheticSettings
from tests.conftest import REPOSITORY
from tests.support.song_images import refusal

N_SONGS = 3
ROWS = 1000
"""Rows per chunk, more than a song has."""

FILTERS: dict[str, dict[str, Any]] = {
    "fletcher32": {"fletcher32": True},
    "shuffle": {"shuffle": True},
    "gzip": {"compression": "gzip"},
    "lzf": {"compression": "lzf"},
    "lzf, shuffle, fletcher32": {"compression": "lzf", "shuffle": True, "fletcher32": True},
    "gzip, shuffle, fletcher32": {"compression": "gzip", "shuffle": True, "fletcher32": True},
    "blosc": dict(hdf5plugin.Blosc()),
    "blosc, shuffle, fletcher32": {**hdf5plugin.Blosc(shuffle=0), "shuffle": True, "fletcher32": True},
    "bzip2": dict(hdf5plugin.BZip2()),
    "zstd": dict(hdf5plugin.Zstd()),
    "zstd, shuffle, fletcher32": {**hdf5plugin.Zstd(), "shuffle": True, "fletcher32": True},
}
PLUGINS = {"blosc": hdf5plugin.Blosc(), "bzip2": hdf5plugin.BZip2(), "zstd": hdf5plugin.Zstd()}


def rewritten(content: bytes, creation: dict[str, Any], only: str = "iufVS") -> bytes:
    """Write the datasets of a file again; those of the types `only` with other filters."""
    target = io.BytesIO()
    with h5py.File(io.BytesIO(content)) as source, h5py.File(target, "w") as file:
        for item in (*TABLES, *ARRAYS):
            values = source[item.path][...]
            shape = values.shape[1:]
            chunks = (ROWS if item in ARRAYS else 1, *shape)
            chosen = creation if values.dtype.kind in only and len(values) else {}
            file.create_dataset(item.path, data=values, chunks=chunks, maxshape=(None, *shape), **chosen)
    return target.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packed") / "data"
    packaging = ("files", "aggregate")
    generate(SyntheticSettings(songs=N_SONGS, seed=3, packaging=packaging, workers=1, broken=0), folder)
    return folder


@pytest.fixture(scope="module")
def song(folder: Path) -> bytes:
    return next(folder.glob("songs/**/*.h5")).read_bytes()


@pytest.fixture(scope="module")
def aggregate(folder: Path) -> bytes:
    return next(folder.glob("aggregate/*.h5")).read_bytes()


def many(content: bytes) -> list[Song | SongFileError]:
    return [song for _, song in read_songs(io.BytesIO(content), 0, N_SONGS)]


@pytest.mark.parametrize("creation", FILTERS.values(), ids=FILTERS)
def test_songs_and_aggregates_are_read(song: bytes, aggregate: bytes, creation: dict[str, Any]) -> None:
    assert same_song(parse_song(rewritten(song, creation)), parse_song(song))
    for one, other in zip(many(rewritten(aggregate, creation)), many(aggregate), strict=True):
        assert isinstance(one, dict)
        assert isinstance(other, dict)
        assert same_song(one, other)


@pytest.mark.parametrize("others", [{}, {"shuffle": True, "compression": "gzip"}])
def test_scaled_numbers_are_read(song: bytes, others: dict[str, Any]) -> None:
    content = rewritten(song, {"scaleoffset": 9, **others}, "f")
    expected = parse_song(song)
    for name, values in parse_song(content).items():
        if isinstance(values, np.ndarray) and values.dtype.kind == "f":
            np.testing.assert_allclose(values, expected[name], atol=1e-6)


def test_chunks_without_compression_of_a_compressed_dataset_are_read(song: bytes) -> None:
    """HDF5 stores a chunk as it is if an optional filter does not make it smaller."""
    content = io.BytesIO(rewritten(song, {"compression": "lzf"}))
    with h5py.File(content, "r+") as file:
        dataset = file["analysis/segments_start"]
        stored = np.resize(dataset[:], dataset.chunks).tobytes()
        dataset.id.write_direct_chunk((0,), stored, filter_mask=1)
    assert same_song(parse_song(content.getvalue()), parse_song(song))


@pytest.mark.parametrize(
    ("creation", "name"),
    [
        (hdf5plugin.LZ4(), "LZ4"),
        (hdf5plugin.Blosc2(), "blosc2"),
        ({"compression": "szip"}, "szip"),
        (None, "HDF5 filter 40000"),
    ],
)
def test_other_filters_are_named_with_the_way_to_rewrite_the_file(
    song: bytes, creation: dict[str, Any] | None, name: str
) -> None:
    content = rewritten(song, dict(creation or FILTERS["lzf"]), "f")
    if creation is None:
        content = content.replace((LZF).to_bytes(2, "little"), (40000).to_bytes(2, "little"))
    reason, detail = refusal(content)
    assert reason == "unsupported_filter"
    assert detail.endswith(f" uses {name}; rewrite the file: h5repack -f GZIP=1 IN.h5 OUT.h5")


WITHOUT_PLUGIN = """
import sys
sys.modules["hdf5plugin"] = None
from msd_spark.songfile.aggregate import read_songs
from msd_spark.songfile.parse import SongFileError, parse_song
for path in sys.argv[1:]:
    try:
        parse_song(open(path, "rb").read())
    except SongFileError as error:
        print(error.reason, error.detail)
"""


def test_without_hdf5plugin_the_filter_is_named(song: bytes, tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.h5" for name in PLUGINS]
    for path, creation in zip(paths, PLUGINS.values(), strict=True):
        path.write_bytes(rewritten(song, dict(creation)))
    command = [sys.executable, "-c", WITHOUT_PLUGIN, *map(str, paths)]
    lines = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.splitlines()
    assert lines == [
        f"unsupported_filter analysis/songs uses {name}; install hdf5plugin on every worker, or rewrite the file: "
        "h5repack -f GZIP=1 IN.h5 OUT.h5"
        for name in PLUGINS
    ]


def packed(filter_name: str, n_bytes: int) -> bytes:
    """Return zeros packed by a filter."""
    if filter_name == "gzip":
        return zlib.compress(bytes(n_bytes))
    if filter_name == "bzip2":
        return bz2.compress(bytes(n_bytes))
    if filter_name == "zstd":
        return bytes(pa.Codec("zstd").compress(bytes(n_bytes), asbytes=True))
    sink = io.BytesIO()
    with h5py.File(sink, "w") as file:
        creation = {"lzf": FILTERS["lzf"], "blosc": FILTERS["blosc"], "scaleoffset": {"scaleoffset": 3}}[filter_name]
        values = np.zeros(n_bytes // 8) if filter_name == "scaleoffset" else np.zeros(n_bytes, np.uint8)
        dataset = file.create_dataset("x", data=values, chunks=values.shape, **creation)
        return bytes(dataset.id.read_direct_chunk((0,))[1])


@pytest.mark.parametrize(
    ("filter_name", "n_bytes"),
    [
        *product(("gzip", "lzf", "blosc", "bzip2", "zstd"), (64, 8 * ROWS - 8, 8 * ROWS + 8, 50_000_000, None)),
        ("scaleoffset", None),
    ],
)
def test_chunks_that_decode_to_another_size_are_rejected(song: bytes, filter_name: str, n_bytes: int | None) -> None:
    """HDF5 would read beyond those that are too short, and return other contents of the memory."""
    creation = {"scaleoffset": 3} if filter_name == "scaleoffset" else FILTERS[filter_name]
    content = io.BytesIO(rewritten(song, creation, "f"))
    with h5py.File(content, "r+") as file:
        dataset = file["analysis/segments_start"]
        chunk = packed(filter_name, 8 * ROWS if n_bytes is None else n_bytes)
        if n_bytes is None:
            chunk = b"\x20\0\0\0\x08" + bytes(16) if filter_name == "scaleoffset" else chunk[: len(chunk) // 2]
        dataset.id.write_direct_chunk((0,), chunk)
    reason, detail = refusal(content.getvalue())
    assert reason in ("unreadable_data", "implausible_size")
    assert "analysis/segments_start" in detail


@pytest.mark.parametrize("columns", [5, 12])
def test_every_chunk_of_a_wide_array_is_checked(song: bytes, columns: int) -> None:
    content = io.BytesIO()
    with h5py.File(io.BytesIO(song)) as source, h5py.File(content, "w") as file:
        for item in (*TABLES, *ARRAYS):
            source.copy(item.path, file.require_group(item.path.split("/")[0]))
        values = file["analysis/segments_timbre"][:]
        del file["analysis/segments_timbre"]
        dataset = file.create_dataset(
            "analysis/segments_timbre", data=values, chunks=(100, columns), compression="gzip"
        )
        whole = content.getvalue() if file.flush() is None else b""
        dataset.id.write_direct_chunk((0, (12 - 1) // columns * columns), zlib.compress(b"short"))
    assert same_song(parse_song(whole), parse_song(song))
    assert refusal(content.getvalue())[0] == "unreadable_data"


@pytest.mark.parametrize(
    "content", [b"", b"\x1f", b"\x20", b"\xe0", b"\x20\0", b"\x03abcd\x20\xff", b"\x03abcd\xe0\xff\xff"]
)
def test_damaged_lzf_is_rejected(content: bytes) -> None:
    with pytest.raises((ValueError, IndexError)):
        check_chunk(content, 0, [Filter(LZF, (4, 261, 8))], 8)


def test_copies_in_lzf_may_overlap() -> None:
    check_chunk(b"\x01ab\x60\x01\x20\x00", 0, [Filter(LZF, (4, 261, 10))], 10)
