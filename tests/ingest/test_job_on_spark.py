from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from msd_spark.core.errors import UserError
from msd_spark.core.schemas import LEDGER, ROUNDED_TO_THREE_DECIMALS, SENTINELS, SONGS
from msd_spark.core.summary import Summary
from msd_spark.core.track_ids import song_path
from msd_spark.core.warehouse import Warehouse
from msd_spark.ingest import job
from msd_spark.ingest.settings import PENDING, IngestSettings
from msd_spark.synthetic.run import generate
from msd_spark.synthetic.settings import SyntheticSettings
from tests.support.tables import assert_same_songs, files, ledger, rejected, songs, sums

N_SONGS = 90
Ingest = Callable[..., Summary]


@pytest.fixture
def ingest(spark: SparkSession) -> Ingest:
    """The job as a function of warehouse, locations and settings."""

    def run(uri: Path, *locations: Path | str, **settings: Any) -> Summary:
        return job.ingest(spark, IngestSettings(tuple(map(str, locations)), warehouse=str(uri), **settings))

    return run


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same songs in every packaging."""
    folder = tmp_path_factory.mktemp("packed") / "data"
    packaging = ("files", "tar", "tar.gz", "aggregate", "summary")
    settings = SyntheticSettings(
        songs=N_SONGS, seed=5, packaging=packaging, songs_per_aggregate=50, workers=1, broken=0
    )
    generate(settings, folder)
    return folder


@pytest.fixture(scope="module")
def loose(spark: SparkSession, packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse ingested from the loose files."""
    uri = tmp_path_factory.mktemp("loose")
    job.ingest(spark, IngestSettings((str(packed / "songs"),), warehouse=str(uri), inputs_per_unit=20))
    return uri


@pytest.fixture
def shelf(packed: Path, tmp_path: Path) -> Path:
    """A folder of 40 loose songs that a test may change."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    for path in song_files(packed)[:40]:
        shutil.copy2(path, folder / path.name)
    return folder


def song_files(packed: Path) -> list[Path]:
    return sorted((packed / "songs").rglob("*.h5"))


# The real sample


@pytest.fixture(scope="module")
def real(spark: SparkSession, sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    uri = tmp_path_factory.mktemp("real")
    settings = IngestSettings((str(sample / "songs"), str(sample / "broken")), warehouse=str(uri))
    job.ingest(spark, settings).finish(Warehouse(str(uri)))
    return uri


def test_every_input_of_the_sample_is_accounted_for(real: Path, sample: Path) -> None:
    assert sums(real) == (319, 317, 2, 0)
    manifest = pd.read_csv(sample / "manifest.tsv", sep="\t").set_index("track_id").sort_index()
    found = songs(real)
    assert found["track_id"].to_pylist() == manifest.index.tolist()
    assert found["n_segments"].to_pylist() == manifest["n_segments"].tolist()


def test_songs_equal_a_plain_reading_field_by_field(real: Path) -> None:
    """The reference reads with h5py's high level and spells the rules out again."""
    compared = 0
    for row in pq.read_table(real / "songs").to_pandas().to_dict("records"):
        with h5py.File(row["source"], "r") as file:
            seen = {"n_segments", "source", "member"}
            for group in ("analysis", "metadata", "musicbrainz"):
                record = file[group]["songs"][0]
                for name in record.dtype.names:
                    if not name.startswith("idx_"):
                        assert_scalar(name, row[name], record[name])
                        seen.add(name)
                for name, dataset in file[group].items():
                    if name != "songs":
                        assert_array(name, row[name], dataset[...])
                        seen.add(name)
            assert seen == set(SONGS.names)
            assert row["member"] is None
        compared += len(seen)
    assert compared == 317 * 59


def assert_scalar(name: str, found: object, source: np.generic) -> None:
    missing = found is None or (isinstance(found, float) and np.isnan(found))
    if isinstance(source, bytes):
        assert (None if missing else found) == (source.decode("utf-8") or None), name
    elif np.isnan(source) or source.item() in SENTINELS.get(name, ()):
        assert missing, name
    else:
        assert found == source.item(), name


def assert_array(name: str, found: np.ndarray, source: np.ndarray) -> None:
    if source.dtype.kind == "S":
        assert list(found) == [value.decode("utf-8") for value in source]
    elif name in ROUNDED_TO_THREE_DECIMALS:
        assert found.dtype == np.float32
        # float32 loses nothing: rounded back to the source's three decimals it is the source's number.
        np.testing.assert_array_equal(np.round(found.astype(np.float64), 3), np.round(source.reshape(-1), 3))
        np.testing.assert_array_equal(np.round(source, 3), source)
    else:
        np.testing.assert_array_equal(found, source.reshape(-1))


# Packagings


