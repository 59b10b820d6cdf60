from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from msd_spark.songfile.aggregate import describe, read_songs
from msd_spark.songfile.parse import parse_song, same_song
from msd_spark.songfile.song import Song, SongFileError
from msd_spark.synthetic.run import generate
from msd_spark.synthetic.settings import SyntheticSettings

N_SONGS = 12


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Songs as loose files, as an aggregate and as a summary."""
    folder = tmp_path_factory.mktemp("packed") / "data"
    packaging = ("files", "aggregate", "summary")
    generate(SyntheticSettings(songs=N_SONGS, seed=3, packaging=packaging, workers=1, broken=0), folder)
    return folder


@pytest.fixture
def aggregate(packed: Path, tmp_path: Path) -> Path:
    """A copy to make worse."""
    (path,) = (packed / "aggregate").glob("*.h5")
    copy = tmp_path / path.name
    copy.write_bytes(path.read_bytes())
    return copy


def read(path: Path, start: int = 0, stop: int = N_SONGS) -> list[Song | SongFileError]:
    rows, songs = zip(*read_songs(str(path), start, stop), strict=True)
    assert rows == tuple(range(start, stop))
    return list(songs)


def reasons(songs: list[Song | SongFileError]) -> list[str | None]:
    return [song.reason if isinstance(song, SongFileError) else None for song in songs]


def by_track(songs: list[Song | SongFileError]) -> dict[str, Song]:
    return {song["track_id"]: song for song in songs if not isinstance(song, SongFileError)}


@pytest.fixture(scope="module")
def loose(packed: Path) -> dict[str, Song]:
    return {path.stem: parse_song(path.read_bytes()) for path in (packed / "songs").rglob("*.h5")}


def test_an_aggregates_songs_equal_the_loose_files(aggregate: Path, loose: dict[str, Song]) -> None:
    found = by_track(read(aggregate))
    assert sorted(found) == sorted(loose)
    for track_id, song in loose.items():
        in_order = {name: found[track_id][name] for name in song}
        assert same_song(in_order, song), track_id
        assert set(found[track_id]) == set(song)


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (3, 7), (N_SONGS - 1, N_SONGS)])
def test_some_rows_are_those_of_all_rows(aggregate: Path, start: int, stop: int) -> None:
    every = read(aggregate)[start:stop]
    for part, whole in zip(read(aggregate, start, stop), every, strict=True):
        assert not isinstance(part, SongFileError)
        assert not isinstance(whole, SongFileError)
        assert same_song(part, whole)


def test_an_open_file_serves_as_well_as_a_path(aggregate: Path) -> None:
    with aggregate.open("rb") as file:
        assert describe(file) == (N_SONGS, True)
        assert reasons([song for _, song in read_songs(file, 0, N_SONGS)]) == [None] * N_SONGS


def test_a_summary_has_the_scalars_and_no_arrays(packed: Path, loose: dict[str, Song]) -> None:
    (path,) = (packed / "summary").glob("*.h5")
    assert describe(str(path)) == (N_SONGS, False)
    found = by_track(read(path))
    assert sorted(found) == sorted(loose)
    for track_id, song in loose.items():
        for name, value in song.items():
            if isinstance(value, np.ndarray):
                assert len(found[track_id][name]) == 0
            elif name != "n_segments":
                assert found[track_id][name] == value
        assert found[track_id]["n_segments"] == 0


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89HDF\r\n\x1a\n" + b"\xff" * 5000])
def test_what_is_no_hdf5_is_refused_row_by_row(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.h5").write_bytes(content)
    assert describe(str(tmp_path / "x.h5")) is None
    assert reasons(read(tmp_path / "x.h5", 3, 6)) == ["not_hdf5"] * 3


def test_another_kind_of_hdf5_is_no_aggregate(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["mine"] = np.arange(3)
    assert describe(str(tmp_path / "x.h5")) is None
    assert None not in reasons(read(tmp_path / "x.h5"))


def pointer(place: int, value: int, column: str = "idx_segments_timbre") -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        rows = file["analysis/songs"][:]
        rows[column][place] = value
        file["analysis/songs"][:] = rows

    return change


def resized(path: str, n_rows: int) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        file[path].resize(n_rows, axis=0)

    return change


def without(path: str) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[path]

    return change


def foreign(path: str) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        n_rows = len(file[path])
        del file[path]
        file[path] = np.zeros((n_rows, 3))

    return change


def corrupted(file: h5py.File) -> None:
    dataset = file["analysis/segments_timbre"]
    dataset.id.write_direct_chunk((0, 0), b"this is no deflated chunk")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(pointer(5, 0), id="a pointer back to the first row"),
        pytest.param(pointer(5, -1), id="a pointer before the first row"),
        pytest.param(pointer(5, 2**31 - 1), id="a pointer behind the last row"),
        pytest.param(pointer(5, 1, "idx_bars_start"), id="a pointer of another array"),
        pytest.param(resized("analysis/segments_timbre", 10), id="an array cut short"),
        pytest.param(resized("analysis/segments_start", 0), id="an array emptied"),
        pytest.param(resized("analysis/segments_timbre", 2**40), id="an array of a hostile size"),
        pytest.param(resized("analysis/bars_start", 2**62), id="an array larger than any memory"),
        pytest.param(foreign("analysis/segments_timbre"), id="an array of another shape"),
        pytest.param(without("analysis/segments_timbre"), id="an array missing"),
        pytest.param(without("musicbrainz/songs"), id="a table missing"),
        pytest.param(foreign("metadata/songs"), id="a table of another kind"),
        pytest.param(resized("metadata/songs", 7), id="rows missing"),
        pytest.param(resized("musicbrainz/songs", 0), id="no rows"),
        pytest.param(corrupted, id="a damaged chunk"),
    ],
)
def test_damage_gives_refusals_or_the_right_song_and_no_other_error(
    aggregate: Path, loose: dict[str, Song], change: Callable[[h5py.File], None]
) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with h5py.File(aggregate, "r+") as file:
        change(file)
    songs = read(aggregate)
    assert any(isinstance(song, SongFileError) for song in songs)
    for track_id, song in by_track(songs).items():
        assert same_song({name: song[name] for name in loose[track_id]}, loose[track_id])
    assert all(song.detail for song in songs if isinstance(song, SongFileError))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500 << 10  # KiB


def test_rows_that_are_not_there_are_refused(aggregate: Path) -> None:
    assert None not in reasons(read(aggregate, N_SONGS, N_SONGS + 3))


@pytest.mark.parametrize("share", [0.01, 0.2, 0.5, 0.9, 0.999])
def test_a_file_that_was_cut_off_is_refused_wherever_it_was_cut(aggregate: Path, share: float) -> None:
    content = aggregate.read_bytes()
    aggregate.write_bytes(content[: int(share * len(content))])
    assert None not in reasons(read(aggregate))


@pytest.mark.parametrize("field", ["track_id", "segments"])
def test_a_row_that_is_no_sound_song_does_not_take_the_others_with_it(aggregate: Path, field: str) -> None:
    with h5py.File(aggregate, "r+") as file:
        rows = file["analysis/songs"][:]
        if field == "track_id":
            rows["track_id"][4] = b""
            file["analysis/songs"][:] = rows
        else:
            file["analysis/segments_timbre"][int(rows["idx_segments_timbre"][4]), 3] = np.nan
    reason = "no_track_id" if field == "track_id" else "not_finite"
    assert reasons(read(aggregate)) == [reason if row == 4 else None for row in range(N_SONGS)]
