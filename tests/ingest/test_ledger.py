"""Commits of an ingest: which songs are kept, that a death at any step changes nothing, and other ingests beside it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msd_spark.core.delta import LOG, UNITS, DataFile, DeltaFolder, Destination
from msd_spark.core.errors import UserError
from msd_spark.core.schemas import LEDGER
from msd_spark.core.warehouse import Warehouse
from msd_spark.ingest import job, ledger
from msd_spark.ingest.ledger import (
    Version,
    commit_units,
    keep_pending,
    read_ledger,
    read_pending,
    settle,
    update,
)
from msd_spark.ingest.listing import plan_listing
from msd_spark.ingest.repeated import sort_key
from msd_spark.ingest.settings import PENDING, IngestSettings
from msd_spark.ingest.work import Outcome, do_unit
from tests.support.without_spark import SESSION, ingest, rows, track, write_songs


@given(st.lists(st.tuples(*[st.text("ab ", max_size=2)] * 3), min_size=1))
def test_places_without_numbers_are_ordered_as_text(places: list[tuple[str, str, str]]) -> None:
    assert sorted(places, key=sort_key) == sorted(places)


def test_source_counts_before_member_and_member_before_unit() -> None:
    assert sort_key(("a", "b", "b")) < sort_key(("b", "a", "a"))
    assert sort_key(("a", "a", "b")) < sort_key(("a", "b", "a"))
    assert sort_key(("a", "row 5", "b")) < sort_key(("a", "row 1000", "a"))


# A death at every step


class Killed(BaseException):
    pass


class Deadly:
    """Lets this process die just before or just after one of its changes of a warehouse."""

    CHANGES = (
        (DeltaFolder, "_commit"),
        (DeltaFolder, "delete_unused"),
        (DeltaFolder, "_delete"),
        (Destination, "write"),
        (Warehouse, "remove"),
        (ledger, "delete_unused"),
    )

    def __init__(self, patch: pytest.MonkeyPatch, dies_at: int, after: bool) -> None:
        self.dies_at, self.after, self.changes = dies_at, after, 0
        patch.setattr(DeltaFolder, "_forget", lambda *_: None)  # the dead clean nothing up
        for owner, name in self.CHANGES:
            patch.setattr(owner, name, self.deadly(getattr(owner, name)))

    def deadly(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def changed(*arguments: Any, **options: Any) -> Any:
            self.changes += 1
            if self.changes > self.dies_at or (self.changes == self.dies_at and not self.after):
                raise Killed
            result = function(*arguments, **options)
            if self.changes == self.dies_at:
                raise Killed
            return result

        return changed


def commit_and_die(folder: Path, songs: Path, dies_at: int, after: bool) -> bool:
    """Ingest; return whether it finished."""
    with pytest.MonkeyPatch.context() as patch:
        Deadly(patch, dies_at, after)
        try:
            ingest(folder, songs, inputs_per_unit=2)
        except Killed:
            return False
    return True


def as_seen(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of ``songs/`` as a stage reads them."""
    table = Warehouse(str(folder)).read_table(None, "songs").to_pylist()
    return sorted(table, key=lambda row: (row["track_id"], row["source"]))