def test_generated_songs_and_broken_files_add_up(warehouse: Warehouse) -> None:
    uri = Path(warehouse.root)
    assert sums(uri) == (163, 160, 3, 0)
    assert {row["reason"] for row in rejected(uri)} <= {"missing_data", "not_hdf5", "truncated"}
    assert pq.read_schema(next((uri / "ledger").glob("*.parquet"))).equals(LEDGER)
    rows = ledger(uri)
    assert len({row["unit"] for row in rows}) == len(rows)
    assert {row["kind"] for row in rows} == {"files"}
    in_ledger = [name for row in rows for name in row["files"]]
    assert sorted(in_ledger) == sorted(files(uri))
    assert sorted(track for row in rows for track in row["track_ids"]) == songs(uri)["track_id"].to_pylist()


@pytest.mark.parametrize("locations", [["tar/*.tar"], ["tar/*.tar.gz"], ["aggregate"]], ids=["tar", "tar.gz", "many"])
def test_every_packaging_gives_the_same_songs(
    ingest: Ingest, packed: Path, loose: Path, tmp_path: Path, locations: list[str]
) -> None:
    ingest(tmp_path, *(f"{packed}/{location}" for location in locations))
    assert sums(tmp_path) == (N_SONGS, N_SONGS, 0, 0)
    assert_same_songs(tmp_path, loose, "source", "member")


def test_a_song_says_where_it_was(ingest: Ingest, packed: Path, tmp_path: Path) -> None:
    ingest(tmp_path, packed / "aggregate", f"{packed}/tar/[A-M].tar", f"{packed}/tar/[N-Z].tar.gz", replace=True)
    found = {row["track_id"]: (row["source"], row["member"]) for row in places(tmp_path)}
    assert len(found) == N_SONGS
    assert all(source.startswith(f"{packed}/aggregate/") for source, _ in found.values())  # sorts before tar/
    assert {member.split()[0] for _, member in found.values()} == {"row"}
    duplicates = [(row["source"], row["member"]) for row in rejected(tmp_path)]
    assert len(duplicates) == N_SONGS
    for path in song_files(packed):
        letter = path.stem[2]
        suffix = "tar" if letter <= "M" else "tar.gz"
        assert (f"{packed}/tar/{letter}.{suffix}", song_path(path.stem)) in duplicates


def places(uri: Path) -> list[dict[str, Any]]:
    columns = ["track_id", "source", "member"]
    return list(pq.read_table(uri / "songs", columns=columns).to_pylist())


def test_mixed_sources_keep_each_track_once(ingest: Ingest, packed: Path, loose: Path, tmp_path: Path) -> None:
    """The same songs four times, and a few of them once more: the place that sorts first is kept."""
    first = tmp_path / "0-first"
    first.mkdir()
    for path in song_files(packed)[:10]:
        shutil.copy(path, first / path.name)
    uri = tmp_path / "w"
    summary = ingest(uri, packed / "tar", packed / "songs", first, packed / "aggregate", inputs_per_unit=25)
    assert sums(uri) == (4 * N_SONGS + 10, N_SONGS, 0, 3 * N_SONGS + 10)
    assert (summary.facts["songs"], summary.facts["duplicates"]) == (N_SONGS, 3 * N_SONGS + 10)
    assert_same_songs(uri, loose, "source", "member")
    everywhere = [*song_files(packed), *first.iterdir(), *(packed / "tar").iterdir(), *(packed / "aggregate").iterdir()]
    first_of = {song["track_id"]: song["source"] for song in places(uri)}
    in_first = {path.stem for path in first.iterdir()}
    for track_id, source in first_of.items():
        candidates = [str(packed / "aggregate"), *([str(first)] if track_id in in_first else [])]
        assert source.startswith(min(candidates))
    assert {row["source"] for row in rejected(uri)} <= set(map(str, everywhere))
    assert {row["reason"] for row in rejected(uri)} == {"duplicate_track_id"}


def test_a_summary_file_is_refused_or_read_as_rows(ingest: Ingest, packed: Path, loose: Path, tmp_path: Path) -> None:
    refused, taken = tmp_path / "refused", tmp_path / "taken"
    with pytest.raises(UserError, match="no song can be used: 2 of 2 rejected as summary_file"):
        ingest(refused, packed / "summary")
    ingest(refused, packed / "summary", packed / "songs" / "A")
    n_songs = sums(refused)[1]
    assert sums(refused) == (n_songs + 2, n_songs, 2, 0)
    assert {row["reason"] for row in rejected(refused)} == {"summary_file"}
    ingest(taken, packed / "summary", summaries="rows")
    assert sums(taken) == (N_SONGS, N_SONGS, 0, 0)
    arrays = [name for name in SONGS.names if name.startswith("segments_")]
    assert all(value == [] for name in arrays for value in songs(taken)[name].to_pylist())
    lists = [field.name for field in SONGS if str(field.type).startswith("list")]
    assert_same_songs(taken, loose, "source", "member", "n_segments", *lists)


