"""Publication of the tables: which songs are kept, and that a death at any step changes nothing."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import fs

from msd_spark.core.errors import UserError
from msd_spark.core.warehouse import COMPLETE, Warehouse
from msd_spark.ingest import job
from msd_spark.ingest.publish import PLAN, Publication, finish_publication, repeated_tracks, sort_key
from msd_spark.ingest.settings import WORK
from tests.support.without_spark import ingest, rows, track, write_songs

ids = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=3) | st.sampled_from("abcdef")


@given(st.lists(st.lists(ids, unique=True, max_size=8), max_size=8))
def test_repeated_tracks_are_those_that_several_units_have(track_ids: list[list[str]]) -> None:
    units = [f"u{number}" for number in range(len(track_ids))]
    owners: dict[str, list[str]] = {}
    for unit, tracks in zip(units, track_ids, strict=True):
        for one in tracks:
            owners.setdefault(one, []).append(unit)
    assert repeated_tracks(units, track_ids) == {one: those for one, those in owners.items() if len(those) > 1}


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


class Deadly(fs.FileSystemHandler):  # type: ignore[misc]
    """The local filesystem of a process that dies just before or just after one of its changes."""

    def __init__(self, dies_at: int, after: bool) -> None:
        self.local = fs.LocalFileSystem()
        self.dies_at, self.after, self.changes = dies_at, after, 0

    def change(self, function: Any, *arguments: Any, **options: Any) -> Any:
        self.changes += 1
        if self.changes > self.dies_at or (self.changes == self.dies_at and not self.after):
            raise Killed
        result = function(*arguments, **options)
        if self.changes == self.dies_at:
            raise Killed
        return result

    def get_type_name(self) -> str:
        return "deadly"

    def normalize_path(self, path: str) -> str:
        return path

    def get_file_info(self, paths: list[str]) -> Any:
        return self.local.get_file_info(paths)

    def get_file_info_selector(self, selector: fs.FileSelector) -> Any:
        return self.local.get_file_info(selector)

    def open_input_stream(self, path: str) -> Any:
        return self.local.open_input_stream(path)

    def open_input_file(self, path: str) -> Any:
        return self.local.open_input_file(path)

    def open_output_stream(self, path: str, metadata: Any) -> Any:
        return self.change(self.local.open_output_stream, path, metadata=metadata)

    def open_append_stream(self, path: str, metadata: Any) -> Any:
        raise NotImplementedError

    def create_dir(self, path: str, recursive: bool) -> None:
        self.change(self.local.create_dir, path, recursive=recursive)

    def delete_dir(self, path: str) -> None:
        self.change(self.local.delete_dir, path)

    def delete_dir_contents(self, path: str, missing_dir_ok: bool = False) -> None:
        self.change(self.local.delete_dir_contents, path, missing_dir_ok=missing_dir_ok)

    def delete_root_dir_contents(self) -> None:
        raise NotImplementedError

    def delete_file(self, path: str) -> None:
        self.change(self.local.delete_file, path)

    def move(self, source: str, target: str) -> None:
        Path(target).parent.mkdir(parents=True, exist_ok=True)  # an object store has no folders to be missing
        self.change(self.local.move, source, target)

    def copy_file(self, source: str, target: str) -> None:
        raise NotImplementedError


def finish_and_die(folder: Path, dies_at: int, after: bool, local: bool, patch: pytest.MonkeyPatch) -> bool:
    """Carry out the planned publication; return whether it finished."""
    deadly = Deadly(dies_at, after)
    warehouse = Warehouse(str(folder))
    warehouse.filesystem = fs.PyFileSystem(deadly)
    warehouse.is_local = local
    rename, remove = Path.rename, shutil.rmtree
    with patch.context() as patched:
        patched.setattr(Path, "rename", lambda path, target: deadly.change(rename, path, target))
        patched.setattr(shutil, "rmtree", lambda path, **options: deadly.change(remove, path, **options))
        try:
            finish_publication(warehouse)
        except Killed:
            return False
    return True


def songs_as_seen(folder: Path) -> list[dict[str, Any]] | None:
    """Return the rows of ``songs/`` as another stage reads them: none without the completion marker."""
    return rows(folder, "songs") if (folder / "songs" / COMPLETE).exists() else None


def tables(folder: Path) -> list[Any]:
    # The file names, and the time that a unit took, differ between runs.
    ledger = [{**row, "files": len(row["files"])} for row in rows(folder, "ledger")]
    return [rows(folder, "songs"), rows(folder, "rejected", "stage=ingest"), ledger]


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse with a planned publication that moves, rewrites old and new files, and removes."""
    folder = tmp_path_factory.mktemp("planned")
    songs, warehouse = folder / "songs", folder / "warehouse"
    write_songs(songs / "b", range(6))
    changed = write_songs(songs / "d", [20, 21])
    ingest(warehouse, songs, inputs_per_unit=2)
    write_songs(songs / "a", [1, 2, 30])  # sort before those of b
    write_songs(songs / "c", [3, 31, 32])  # and after
    write_songs(songs / "d", [20], "changed")
    changed[1].unlink()
    (songs / "e.h5").write_bytes(b"no song")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(job, "publish", write_down)
        with pytest.raises(Killed):
            ingest(warehouse, songs, inputs_per_unit=2)
    plan = Publication.from_json(Warehouse(str(warehouse)).read_json(WORK, PLAN))
    in_place = {path.name for path in (warehouse / "songs").iterdir()}
    assert plan.moves
    assert in_place - {COMPLETE} - {name for row in plan.ledger for name in row["files"]}
    assert {rewrite.name in in_place for rewrite in plan.rewrites} == {False, True}
    return warehouse


