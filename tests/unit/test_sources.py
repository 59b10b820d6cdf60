from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msd_spark.sources import SongInput, Unit, cut_into_units, list_song_files, read_input


def write(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_song_files_at_any_depth_are_listed_once_and_sorted(tmp_path: Path) -> None:
    paths = [write(tmp_path / name) for name in ("b/c/2.h5", "b/1.h5", "a/3.h5")]
    write(tmp_path / "a" / "notes.txt")
    (tmp_path / "folder.h5").mkdir()
    found = list_song_files([str(tmp_path), str(tmp_path / "b"), str(paths[0]), f"{tmp_path}/a/../b/"])
    assert [item.source for item in found] == sorted(map(str, paths))


@pytest.mark.parametrize("name", ["a b", "a#b", "a%20b", "a?b", "\u00fcn\u00ef", "a,b"])
def test_folders_of_any_name_are_read(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name / "1.h5", b"content")
    (item,) = list_song_files([str(tmp_path / name)])
    assert item.source == str(path)
    assert read_input(item) == b"content"


def test_a_file_address_and_a_path_are_the_same_place(tmp_path: Path) -> None:
    write(tmp_path / "1.h5", b"content")
    assert list_song_files([tmp_path.as_uri()]) == list_song_files([str(tmp_path)])


def test_paths_are_relative_to_where_we_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "songs" / "1.h5")
    monkeypatch.chdir(tmp_path)
    assert [item.source for item in list_song_files(["songs"])] == [str(path)]


def test_sizes_and_times_are_those_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "1.h5", b"12345")
    os.utime(path, ns=(1, 1_234_567_890_000_000_000))
    assert list_song_files([str(path)]) == [SongInput(str(path), 5, 1_234_567_890_000_000_000)]


@pytest.mark.parametrize(
    ("source", "track_id"),
    [
        ("/d/A/B/C/TRABCDE128F4244616.h5", "TRABCDE128F4244616"),
        ("s3://bucket/TRABCDE128F4244616.h5", "TRABCDE128F4244616"),
        ("/d/TRABCDE128F424461.h5", None),
        ("/d/TRabcde128F4244616.h5", None),
        ("/d/TRABCDE128F4244616 (1).h5", None),
        ("/d/msd_summary_file.h5", None),
    ],
)
def test_the_track_id_in_a_name(source: str, track_id: str | None) -> None:
    assert SongInput(source, 0, 0).expected_track_id == track_id


inputs = st.lists(st.builds(SongInput, st.text(max_size=5), st.integers(0, 9), st.integers(0, 9)), max_size=40)


@given(inputs, st.integers(1, 12))
def test_units_hold_every_input_once_in_order(items: list[SongInput], size: int) -> None:
    units = cut_into_units(items, size)
    assert [item for unit in units for item in unit.inputs] == items
    assert all(len(unit.inputs) == size for unit in units[:-1])
    assert all(1 <= len(unit.inputs) <= size for unit in units)
    assert len({unit.name for unit in units}) == len(units)
    assert cut_into_units(iter(items), size) == units


@given(inputs, inputs)
def test_a_fingerprint_tells_lists_of_inputs_apart(first: list[SongInput], second: list[SongInput]) -> None:
    one, other = Unit("000000", tuple(first)), Unit("000001", tuple(second))
    assert (one.fingerprint == other.fingerprint) == (first == second)


@pytest.mark.parametrize("changed", [SongInput("b", 1, 2), SongInput("a", 2, 2), SongInput("a", 1, 3)])
def test_a_fingerprint_changes_with_path_size_and_time(changed: SongInput) -> None:
    assert Unit("u", (changed,)).fingerprint != Unit("u", (SongInput("a", 1, 2),)).fingerprint