# Locations


def test_a_glob_selects_its_matches(ingest: Ingest, packed: Path, tmp_path: Path) -> None:
    ingest(tmp_path, f"{packed}/songs/[AB]")
    expected = [path.stem for path in song_files(packed) if path.stem[2] in "AB"]
    assert songs(tmp_path)["track_id"].to_pylist() == expected
    assert expected


def test_a_manifest_names_songs_and_folders(ingest: Ingest, packed: Path, shelf: Path, tmp_path: Path) -> None:
    one, two = song_files(packed)[50:52]
    lines = ["# songs", str(one), "", str(two), str(shelf), f"{packed}/songs/nowhere/TRZZZZZ128F0000000.h5"]
    (tmp_path / "list.txt").write_text("\n".join(lines))
    uri = tmp_path / "w"
    ingest(uri, manifest=str(tmp_path / "list.txt"))
    assert sums(uri) == (43, 42, 1, 0)
    assert set(songs(uri)["track_id"].to_pylist()) == {path.stem for path in (one, two, *shelf.iterdir())}
    assert [(row["source"], row["reason"]) for row in rejected(uri)] == [(lines[-1], "not_found")]


def test_known_tracks_are_found_or_missing(ingest: Ingest, packed: Path, loose: Path, tmp_path: Path) -> None:
    missing = "TRZZZZZ128F0000000"
    tracks = (packed / "additional" / "unique_tracks.txt").read_text()
    (tmp_path / "tracks.txt").write_text(f"{tracks}{missing}<SEP>x<SEP>y<SEP>z\n")
    uri = tmp_path / "w"
    ingest(uri, packed / "songs", track_ids=str(tmp_path / "tracks.txt"), inputs_per_unit=20)
    assert sums(uri) == (N_SONGS + 1, N_SONGS, 1, 0)
    assert [(row["source"], row["reason"]) for row in rejected(uri)] == [
        (f"{packed}/songs/{song_path(missing)}", "not_found")
    ]
    assert_same_songs(uri, loose)


def test_a_limit_reads_that_many_songs(ingest: Ingest, packed: Path, loose: Path, tmp_path: Path) -> None:
    ingest(tmp_path, packed / "songs", limit=33, inputs_per_unit=20)
    assert sums(tmp_path) == (33, 33, 0, 0)
    ingest(tmp_path, packed / "songs", inputs_per_unit=20)
    assert_same_songs(tmp_path, loose)


def test_a_dry_run_writes_nothing(spark: SparkSession, packed: Path, tmp_path: Path) -> None:
    locations = tuple(str(packed / name) for name in ("songs", "tar", "aggregate"))
    facts = job.dry_run(spark, IngestSettings(locations, warehouse=str(tmp_path / "w"))).facts
    assert (facts["songs in files"], facts["songs in aggregate"]) == (N_SONGS, N_SONGS)
    assert facts["units of tar"] == len(list((packed / "tar").iterdir()))
    assert facts["bytes to read"] > 0
    assert list(tmp_path.iterdir()) == []


# Reruns


def test_a_rerun_repeats_nothing(ingest: Ingest, packed: Path, shelf: Path, tmp_path: Path) -> None:
    uri = tmp_path / "w"
    locations = shelf, packed / "tar"  # with duplicates
    first = ingest(uri, *locations, inputs_per_unit=5)
    before, tables = files(uri), (ledger(uri), rejected(uri))
    again = ingest(uri, *reversed(locations), inputs_per_unit=5)
    assert first.facts["units done before"] == 0
    assert again.facts["units done before"] == again.facts["units"] == first.facts["units"]
    assert files(uri) == before
    assert (ledger(uri), rejected(uri)) == tables
    assert not (uri / PENDING).exists()


def test_changes_are_read_and_the_rest_is_left_alone(ingest: Ingest, packed: Path, shelf: Path, tmp_path: Path) -> None:
    uri, fresh = tmp_path / "w", tmp_path / "fresh"
    ingest(uri, shelf, inputs_per_unit=5)
    before = files(uri)
    changed, removed, *_ = sorted(shelf.iterdir())
    with h5py.File(changed, "r+") as file:
        row = file["metadata/songs"][:]
        row["title"] = b"Changed"
        file["metadata/songs"][:] = row
    removed.unlink()
    new = song_files(packed)[60]
    shutil.copy(new, shelf / new.name)
    summary = ingest(uri, shelf, inputs_per_unit=5)
    assert 0 < summary.facts["units done before"] < summary.facts["units"]
    left = {name: time for name, time in files(uri).items() if name in before}
    assert len(left) == summary.facts["units done before"]
    assert left == {name: before[name] for name in left}
    ingest(fresh, shelf, inputs_per_unit=5)
    assert_same_songs(uri, fresh)
    assert sums(uri) == sums(fresh) == (40, 40, 0, 0)
    by_track = {row["track_id"]: row["title"] for row in songs(uri).select(["track_id", "title"]).to_pylist()}
    assert by_track[changed.stem] == "Changed"
    assert removed.stem not in by_track
    assert new.stem in by_track


