"""The direct reader against h5py, on made files and on real ones."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pyarrow.parquet as pq
import pytest

from msd_spark.core.schemas import SONGS
from msd_spark.core.song_layout import ARRAYS, TABLES, Array
from msd_spark.songfile import parse
from msd_spark.songfile.batches import songs_to_batch, songs_writer
from msd_spark.songfile.parse import SongFileError, parse_song, same_song
from msd_spark.synthetic.metadata import SongFile
from msd_spark.synthetic.song_image import song_image
from tests.support.mutations import parse_with_h5py

Change = Callable[[SongFile], None]


def read_song_file(image: bytes) -> SongFile:
    with h5py.File(io.BytesIO(image)) as file:
        return SongFile(
            rows={table.group: file[table.path][...] for table in TABLES},
            arrays={array.path: file[array.path][...] for array in ARRAYS},
        )


def changed(image: bytes, change: Change) -> bytes:
    song = read_song_file(image)
    change(song)
    return song_image(song)


def rewritten(image: bytes, **creation: object) -> bytes:
    """Write a song's datasets with h5py, as a program other than the dataset's would."""
    target = io.BytesIO()
    with h5py.File(io.BytesIO(image)) as source, h5py.File(target, "w") as file:
        for item in (*TABLES, *ARRAYS):
            values = source[item.path][...]
            file.create_dataset(item.path, data=values, **(creation if len(values) else {}))
    return target.getvalue()


@pytest.fixture(scope="module")
def image(made_files: list[Path]) -> bytes:
    """Give a song with rows in every array."""
    for path in made_files:
        found = path.read_bytes()
        if all(len(values) for values in parse_with_h5py(found).values() if isinstance(values, np.ndarray)):
            return found
    raise AssertionError("no made song has rows in every array")


def read_directly(image: bytes) -> bool:
    parse_song(image)
    return parse._read_known(image) is not None


def assert_equal_to_h5pys(files: list[Path]) -> None:
    for path in files:
        image = path.read_bytes()
        found = parse_song(image, path.stem)
        assert same_song(found, parse_with_h5py(image, path.stem)), path
        assert read_directly(image), f"{path} is not read directly"


def test_made_songs_are_h5pys(made_files: list[Path]) -> None:
    assert len(made_files) == 30
    assert_equal_to_h5pys(made_files)


def test_real_songs_are_h5pys(sample: Path) -> None:
    files = sorted(sample.glob("songs/**/*.h5"))
    assert files
    assert_equal_to_h5pys(files)


def test_real_broken_files_are_refused(sample: Path) -> None:
    for path in sample.glob("broken/*.h5"):
        with pytest.raises(SongFileError, match="missing_data"):
            parse_song(path.read_bytes(), path.stem)


def test_same_song_tells_songs_apart(image: bytes) -> None:
    song = parse_song(image)
    assert same_song(song, dict(song))
    for other in ({**song, "tempo": 1}, {**song, "beats_start": song["beats_start"] + 1e-9}, {"key": song["key"]}):
        assert not same_song(song, other)


def _texts(song: SongFile) -> None:
    song.rows["metadata"]["title"] = b"before\0behind"
    song.rows["metadata"]["artist_name"] = "Björk".encode("latin-1")
    song.rows["metadata"]["release"] = b"x" * 1024
    terms = song.arrays["metadata/artist_terms"]
    terms[0] = b"a\0b"
    terms[-1] = b"y" * 256


def _latin(song: SongFile) -> None:
    song.arrays["metadata/similar_artists"][0] = b"\xe9\xe8"
    song.arrays["metadata/artist_terms"][0] = "é".encode() * 128


def _empty(song: SongFile) -> None:
    for array in ARRAYS:
        song.arrays[array.path] = song.arrays[array.path][:0]


def _long(song: SongFile) -> None:
    _resize_segments(song, 5440)  # 64 chunks, the most that an index of one leaf has
    song.arrays["analysis/tatums_start"] = np.arange(9000.0)


def _resize_segments(song: SongFile, rows: int) -> None:
    for array in ARRAYS:
        if array.name.startswith("segments_"):
            song.arrays[array.path] = np.resize(song.arrays[array.path], (rows, *array.row_shape))


@pytest.mark.parametrize("change", [_texts, _latin, _empty, _long])
def test_unusual_values_are_read_directly(image: bytes, change: Change) -> None:
    other = changed(image, change)
    assert same_song(parse_song(other), parse_with_h5py(other))
    assert read_directly(other)


@pytest.mark.parametrize(
    "creation",
    [
        {},
        {"chunks": True},
        {"chunks": True, "compression": "gzip"},
        {"chunks": True, "compression": "gzip", "shuffle": True},
    ],
)
def test_a_song_stored_otherwise_is_read_by_h5py(image: bytes, creation: dict[str, object]) -> None:
    other = rewritten(image, **creation)
    assert same_song(parse_song(other), parse_song(image))
    assert not read_directly(other)


def _not_finite(song: SongFile) -> None:
    song.arrays["analysis/segments_timbre"][0, 0] = np.inf


def _too_large_for_a_float32(song: SongFile) -> None:
    song.arrays["analysis/segments_pitches"][0, 0] = 1e300


def _one_segment_less(song: SongFile) -> None:
    song.arrays["analysis/segments_timbre"] = song.arrays["analysis/segments_timbre"][:-1]


def _no_track_id(song: SongFile) -> None:
    song.rows["analysis"]["track_id"] = b""


def _two_songs(song: SongFile) -> None:
    song.rows["metadata"] = np.repeat(song.rows["metadata"], 2)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_not_finite, "not_finite"),
        (_too_large_for_a_float32, "not_finite"),
        (_one_segment_less, "length_mismatch"),
        (_no_track_id, "no_track_id"),
        (_two_songs, "not_one_song"),
    ],
)
def test_a_file_that_is_no_sound_song_is_refused(image: bytes, change: Change, reason: str) -> None:
    parse_song(image)  # so that its kind is known
    with pytest.raises(SongFileError) as refused:
        parse_song(changed(image, change))
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda image: b"", "empty_file"),
        (lambda image: b"not a song file\n", "not_hdf5"),
        (lambda image: image[:40], "not_hdf5"),
        (lambda image: image[:-1], "truncated"),
        (lambda image: image[:100], "truncated"),
    ],
)
def test_bytes_that_are_no_file_are_refused(image: bytes, spoil: Callable[[bytes], bytes], reason: str) -> None:
    with pytest.raises(SongFileError) as refused:
        parse_song(spoil(image))
    assert refused.value.reason == reason


def test_another_track_id_is_refused(image: bytes) -> None:
    with pytest.raises(SongFileError, match="track_id_mismatch"):
        parse_song(image, "TRAAAAA128F0000000")


def test_declared_sizes_are_refused_before_anything_is_allocated(image: bytes) -> None:
    target = io.BytesIO(rewritten(image))
    with h5py.File(target, "a") as file:
        pitches = next(array for array in ARRAYS if array.name == "segments_pitches")
        _declare(file, pitches, 900_000)
    with pytest.raises(SongFileError, match="implausible_size"):
        parse_song(target.getvalue())


def _declare(file: h5py.File, array: Array, rows: int) -> None:
    del file[array.path]
    file.create_dataset(array.path, (rows, *array.row_shape), "<f8", chunks=(85, *array.row_shape))


def test_a_refusal_that_is_kept_does_not_reach_the_next_song(made_files: list[Path]) -> None:
    # The library takes two images of one name for one file while a traceback holds a dataset of the first.
    first, second = (path.read_bytes() for path in made_files[:2])
    spoiled = bytearray(rewritten(first, chunks=True, compression="gzip"))
    with h5py.File(io.BytesIO(spoiled)) as file:
        at = file["analysis/segments_timbre"].id.get_chunk_info(0).byte_offset
    spoiled[at : at + 8] = b"spoiled!"
    kept = []
    with pytest.raises(SongFileError) as refused:
        parse_song(bytes(spoiled))
    kept.append(refused.value)
    other = rewritten(second)
    assert same_song(parse_song(other), parse_song(second))


def test_songs_can_be_written_and_read(made_files: list[Path], tmp_path: Path) -> None:
    songs = [{**parse_song(path.read_bytes()), "source": path.name, "member": None} for path in made_files]
    batch = songs_to_batch(songs)
    with songs_writer(str(tmp_path / "songs")) as writer:
        writer.write_batch(batch)
    table = pq.read_table(tmp_path / "songs")
    assert table.schema.equals(SONGS)
    assert table.to_batches()[0].equals(batch)
    group = pq.ParquetFile(tmp_path / "songs").metadata.row_group(0)
    columns = {group.column(number).path_in_schema: group.column(number) for number in range(group.num_columns)}
    assert columns["track_id"].is_stats_set
    assert not columns["segments_timbre.list.element"].is_stats_set
    assert "RLE_DICTIONARY" in columns["segments_pitches.list.element"].encodings
    assert "RLE_DICTIONARY" not in columns["segments_timbre.list.element"].encodings