def write_down(warehouse: Warehouse, plan: Publication) -> None:
    warehouse.write_json(asdict(plan), WORK, PLAN)
    raise Killed


@pytest.fixture(scope="module")
def uninterrupted(planned: Path) -> list[Any]:
    folder = planned.with_name("uninterrupted")
    shutil.copytree(planned, folder)
    assert finish_publication(Warehouse(str(folder)))
    return tables(folder)


def test_the_uninterrupted_publication_is_correct(uninterrupted: list[Any]) -> None:
    songs, rejected, ledger = uninterrupted
    assert [song["track_id"] for song in songs] == [track(n) for n in (0, 1, 2, 3, 4, 5, 20, 30, 31, 32)]
    assert {Path(song["source"]).parent.name for song in songs if song["track_id"] in (track(1), track(2))} == {"a"}
    assert next(song["title"] for song in songs if song["track_id"] == track(20)) == "changed"
    assert sorted(row["reason"] for row in rejected) == [*["duplicate_track_id"] * 3, "not_hdf5"]
    sums = {name: sum(row[name] for row in ledger) for name in ("inputs", "songs", "rejected", "duplicates")}
    assert sums == {"inputs": 14, "songs": 10, "rejected": 1, "duplicates": 3}


@pytest.mark.parametrize("local", [True, False], ids=["local", "object store"])
@pytest.mark.parametrize("after", [False, True], ids=["before a change", "after a change"])
def test_a_death_at_any_step_changes_nothing_in_the_end(
    planned: Path,
    uninterrupted: list[Any],
    tmp_path: Path,
    local: bool,
    after: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old, new = rows(planned, "songs"), uninterrupted[0]
    steps = 0
    while True:
        steps += 1
        folder = tmp_path / str(steps)
        shutil.copytree(planned, folder)
        if finish_and_die(folder, steps, after, local, monkeypatch):
            break
        seen = songs_as_seen(folder)
        assert seen in (None, old, new), f"after step {steps} songs/ is complete, and is neither old nor new"
        died_later = finish_and_die(folder, steps // 2, after, local, monkeypatch)  # and once more on the way
        assert songs_as_seen(folder) in (None, old, new)
        finish_publication(Warehouse(str(folder)))
        assert tables(folder) == uninterrupted, f"after step {steps}, {died_later}"
        assert_nothing_is_left_over(folder)
        shutil.rmtree(folder)
    assert steps > 20


def assert_nothing_is_left_over(folder: Path) -> None:
    named = {name for row in rows(folder, "ledger") for name in row["files"]}
    assert {path.name for path in (folder / "songs").iterdir()} == named | {COMPLETE}


def test_an_ingest_completes_an_unfinished_publication(
    planned: Path, uninterrupted: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "w"
    shutil.copytree(planned, folder)
    assert not finish_and_die(folder, 7, False, True, monkeypatch)
    assert songs_as_seen(folder) is None
    summary = ingest(folder, planned.with_name("songs"), inputs_per_unit=2)
    assert tables(folder) == uninterrupted
    assert summary.facts["units"] == summary.facts["units done before"]
    assert not (folder / WORK).exists()


def test_without_a_plan_nothing_is_done(tmp_path: Path) -> None:
    assert finish_publication(Warehouse(str(tmp_path))) is False
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_named(planned: Path, tmp_path: Path) -> None:
    folder = tmp_path / "w"
    shutil.copytree(planned, folder)
    lost = Publication.from_json(Warehouse(str(folder)).read_json(WORK, PLAN)).moves[0]
    (folder / WORK / "parts" / lost).unlink()
    with pytest.raises(UserError, match=f"^no {lost} in "):
        finish_publication(Warehouse(str(folder)))
    assert songs_as_seen(folder) is None


def test_without_any_song_the_table_has_its_columns(tmp_path: Path) -> None:
    (tmp_path / "songs").mkdir()
    (tmp_path / "songs" / "x.h5").write_bytes(b"no song")
    ingest(tmp_path / "w", tmp_path / "songs")
    assert rows(tmp_path / "w", "songs") == []
    assert "segments_timbre" in pq.read_schema(next((tmp_path / "w" / "songs").glob("*.parquet"))).names
    write_songs(tmp_path / "songs", [1])
    ingest(tmp_path / "w", tmp_path / "songs")
    assert [song["track_id"] for song in rows(tmp_path / "w", "songs")] == [track(1)]
    assert_nothing_is_left_over(tmp_path / "w")