def test_a_location_that_is_no_longer_named_is_not_dropped_without_replace(
    ingest: Ingest, packed: Path, shelf: Path, tmp_path: Path
) -> None:
    uri = tmp_path / "w"
    other = f"{packed}/songs/[A-C]"
    ingest(uri, shelf)
    before = files(uri)
    with pytest.raises(UserError, match=f"40 songs from {shelf}, but --songs does not name it"):
        ingest(uri, other)
    assert files(uri) == before
    assert Warehouse(str(uri)).is_complete("songs")
    ingest(uri, other, replace=True)
    expected = [path.stem for path in song_files(packed) if path.stem[2] in "ABC"]
    assert songs(uri)["track_id"].to_pylist() == expected


def test_an_unreadable_file_is_retried(ingest: Ingest, packed: Path, shelf: Path, tmp_path: Path) -> None:
    uri, late = tmp_path / "w", song_files(packed)[70]
    (shelf / late.name).symlink_to(tmp_path / "later.h5")
    ingest(uri, shelf, inputs_per_unit=5)
    assert sums(uri) == (41, 40, 1, 0)
    assert [row["reason"] for row in rejected(uri)] == ["not_found"]
    shutil.copy(late, tmp_path / "later.h5")
    ingest(uri, shelf, inputs_per_unit=5)
    assert sums(uri) == (41, 41, 0, 0)


def test_a_missing_key_is_retried(ingest: Ingest, packed: Path, tmp_path: Path) -> None:
    """Keys are not listed, so that only a retry finds a new one."""
    here, late = song_files(packed)[:2]
    for path in (here, late):
        (tmp_path / "songs" / song_path(path.stem)).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(here, tmp_path / "songs" / song_path(here.stem))
    (tmp_path / "tracks.txt").write_text(f"{here.stem}\n{late.stem}\n")
    uri, known = tmp_path / "w", str(tmp_path / "tracks.txt")
    ingest(uri, tmp_path / "songs", track_ids=known)
    assert sums(uri) == (2, 1, 1, 0)
    shutil.copy(late, tmp_path / "songs" / song_path(late.stem))
    ingest(uri, tmp_path / "songs", track_ids=known)
    assert sums(uri) == (2, 2, 0, 0)
    again = ingest(uri, tmp_path / "songs", track_ids=known)
    assert again.facts["units done before"] == again.facts["units"]


def test_a_duplicate_returns_when_the_kept_copy_is_removed(
    ingest: Ingest, packed: Path, shelf: Path, tmp_path: Path
) -> None:
    uri, fresh, first = tmp_path / "w", tmp_path / "fresh", tmp_path / "a"
    first.mkdir()
    copies = [Path(shutil.copy(path, first / path.name)) for path in song_files(packed)[:4]]
    ingest(uri, first, shelf, inputs_per_unit=5)
    assert sums(uri) == (44, 40, 0, 4)
    copies[0].unlink()
    os.utime(copies[1])
    ingest(uri, first, shelf, inputs_per_unit=5)
    ingest(fresh, first, shelf, inputs_per_unit=5)
    assert sums(uri) == sums(fresh) == (43, 40, 0, 3)
    assert_same_songs(uri, fresh)
    assert rejected(uri) == rejected(fresh)
    kept_from = {song["track_id"]: Path(song["source"]).parent for song in places(uri)}
    assert kept_from[copies[0].stem] == shelf
    assert kept_from[copies[1].stem] == first


def test_a_file_that_is_not_a_song_is_rejected_with_its_reason(ingest: Ingest, shelf: Path, tmp_path: Path) -> None:
    some = sorted(shelf.iterdir())[0]
    shutil.copy(some, shelf / "TRYYYYY128F0000000.h5")
    (shelf / "TRZZZZZ128F0000000.h5").write_bytes(some.read_bytes()[:5000])
    (shelf / "notes.h5").write_bytes(b"hello")
    ingest(tmp_path / "w", shelf)
    assert sums(tmp_path / "w") == (43, 40, 3, 0)
    reasons = {Path(row["source"]).name: row["reason"] for row in rejected(tmp_path / "w")}
    assert reasons == {
        "TRYYYYY128F0000000.h5": "track_id_mismatch",
        "TRZZZZZ128F0000000.h5": "truncated",
        "notes.h5": "not_hdf5",
    }
