"""The ingest job without Spark: its rules, and what reruns do."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msd_spark.core.command_line import run_verb
from msd_spark.core.delta import DataFile
from msd_spark.core.errors import UserError
from msd_spark.core.rejections import Rejection
from msd_spark.core.schemas import LEDGER_COUNTS
from msd_spark.ingest import job
from msd_spark.ingest.changes import check_locations, split_ledger
from msd_spark.ingest.job import check_sums, dry_run, totals
from msd_spark.ingest.loose import TEMPORARY
from msd_spark.ingest.settings import IngestSettings
from msd_spark.ingest.units import Kind, SongInput, Unit
from msd_spark.ingest.work import Outcome
from tests.support.metadata_files import row_of, write_metadata
from tests.support.song_images import song_image
from tests.support.without_spark import SESSION, ingest, rows, track, write_songs

BROKEN = Rejection("x.h5", "not_hdf5", "hello")


def unit(number: int, n_songs: int = 2, location: str = "/d") -> Unit:
    return Unit.of(Kind.FILES, location, [SongInput(f"{location}/{number}-{n}.h5", 1, 1) for n in range(n_songs)])


def ledger_row(of: Unit, **counts: int) -> dict[str, Any]:
    """Return the ledger row of a unit, with all of its songs unless `counts` differ."""
    n_inputs = of.n_inputs or 0
    row: dict[str, Any] = {"inputs": n_inputs, "songs": n_inputs, "rejected": 0, "duplicates": 0, "skipped": 0} | counts
    track_ids = [f"TR{number}" for number in range(row["songs"] + row["duplicates"])]
    row |= {
        "unit": of.name,
        "kind": of.kind.value,
        "location": of.location,
        "track_ids": track_ids,
        "file_rows": [row["songs"]],
    }
    return row | {"rejections": []}


def outcome(of: Unit, songs: int, rejected: int = 0, duplicates: int = 0) -> dict[str, Any]:
    tracks = [f"TR{number}" for number in range(songs)]
    files = [DataFile("a.parquet", 1, songs)] if songs else []
    lists = [BROKEN] * rejected, [BROKEN] * duplicates
    return Outcome(of.name, of.kind.value, of.location, "x.h5", files, tracks, *lists).ledger_row()


# Which units stay


def test_unchanged_units_stay() -> None:
    units = [unit(1), unit(2)]
    ledger = [ledger_row(one) for one in units]
    ledger[0]["rejections"] = [asdict(BROKEN)]
    assert split_ledger(ledger, units) == (ledger, [])
    assert split_ledger([], units) == ([], [])


def test_units_with_changed_inputs_are_dropped() -> None:
    ledger = [ledger_row(unit(1)), ledger_row(unit(2)), ledger_row(unit(3))]
    assert split_ledger(ledger, [unit(1), unit(3), unit(4)]) == ([ledger[0], ledger[2]], [ledger[1]])


@pytest.mark.parametrize("reason", sorted(TEMPORARY))
def test_units_with_an_unreadable_input_are_read_again(reason: str) -> None:
    units = [unit(1), unit(2)]
    ledger = [ledger_row(one) for one in units]
    ledger[1]["rejections"] = [asdict(BROKEN), asdict(Rejection("x.h5", reason, ""))]
    assert split_ledger(ledger, units) == ([ledger[0]], [ledger[1]])


def test_units_that_left_out_a_track_are_read_again_as_soon_as_anything_changes() -> None:
    units = [unit(1), unit(2)]
    ledger = [ledger_row(units[0], songs=1, duplicates=1), ledger_row(units[1])]
    assert split_ledger(ledger, units) == (ledger, [])
    assert split_ledger(ledger, [*units, unit(3)]) == ([ledger[1]], [ledger[0]])


def test_a_change_of_skipped_files_alone_reads_no_unit_again() -> None:
    units = [unit(1), unit(2)]
    ledger = [ledger_row(units[0], songs=1, duplicates=1), ledger_row(units[1]), skipped("notes.txt")[1]]
    other, row = skipped("more.txt")
    assert split_ledger(ledger, [*units, other]) == (ledger[:2], ledger[2:])
    assert split_ledger(ledger, units) == (ledger[:2], ledger[2:])
    assert split_ledger([*ledger[:2], row], [*units, other]) == ([*ledger[:2], row], [])
    check_locations(ledger[2:], [*units, other], settings(limit=4))
    check_locations(ledger[2:], [unit(3, location="/other")], settings())


def skipped(name: str) -> tuple[Unit, dict[str, Any]]:
    """Return a unit of one file that is not read, and its row."""
    one = Unit.of(Kind.SKIPPED, "/d", [SongInput(f"/d/{name}", -1, 0)])
    return one, ledger_row(one, songs=0, skipped=1)


# Locations


def settings(**given: Any) -> IngestSettings:
    return IngestSettings(("/d",), warehouse="/w", **given)


def test_a_location_that_is_no_longer_named_is_not_dropped_without_replace() -> None:
    gone = [ledger_row(unit(1, 3, "/other")), ledger_row(unit(2, 2000, "/other")), ledger_row(unit(3))]
    with pytest.raises(UserError) as refused:
        check_locations(gone, [unit(4)], settings())
    assert str(refused.value) == (
        "songs/ has 2,003 songs from /other, but --songs does not name it or it has no song file now; name it and "
        "check that it is mounted, or add --replace to drop them"
    )
    check_locations(gone, [unit(4)], settings(replace=True))
    check_locations(gone, [unit(4), unit(5, location="/other")], settings())


# Sums


def test_sums_that_add_up() -> None:
    units = [unit(1, 2), unit(2, 5), Unit.of(Kind.TAR, "/d", [SongInput("/d/a.tar", 1, 1)])]
    check_sums(units, [ledger_row(units[0]), outcome(units[1], 2, 1, 2), outcome(units[2], 7, 1)])


def test_a_tar_without_songs_adds_up() -> None:
    tar = Unit.of(Kind.TAR, "/d", [SongInput("/d/a.tar", 1, 1)])
    check_sums([tar], [outcome(tar, 0)])


@pytest.mark.parametrize(("songs", "rejected", "duplicates"), [(4, 0, 0), (6, 0, 0), (3, 1, 0), (5, 0, 1), (0, 0, 0)])
def test_a_unit_whose_inputs_are_not_accounted_for_is_named(songs: int, rejected: int, duplicates: int) -> None:
    one = unit(1, 5)
    n_accounted = songs + rejected + duplicates
    with pytest.raises(UserError) as refused:
        check_sums([one], [outcome(one, songs, rejected, duplicates)])
    assert str(refused.value) == (
        f"unit {one.name} (/d/1-0.h5 …) has 5 inputs, and {n_accounted} are accounted for; nothing was changed, "
        "run the same command again"
    )


@pytest.mark.parametrize("kind", [Kind.FILES, Kind.TAR])
def test_a_unit_without_an_outcome_is_named(kind: Kind) -> None:
    one = Unit.of(kind, "/d", [SongInput("/d/a", 1, 1)])
    with pytest.raises(UserError, match=f"unit {one.name} .* 0 are accounted for"):
        check_sums([unit(1), one], [ledger_row(unit(1))])


def test_songs_missing_from_a_file_are_detected() -> None:
    one = outcome(unit(1, 5), 5)
    one["file_rows"] = [4]
    with pytest.raises(UserError, match="4 are accounted for"):
        check_sums([unit(1, 5)], [one])


@given(st.lists(st.tuples(*[st.integers(0, 9)] * 4), max_size=5))
def test_totals_are_the_sums_of_the_ledger(counts: list[tuple[int, int, int, int]]) -> None:
    ledger = [
        dict(zip(LEDGER_COUNTS, (sum(each), *each), strict=True)) | {"unit": str(number)}
        for number, each in enumerate(counts)
    ]
    found = totals(ledger)
    assert found.pop("units") == len(counts)
    assert list(found) == list(LEDGER_COUNTS)
    assert tuple(found.values())[1:] == tuple(sum(each[place] for each in counts) for place in range(4))


def test_a_ledger_that_does_not_add_up_is_refused() -> None:
    with pytest.raises(UserError, match=r"the ledger does not add up: .*'songs': 3"):
        totals([ledger_row(unit(1), songs=3)])


# The job


def tracks(warehouse: Path) -> list[str]:
    return [song["track_id"] for song in rows(warehouse, "songs")]


@given(st.data())
def test_every_track_is_kept_once_whatever_the_units_and_the_order(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Folders are ingested one after the other; their order and the units do not matter."""
    folder = tmp_path_factory.mktemp("songs")
    places = data.draw(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 4)), unique=True, min_size=1))
    named: list[Path] = []
    for name in data.draw(st.permutations(sorted({name for name, _ in places}))):
        write_songs(folder / name, [number for other, number in places if other == name])
        named.append(folder / name)
        ingest(folder / "w", *named, inputs_per_unit=data.draw(st.integers(1, 3)))
    kept = {track(number): min(name for name, other in places if other == number) for _, number in places}
    found = {song["track_id"]: Path(song["source"]).parent.name for song in rows(folder / "w", "songs")}
    assert found == kept
    assert len(tracks(folder / "w")) == len(kept)
    ledger = rows(folder / "w", "ledger")
    assert totals(ledger) | {"units": 0} == {
        "inputs": len(places),
        "songs": len(kept),
        "rejected": 0,
        "duplicates": len(places) - len(kept),
        "skipped": 0,
        "units": 0,
    }
    listed = [Path(row["source"]) for row in rows(folder / "w", "rejected", "stage=ingest")]
    left_out = [(name, track(number)) for name, number in places if kept[track(number)] != name]
    assert sorted((path.parent.name, path.stem) for path in listed) == sorted(left_out)


