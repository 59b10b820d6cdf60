from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from msd_spark.core.command_line import run_verb
from msd_spark.core.errors import UserError
from msd_spark.core.song_layout import ARRAYS, TABLES
from msd_spark.ingest import listing
from msd_spark.ingest.listing import list_units, plan_listing
from msd_spark.ingest.settings import IngestSettings
from msd_spark.ingest.units import Kind, SongInput, Unit
from tests.support.without_spark import SESSION, image, track, write_songs


def planned(*locations: Path | str, **settings: Any) -> list[Unit]:
    options = IngestSettings(tuple(map(str, locations)), warehouse="/w", **settings)
    return list_units(SESSION.sparkContext, options, plan_listing(options))


def sources(*locations: Path | str, **settings: Any) -> list[str]:
    units = planned(*locations, **settings)
    return [item.source for unit in units if unit.kind is not Kind.SKIPPED for item in unit.inputs]


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def many_songs(path: Path, n_songs: int, with_arrays: bool = True) -> None:
    with h5py.File(path, "w") as file:
        for table in TABLES:
            file[table.path] = np.zeros(n_songs, table.columns)
        for array in ARRAYS if with_arrays else ():
            file[array.path] = np.zeros((0, *array.row_shape), array.dtype)


def test_song_files_and_tars_at_any_depth_are_found_once(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a/3.h5", "b/1.h5", "b/c/2.h5", "b/c/x.tar", "b/y.tar.gz", "z.tgz")]
    touch(*paths, tmp_path / "a" / "notes.txt", tmp_path / "a" / "3.h5.txt")
    (tmp_path / "folder.h5").mkdir()
    found = sources(tmp_path, tmp_path / "b", paths[0], f"{tmp_path}/a/../b/", tmp_path.as_uri())
    assert sorted(found) == sorted(map(str, paths))


def test_tars_are_units_of_their_own(tmp_path: Path) -> None:
    touch(*(tmp_path / name for name in ("1.h5", "2.h5", "x.tar", "y.tgz")))
    kinds = {unit.inputs[0].source.rsplit("/", 1)[1]: unit.kind for unit in planned(tmp_path)}
    assert kinds == {"1.h5": Kind.FILES, "x.tar": Kind.TAR, "y.tgz": Kind.TAR}


def test_sizes_and_times_are_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / f"{track(1)}.h5"
    path.write_bytes(b"12345")
    os.utime(path, ns=(1, 1_234_567_890_000_000_789))
    for location in (tmp_path, path):
        (unit,) = planned(location)
        assert unit.inputs == [SongInput(str(path), 5, 1_234_567_890_000_000_789)]


def test_a_unit_has_the_location_named_by_the_command(tmp_path: Path) -> None:
    write_songs(tmp_path / "a" / "b", [1])
    write_songs(tmp_path / "c", [2])
    assert {unit.location for unit in planned(f"{tmp_path}/a/", tmp_path / "c")} == {f"{tmp_path}/a", f"{tmp_path}/c"}


def test_relative_locations_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Executors run in other folders."""
    path, other = write_songs(tmp_path / "songs", [1, 2])
    (tmp_path / "list.txt").write_text(f"songs/{other.name}\n")
    monkeypatch.chdir(tmp_path)
    assert sources("songs") == [str(path), str(other)]
    assert sources(f"songs/{path.name}") == [str(path)]
    assert sources(manifest="list.txt") == [str(other)]


def test_a_link_back_to_a_folder_above_is_not_followed(tmp_path: Path) -> None:
    (path,) = write_songs(tmp_path / "a" / "b", [1])
    (tmp_path / "a" / "b" / "up").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "other").symlink_to(tmp_path / "a" / "b")
    assert sorted(sources(tmp_path)) == [str(path), str(tmp_path / "a" / "other" / path.name)]


@pytest.mark.parametrize("folder", [".", "A", "A/B"])
def test_a_name_that_is_not_utf8_does_not_hide_the_others(tmp_path: Path, folder: str) -> None:
    (path,) = write_songs(tmp_path / folder, [1])
    odd = path.with_name("\udcff.h5")
    odd.touch()
    assert sources(tmp_path) == [str(path), str(odd)]


def test_a_broken_link_is_an_input(tmp_path: Path) -> None:
    link = tmp_path / f"{track(1)}.h5"
    link.symlink_to(tmp_path / "nowhere")
    (unit,) = planned(tmp_path)
    assert unit.inputs == [SongInput(str(link), -1, 0)]


# Aggregate and summary files


def test_an_aggregate_is_split_by_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "ROWS_PER_UNIT", 100)
    many_songs(tmp_path / "many.h5", 250)
    units = planned(tmp_path)
    assert {unit.kind for unit in units} == {Kind.AGGREGATE}
    assert sorted((unit.start, unit.stop, unit.n_inputs) for unit in units) == [
        (0, 100, 100),
        (100, 200, 100),
        (200, 250, 50),
    ]


def test_a_summary_file_is_refused_or_split_by_rows(tmp_path: Path) -> None:
    many_songs(tmp_path / "summary.h5", 250, with_arrays=False)
    (refused,) = planned(tmp_path)
    assert (refused.kind, refused.n_inputs) == (Kind.SUMMARY, 1)
    (taken,) = planned(tmp_path, summaries="rows")
    assert (taken.kind, taken.start, taken.stop) == (Kind.METADATA, 0, 250)
    (named,) = planned(tmp_path / "summary.h5")
    assert (named.kind, named.n_inputs) == (Kind.METADATA, 250)


def test_metadata_is_read_if_it_is_named(tmp_path: Path) -> None:
    touch(tmp_path / "songs" / "1.h5", tmp_path / "table.parquet" / "part-0.parquet", tmp_path / "table.parquet" / "x")
    touch(*(tmp_path / "songs" / name for name in ("a.db", "b.CSV", "c.tsv.gz", "d.parquet")))
    in_folder = planned(tmp_path / "songs")
    assert {unit.kind for unit in in_folder} == {Kind.FILES, Kind.SKIPPED}
    named = planned(f"{tmp_path}/songs/*")
    assert sorted(unit.inputs[0].source[-5:] for unit in named if unit.kind is Kind.METADATA) == [
        "/a.db", "b.CSV", "rquet", "sv.gz"
    ]  # fmt: skip
    (part,) = planned(tmp_path / "table.parquet")
    assert (part.kind, part.inputs[0].source[-14:], part.n_inputs) == (Kind.METADATA, "part-0.parquet", None)
    touch(tmp_path / "only" / "a.db", tmp_path / "only" / "b.csv")
    with pytest.raises(UserError, match=r"2 files skipped as other_file; name .*, or the files themselves if they"):
        planned(tmp_path / "only")


def test_a_song_by_another_name_is_a_loose_file(tmp_path: Path) -> None:
    (tmp_path / "song.h5").write_bytes(image(1))
    (unit,) = planned(tmp_path)
    assert (unit.kind, unit.n_inputs) == (Kind.FILES, 1)


def declared(path: Path, n_songs: int) -> None:
    """Write a file that declares many songs, without their data."""
    with h5py.File(path, "w") as file:
        for table in TABLES:
            file.create_dataset(table.path, (n_songs,), table.columns, chunks=(table.chunk,), maxshape=(None,))
        for array in ARRAYS:
            file[array.path] = np.zeros((0, *array.row_shape), array.dtype)


@pytest.mark.parametrize("n_songs", [0, 10**6, 2**50])
def test_a_file_with_an_impossible_number_of_songs_is_one_input(tmp_path: Path, n_songs: int) -> None:
    """It is neither skipped nor split into a million units."""
    declared(tmp_path / "many.h5", n_songs)
    (unit,) = planned(tmp_path)
    assert (unit.kind, unit.n_inputs) == (Kind.FILES, 1)


# Globs


@pytest.fixture
def shelves(tmp_path: Path) -> Path:
    touch(*(tmp_path / name for name in ("A/1.h5", "A/x.tar", "B/2.h5", "B/C/3.h5", "D[1]/4.h5", "notes.h5")))
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*", ["A/1.h5", "A/x.tar", "B/2.h5", "B/C/3.h5", "D[1]/4.h5", "notes.h5"]),
        ("[AB]", ["A/1.h5", "A/x.tar", "B/2.h5", "B/C/3.h5"]),
        ("*/*.tar", ["A/x.tar"]),
        ("*/[12].h5", ["A/1.h5", "B/2.h5"]),
        ("*/C", ["B/C/3.h5"]),
        ("?/?/3.h5", ["B/C/3.h5"]),
        ("D[1]", ["D[1]/4.h5"]),
    ],
)
def test_globs(shelves: Path, pattern: str, found: list[str]) -> None:
    assert sorted(sources(f"{shelves}/{pattern}")) == [f"{shelves}/{name}" for name in found]
    assert sorted(sources(f"file://{shelves}/{pattern}")) == [f"{shelves}/{name}" for name in found]


def test_a_relative_glob(shelves: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shelves)
    assert sources("*/C") == [f"{shelves}/B/C/3.h5"]


def test_a_glob_that_matches_nothing(shelves: Path) -> None:
    for pattern in ("Z*", "*/Z", "notes.h5/*"):
        with pytest.raises(UserError, match=r"^nothing matches "):
            planned(shelves / pattern)


# Manifests and track ids


def test_a_manifest_names_files_folders_globs_and_tars(tmp_path: Path) -> None:
    one, two = write_songs(tmp_path / "one", [1, 2])
    (three,) = write_songs(tmp_path / "folder", [3])
    (four,) = write_songs(tmp_path / "glob-4", [4])
    touch(tmp_path / "x.tar")
    missing = tmp_path / f"{track(9)}.h5"
    lines = ["# songs", "", one, f"  {two}  ", one, tmp_path / "folder", f"{tmp_path}/gl*", tmp_path / "x.tar", missing]
    manifest = tmp_path / "list.txt"
    manifest.write_text("\n".join(map(str, lines)))
    units = planned(manifest=str(manifest))
    found = [item.source for unit in units for item in unit.inputs]
    assert sorted(found) == sorted(map(str, [one, two, three, four, tmp_path / "x.tar", missing]))
    by_source = {item.source: item for unit in units for item in unit.inputs}
    assert by_source[str(missing)].size == -1
    assert by_source[str(one)].size == len(image(1))
    assert {unit.location for unit in units if by_source[str(one)] in unit.inputs} == {str(manifest)}


def test_known_tracks_are_not_listed(tmp_path: Path) -> None:
    (tmp_path / "unique_tracks.txt").write_text(
        f"{track(2)}<SEP>SOX<SEP>artist<SEP>title\n{track(1)}<SEP>\n{track(2)}\n# no track\n\n"
    )
    (unit,) = planned("s3://bucket/songs/", track_ids=str(tmp_path / "unique_tracks.txt"))
    assert unit.inputs == [
        SongInput(f"s3://bucket/songs/A/A/A/{track(number)}.h5", -1, 0) for number in (1, 2)
    ]  # and nothing was requested from s3


@pytest.mark.parametrize(
    "words", [["--songs", "/a", "/b"], ["--songs", "/a", "--manifest", "list.txt"], ["--manifest", "list.txt"]]
)
def test_known_tracks_need_one_folder(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run_verb("ingest", [*words, "--track-ids", "ids.txt"])
    assert capsys.readouterr().err == "ingest: --track-ids ids.txt needs one --songs folder and no --manifest\n"


def test_a_list_without_track_ids(tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("hello\n")
    with pytest.raises(UserError, match=r"ids\.txt, line 1: 'hello' does not begin with a track id"):
        planned("/d", track_ids=str(tmp_path / "ids.txt"))


# Refusals


def test_missing_locations(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"^no {tmp_path}/nowhere; --songs takes folders"):
        planned(write_songs(tmp_path / "songs", [1])[0], tmp_path / "nowhere")


def test_locations_without_songs(tmp_path: Path) -> None:
    touch(tmp_path / "song.h5.txt")
    with pytest.raises(UserError, match=f"^no song file, archive or aggregate in {tmp_path}"):
        planned(tmp_path)


def test_a_missing_manifest(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no file .*list\.txt"):
        planned(manifest=str(tmp_path / "list.txt"))


def test_a_quoted_line_of_a_manifest_is_a_location(tmp_path: Path) -> None:
    (one,) = write_songs(tmp_path / "with blanks", [1])
    (two,) = write_songs(tmp_path / "other blanks", [2])
    (tmp_path / "list.txt").write_text(f"\"{one}\"\n '{two.parent}' \n")
    assert sources(manifest=str(tmp_path / "list.txt")) == sorted([str(one), str(two)])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("/nowhere/songs", "no /nowhere/songs; --songs takes"),
        ("/nowhere/*.h5", "nothing matches /nowhere"),
        ("s3a://bucket/songs", "s3a://bucket/songs cannot be opened: s3a is a name of Hadoop's"),
        ('"songs', """'"songs' begins with a quote, but is no location in quotes; remove the quote"""),
        ("songs\tTR1", r"'songs\tTR1' has control characters; write one location per line"),
        ("~/songs", "location '~/songs' begins with ~"),
    ],
)
def test_an_error_of_a_manifest_names_its_line(line: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(f"# songs\n\n{line}\n")
    with pytest.raises(UserError, match=f"^{re.escape(f'{tmp_path}/list.txt, line 3: {message}')}"):
        planned(manifest=str(tmp_path / "list.txt"))