def tables(folder: Path) -> list[Any]:
    # The names and sizes of files, and the time that a unit took, differ between runs.
    ledger = [
        {**row, "files": len(row["files"]), "file_sizes": None, "seconds": None} for row in rows(folder, "ledger")
    ]
    return [rows(folder, "songs"), rows(folder, "rejected", "stage=ingest"), ledger]


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A warehouse, and its songs of which some changed, went, and came: new files repeat tracks of others."""
    folder = tmp_path_factory.mktemp("changed")
    songs, warehouse = folder / "songs", folder / "warehouse"
    write_songs(songs / "b", range(6))
    before = write_songs(songs / "d", [20, 21])
    ingest(warehouse, songs, inputs_per_unit=2)
    write_songs(songs / "a", [1, 2, 30])  # sort before those of b
    write_songs(songs / "c", [3, 31, 32])  # and after
    write_songs(songs / "d", [20], "changed")
    before[1].unlink()
    (songs / "e.h5").write_bytes(b"no song")
    return warehouse, songs


@pytest.fixture(scope="module")
def uninterrupted(changed: tuple[Path, Path]) -> list[Any]:
    folder = changed[0].with_name("uninterrupted")
    shutil.copytree(changed[0], folder)
    ingest(folder, changed[1], inputs_per_unit=2)
    return tables(folder)


def test_the_uninterrupted_ingest_is_correct(uninterrupted: list[Any]) -> None:
    songs, rejected, ledger = uninterrupted
    assert [song["track_id"] for song in songs] == [track(n) for n in (0, 1, 2, 3, 4, 5, 20, 30, 31, 32)]
    assert {Path(song["source"]).parent.name for song in songs if song["track_id"] in (track(1), track(2))} == {"a"}
    assert next(song["title"] for song in songs if song["track_id"] == track(20)) == "changed"
    assert sorted(row["reason"] for row in rejected) == [*["duplicate_track_id"] * 3, "not_hdf5"]
    sums = {name: sum(row[name] for row in ledger) for name in ("inputs", "songs", "rejected", "duplicates")}
    assert sums == {"inputs": 14, "songs": 10, "rejected": 1, "duplicates": 3}


@pytest.mark.parametrize("after", [False, True], ids=["before a change", "after a change"])
def test_a_death_at_any_step_loses_and_doubles_nothing(
    changed: tuple[Path, Path], uninterrupted: list[Any], tmp_path: Path, after: bool
) -> None:
    old, new = as_seen(changed[0]), uninterrupted[0]
    steps = 0
    while True:
        steps += 1
        folder = tmp_path / str(steps)
        shutil.copytree(changed[0], folder)
        if commit_and_die(folder, changed[1], steps, after):
            break
        assert as_seen(folder) in (old, new), f"after step {steps} songs/ is neither old nor new"
        died_again = commit_and_die(folder, changed[1], steps // 2, after)
        assert as_seen(folder) in (old, new)
        ingest(folder, changed[1], inputs_per_unit=2)
        assert tables(folder) == uninterrupted, f"after step {steps}, {died_again}"
        assert_nothing_is_left_over(folder)
        shutil.rmtree(folder)
    assert steps > 5


def assert_nothing_is_left_over(folder: Path) -> None:
    named = {name for row in rows(folder, "ledger") for name in row["files"]}
    assert {path.name for path in (folder / "songs").iterdir()} == named | {LOG}
    assert {path.name for path in folder.iterdir()} == {"songs", "rejected", "ledger"}


# Other ingests at the same time


def test_two_ingests_of_different_inputs_end_with_the_union(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    songs, warehouse = tmp_path / "songs", tmp_path / "w"
    write_songs(songs / "a", range(4))
    write_songs(songs / "b", range(3, 7))
    work = job.work

    def slow_work(*arguments: Any) -> Any:
        """Read the units of the first ingest; meanwhile the second one begins and ends."""
        result = work(*arguments)
        monkeypatch.setattr(job, "work", work)
        ingest(warehouse, songs / "b", inputs_per_unit=2)
        return result

    monkeypatch.setattr(job, "work", slow_work)
    ingest(warehouse, songs / "a", inputs_per_unit=2)
    found = {song["track_id"]: Path(song["source"]).parent.name for song in rows(warehouse, "songs")}
    assert found == {track(number): "a" if number < 4 else "b" for number in range(7)}
    counts = [sum(row[name] for row in rows(warehouse, "ledger")) for name in ("inputs", "songs", "duplicates")]
    assert counts == [8, 7, 1]
    assert [row["reason"] for row in rows(warehouse, "rejected", "stage=ingest")] == ["duplicate_track_id"]
    assert_nothing_is_left_over(warehouse)


def test_two_ingests_of_the_same_inputs_read_each_song_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    songs, warehouse = tmp_path / "songs", tmp_path / "w"
    write_songs(songs, range(5))
    work = job.work

    def slow_work(*arguments: Any) -> Any:
        result = work(*arguments)
        monkeypatch.setattr(job, "work", work)
        ingest(warehouse, songs, inputs_per_unit=2)
        return result

    monkeypatch.setattr(job, "work", slow_work)
    ingest(warehouse, songs, inputs_per_unit=2)
    assert [song["track_id"] for song in rows(warehouse, "songs")] == [track(number) for number in range(5)]
    assert_nothing_is_left_over(warehouse)


def test_an_ingest_that_settles_late_does_not_move_songs_back(tmp_path: Path) -> None:
    songs, warehouse = tmp_path / "songs", Warehouse(str(tmp_path / "w"))
    write_songs(songs, range(2))
    ingest(tmp_path / "w", songs, inputs_per_unit=2)
    late = Version(warehouse.snapshot("ledger").version, read_ledger(warehouse))
    write_songs(songs, range(2, 6))
    ingest(tmp_path / "w", songs, inputs_per_unit=2)
    settle(warehouse, late)
    assert len(rows(tmp_path / "w", "songs")) == 6
    assert_nothing_is_left_over(tmp_path / "w")


def test_files_of_a_running_ingest_that_reads_a_unit_again_stay(tmp_path: Path) -> None:
    songs, warehouse = tmp_path / "songs", Warehouse(str(tmp_path / "w"))
    write_songs(songs, range(2))
    ingest(tmp_path / "w", songs)
    (row,) = read_ledger(warehouse)
    current = tmp_path / "w" / "songs" / row["files"][0]
    earlier, later = (current.with_name(f"{row['unit']}-0000-{token}.parquet") for token in ("0" * 16, "1" * 16))
    for path, seconds in ((earlier, -1), (later, 1)):
        shutil.copy(current, path)
        os.utime(path, (time := current.stat().st_mtime + seconds, time))
    settle(warehouse)
    assert {path.name for path in current.parent.glob("*.parquet")} == {current.name, later.name}


def test_a_unit_that_another_ingest_has_read_again_stays(tmp_path: Path) -> None:
    songs, warehouse = tmp_path / "songs", Warehouse(str(tmp_path / "w"))
    write_songs(songs, range(2))
    ingest(tmp_path / "w", songs)
    (row,) = read_ledger(warehouse)
    own, stale = row | {"files": ["gone"]}, row | {"files": ["older"]}
    destination = Destination(warehouse.address("songs"), "01234567")
    assert commit_units(warehouse, [own], [stale], destination) == [row]
    assert len(rows(tmp_path / "w", "songs")) == 2


def test_a_commit_between_reading_and_writing_the_ledger_is_not_lost(tmp_path: Path) -> None:
    warehouse = Warehouse(str(tmp_path))
    names: list[str] = []

    def add(name: str) -> None:
        row = dict.fromkeys(LEDGER.names, 0) | dict.fromkeys(("kind", "location", "source"), "") | {"unit": name}
        lists = {field.name: list[Any]() for field in LEDGER if pa.types.is_list(field.type)}

        def change(before: list[dict[str, Any]]) -> list[dict[str, Any]]:
            if name == "first" and not names:
                names.append("second")
                add("second")
            return [*before, row | lists]

        update(warehouse, change)

    add("first")
    assert sorted(row["unit"] for row in read_ledger(warehouse)) == ["first", "second"]


# Interrupted work


def test_units_that_are_kept_are_not_read_again(tmp_path: Path) -> None:
    songs, warehouse = tmp_path / "songs", tmp_path / "w"
    write_songs(songs, range(6))
    destination = Destination(Warehouse(str(warehouse)).address("songs"), "01234567")
    settings = IngestSettings((str(songs),), warehouse=str(warehouse), inputs_per_unit=2)
    units = job.plan_units(SESSION, settings, plan_listing(settings))
    (warehouse / "songs").mkdir(parents=True)
    keep_pending(Warehouse(str(warehouse)), [do_unit(unit, settings, destination) for unit in units[:2]])
    do_unit(units[2], settings, destination)  # its outcome is lost
    assert len(read_pending(Warehouse(str(warehouse)))) == 2
    summary = ingest(warehouse, songs, inputs_per_unit=2)
    assert summary.facts["units done before"] == 2
    assert [song["track_id"] for song in rows(warehouse, "songs")] == [track(number) for number in range(6)]
    assert not (warehouse / PENDING).exists()
    assert_nothing_is_left_over(warehouse)


def test_a_kept_unit_whose_files_are_gone_is_read_again(tmp_path: Path) -> None:
    warehouse = Warehouse(str(tmp_path))
    outcome = Outcome("unit", "files", "/d", "/d/x.h5", [DataFile("unit-0000-0123.parquet", 9, 1)], ["TR1"])
    keep_pending(warehouse, [outcome])
    assert read_pending(warehouse) == {}
    (tmp_path / "songs").mkdir()
    (tmp_path / "songs" / "unit-0000-0123.parquet").touch()
    assert list(read_pending(warehouse)) == ["unit"]


def test_an_ingest_without_any_song_changes_no_table(tmp_path: Path) -> None:
    (tmp_path / "songs").mkdir()
    (tmp_path / "songs" / "x.h5").write_bytes(b"no song")
    with pytest.raises(UserError, match=r"no song can be used: 1 of 1 rejected as not_hdf5, such as .*/x\.h5: "):
        ingest(tmp_path / "w", tmp_path / "songs")
    warehouse = Warehouse(str(tmp_path / "w"))
    assert not any(warehouse.is_complete(table) for table in ("songs", "ledger"))
    write_songs(tmp_path / "songs", [1])
    ingest(tmp_path / "w", tmp_path / "songs")
    assert [song["track_id"] for song in rows(tmp_path / "w", "songs")] == [track(1)]
    assert_nothing_is_left_over(tmp_path / "w")
    for path in (tmp_path / "songs").rglob("TR*.h5"):
        path.write_bytes(b"no song any more")
    with pytest.raises(UserError, match="2 of 2 rejected as not_hdf5"):
        ingest(tmp_path / "w", tmp_path / "songs")
    assert [song["track_id"] for song in rows(tmp_path / "w", "songs")] == [track(1)]


def test_the_history_of_songs_names_units_fingerprint_and_revision(tmp_path: Path) -> None:
    write_songs(tmp_path / "songs", range(6))
    ingest(tmp_path / "w", tmp_path / "songs", inputs_per_unit=2)
    warehouse = Warehouse(str(tmp_path / "w"))
    table = warehouse.snapshot("songs")
    assert set(table.notes[UNITS]) == {row["unit"] for row in warehouse.read_table(["unit"], "ledger").to_pylist()}
    assert table.notes["fingerprint"] == warehouse.fingerprints(["songs"])["songs"]["fingerprint"]
    unit = table.notes[UNITS][0]
    assert table.notes_with(UNITS, unit)["revision"] == table.notes["revision"]
    assert table.notes_with(UNITS, "none") == {}