def test_a_track_id_of_any_letters_is_ingested(tmp_path: Path) -> None:
    """A file that is not named like a track may hold any track id."""
    (tmp_path / "songs").mkdir()
    for number, name in enumerate(("\u00e9\u6771", "\u00e9\u6771", "x")):
        (tmp_path / "songs" / f"{number}.h5").write_bytes(song_image(track_id=name.encode()))
    summary = ingest(tmp_path / "w", tmp_path / "songs", inputs_per_unit=1)
    assert tracks(tmp_path / "w") == ["x", "\u00e9\u6771"]
    assert summary.facts["duplicates"] == 1


def test_names_that_are_not_utf8_do_not_end_an_ingest(tmp_path: Path) -> None:
    (path,) = write_songs(tmp_path / "songs" / "A", [1])
    path.rename(path.with_name("\udcff.h5"))
    path.with_name("\udcfe.h5").write_bytes(b"no song")
    summary = ingest(tmp_path / "w", tmp_path / "songs", inputs_per_unit=1)
    assert (summary.facts["songs"], summary.facts["rejected"]) == (1, 1)
    assert rows(tmp_path / "w", "songs")[0]["source"].endswith("/A/\\udcff.h5")
    assert {row["source"].rsplit("/", 1)[1] for row in rows(tmp_path / "w", "ledger")} == {"\\udcff.h5", "\\udcfe.h5"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--inputs-per-unit", "0"], "--inputs-per-unit is 0; allowed: 1 or more"),
        (["--limit", "-1"], "--limit is -1; allowed: 1 or more"),
        (
            ["--songs", "nowhere"],
            "no {folder}/nowhere; --songs takes folders, song files, archives, aggregate files, "
            "files of metadata (.db, .csv, .parquet) and globs of them",
        ),
        (["--manifest", "list.txt"], "no file list.txt"),
        ([], "no song files in data; run msd-spark fetch subset --to data, or give --songs"),
    ],
)
def test_invalid_options_are_refused_before_spark_starts_and_a_folder_is_created(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(job, "start_spark", lambda _: pytest.fail("Spark was started"))
    with pytest.raises(SystemExit) as refused:
        run_verb("ingest", words)
    assert refused.value.code == 2
    assert capsys.readouterr().err == f"ingest: {message.format(folder=tmp_path)}\n"
    assert list(tmp_path.iterdir()) == []


def test_a_bare_command_ingests_the_songs_of_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(job, "start_spark", lambda _: SESSION)
    write_songs(tmp_path / "data" / "songs", [1, 2])
    run_verb("ingest", [])
    assert tracks(tmp_path / "warehouse") == [track(1), track(2)]
    write_metadata(tmp_path / "data" / "additional" / "track_metadata.db", map(row_of, range(4)))
    run_verb("ingest", [])
    assert tracks(tmp_path / "warehouse") == [track(number) for number in range(4)]
    shutil.rmtree(tmp_path / "data" / "songs")
    run_verb("ingest", ["--warehouse", "other"])
    assert tracks(tmp_path / "other") == [track(number) for number in range(4)]


def test_a_limit_drops_no_songs_without_replace(tmp_path: Path) -> None:
    write_songs(tmp_path / "songs", range(4))
    ingest(tmp_path / "w", tmp_path / "songs", inputs_per_unit=1)
    with pytest.raises(UserError, match="--limit 2 would drop 2 songs of songs/"):
        ingest(tmp_path / "w", tmp_path / "songs", inputs_per_unit=1, limit=2)
    assert tracks(tmp_path / "w") == sorted(track(number) for number in range(4))
    ingest(tmp_path / "w", tmp_path / "songs", inputs_per_unit=1, limit=2, replace=True)
    assert len(tracks(tmp_path / "w")) == 2


def test_a_dry_run_predicts_the_ingest(tmp_path: Path) -> None:
    songs, warehouse = tmp_path / "songs", tmp_path / "w"
    first, *_ = write_songs(songs / "a", range(4))
    ingest(warehouse, songs, inputs_per_unit=1)
    write_songs(songs / "b", [7, 8])
    (songs / "b" / f"{track(9)}.h5").symlink_to(tmp_path / "nowhere")
    first.unlink()
    planned = dry_run(SESSION, IngestSettings((str(songs),), warehouse=str(warehouse), inputs_per_unit=1)).facts
    assert (planned["units to do"], planned["units done before"], planned["units to drop"]) == (3, 3, 1)
    done = ingest(warehouse, songs, inputs_per_unit=1).facts
    assert (done["units"] - done["units done before"], done["units dropped"]) == (3, 1)
    again = dry_run(SESSION, IngestSettings((str(songs),), warehouse=str(warehouse), inputs_per_unit=1)).facts
    assert again["units to do"] == 1  # the one that could not be read
