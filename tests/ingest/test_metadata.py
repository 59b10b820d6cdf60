"""Files of metadata as songs without segments."""

from __future__ import annotations

import math
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msd_spark.core.errors import UserError
from msd_spark.core.schemas import ARRAY_COLUMNS, LEDGER_COUNTS, SONGS
from msd_spark.ingest import metadata
from msd_spark.ingest.job import totals
from tests.support.metadata_files import FORMATS, row_of, write_database, write_metadata
from tests.support.object_store import ObjectStore
from tests.support.without_spark import ingest, rows, track, write_songs

N_SONGS = 2000


def counts(warehouse: Path) -> tuple[int, ...]:
    """Return inputs, songs, rejected, duplicates and skipped of the ledger."""
    sums = totals(rows(warehouse, "ledger"))
    return tuple(sums[name] for name in LEDGER_COUNTS)


def expected(row: dict[str, Any]) -> dict[str, Any]:
    """Return the scalar fields that a row of metadata has in ``songs/``."""
    unknown = {"year": 0, "track_7digitalid": -1, "tempo": 0, "song_hotttnesss": 0}
    values = {name: value for name, value in row.items() if not name.startswith("shs_")}
    return {
        name: None if value in ("", unknown.get(name, "")) or value != value else value
        for name, value in values.items()
    }


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("metadata")
    for name in FORMATS:
        write_metadata(folder / name, map(row_of, range(N_SONGS)))
    return folder


@pytest.fixture
def small_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "ROWS_PER_UNIT", 300)
    monkeypatch.setattr(metadata, "ROWS_AT_A_TIME", 128)


@pytest.mark.usefixtures("small_units")
@pytest.mark.parametrize("name", FORMATS)
def test_every_row_becomes_a_song_without_segments(generated: Path, tmp_path: Path, name: str) -> None:
    ingest(tmp_path, generated / name)
    assert counts(tmp_path) == (N_SONGS, N_SONGS, 0, 0, 0)
    ledger = rows(tmp_path, "ledger")
    assert len(ledger) == (1 if name.endswith((".gz", ".h5")) else math.ceil(N_SONGS / 300))
    songs = rows(tmp_path, "songs")
    for number, song in enumerate(songs):
        known = expected(row_of(number))
        assert {column: song[column] for column in known} == known
        assert all(song[column] == [] for column in ARRAY_COLUMNS)
        assert song["n_segments"] == 0
        assert song["source"] == str(generated / name)
    filled = {"source", "member", "n_segments", *ARRAY_COLUMNS, *expected(row_of(1))}
    if name != "summary.h5":  # which has every scalar field, zero in this test
        assert all(song[column] is None for column in SONGS.names if column not in filled for song in songs[:50])
    members = {"db": "rowid 8", "csv": "line 10", "gz": "line 10", "tsv": "line 10"}
    assert songs[7]["member"] == members.get(name.rsplit(".", 1)[1], "row 7")
    again = ingest(tmp_path, generated / name)
    assert again.facts["units done before"] == len(ledger)


def test_the_columns_of_the_real_catalogue(million: Path, tmp_path: Path) -> None:
    """A thousand rows of every hundred thousand, compared with the file itself."""
    real = pq.ParquetFile(million)
    part = pa.concat_tables([real.read_row_group(group).slice(7, 200) for group in range(real.num_row_groups)])
    pq.write_table(part, tmp_path / "part.parquet")
    ingest(tmp_path / "w", tmp_path / "part.parquet")
    songs = rows(tmp_path / "w", "songs")
    assert len(songs) == part.num_rows
    for song, row in zip(songs, part.to_pylist(), strict=True):
        for name, value in expected(row).items():
            if name == "time_signature" and value == 0:
                assert song[name] is None
            elif isinstance(value, float):
                assert song[name] == pytest.approx(value, rel=1e-6)
            else:
                assert song[name] == value, name


def test_real_metadata_equals_the_real_song_files_that_complete_it(million: Path, sample: Path, tmp_path: Path) -> None:
    track_ids = [path.stem for path in sorted((sample / "songs").rglob("*.h5"))][:60]
    rest = pq.read_table(million, filters=[("track_id", "in", track_ids)])
    pq.write_table(rest, tmp_path / "a.parquet")
    ingest(tmp_path / "w", tmp_path / "a.parquet")
    before = rows(tmp_path / "w", "songs")
    assert [song["track_id"] for song in before] == track_ids
    (tmp_path / "list.txt").write_text("\n".join(track_ids[:40]))
    ingest(tmp_path / "w", sample / "songs", track_ids=str(tmp_path / "list.txt"))
    after = rows(tmp_path / "w", "songs")
    assert [song["n_segments"] > 0 for song in after] == [True] * 40 + [False] * 20
    assert after[40:] == before[40:]
    for metadata_row, song in zip(before[:40], after, strict=False):
        for name in rest.column_names:
            if isinstance(song[name], float):
                assert metadata_row[name] == pytest.approx(song[name], rel=1e-6), name
            else:
                assert metadata_row[name] == song[name], name
    assert counts(tmp_path / "w") == (100, 60, 0, 0, 40)


def test_decimals_of_float32_are_those_of_the_source(tmp_path: Path) -> None:
    table = pa.table({"track_id": [track(1)], "tempo": pa.array([99.944], pa.float32())})
    pq.write_table(table, tmp_path / "m.parquet")
    ingest(tmp_path / "w", tmp_path / "m.parquet")
    assert rows(tmp_path / "w", "songs")[0]["tempo"] == 99.944


BAD = {
    "no_track_id": {"track_id": ""},
    "bad_track_id": {"track_id": "traaaaaw128f429d538"},
    "bad_value": {"year": "nineteen"},
}


@pytest.mark.parametrize("name", ["m.db", "m.csv", "m.parquet"])
def test_rows_that_are_no_songs_are_rejected_with_their_place(tmp_path: Path, name: str) -> None:
    listed = [row_of(number) for number in range(1, 7)]
    for place, change in zip((1, 3, 4), BAD.values(), strict=True):
        listed[place] |= change
    if name == "m.parquet":  # a column has one type
        listed = [row | {"year": str(row["year"])} for row in listed]
    write_metadata(tmp_path / name, listed)
    ingest(tmp_path / "w", tmp_path / name)
    assert counts(tmp_path / "w") == (6, 3, 3, 0, 0)
    rejected = {row["reason"]: row for row in rows(tmp_path / "w", "rejected", "stage=ingest")}
    assert list(rejected) == ["no_track_id", "bad_track_id", "bad_value"] or set(rejected) == set(BAD)
    assert rejected["bad_track_id"]["detail"].startswith("'traaaaaw128f429d538'")
    assert rejected["bad_value"]["detail"] == "year is 'nineteen'"
    places = {"m.db": "rowid 4", "m.csv": "line 6", "m.parquet": "row 3"}  # a field of the first row has a line feed
    assert rejected["bad_track_id"]["member"] == places[name]
    assert {row["source"] for row in rejected.values()} == {str(tmp_path / name)}


def test_csv_files_as_people_write_them(tmp_path: Path) -> None:
    lines = [
        "\ufeffTrack,track_id , title,year,tempo",
        f"1,{track(1)},Plain,1999.0,120",
        "",
        f"2,{track(2)},too,many,columns,here",
        f'3,{track(3)},"A, ""quoted""\nsong",NULL,nan',
        f"4,{track(4)},Motörhead,,",
        f"5,{track(5)}",
        f"6,{track(6)},NULL,1e99,1",
        f"7,{track(7)},x,1980.5,inf",
        f"8,{track(8)},last,1980,-60.5",
    ]
    content = "\r\n".join(lines).encode("utf-8").replace("Motörhead".encode(), "Motörhead".encode("latin-1"))
    (tmp_path / "m.csv").write_bytes(content)
    ingest(tmp_path / "w", tmp_path / "m.csv")
    songs = {row["track_id"]: (row["title"], row["year"], row["tempo"]) for row in rows(tmp_path / "w", "songs")}
    assert songs == {
        track(1): ("Plain", 1999, 120.0),
        track(3): ('A, "quoted"\nsong', None, None),
        track(4): ("Motörhead", None, None),
        track(8): ("last", 1980, -60.5),
    }
    rejected = {
        row["member"]: (row["reason"], row["detail"]) for row in rows(tmp_path / "w", "rejected", "stage=ingest")
    }
    assert rejected == {
        "line 4": ("wrong_number_of_columns", "6 columns, the header has 5"),
        "line 8": ("wrong_number_of_columns", "2 columns, the header has 5"),
        "line 9": ("bad_value", "year is '1e99'"),
        "line 10": ("bad_value", "tempo is 'inf'"),
    }
    assert counts(tmp_path / "w") == (8, 4, 4, 0, 0)


def test_a_quote_that_is_not_closed_takes_no_other_songs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "ROWS_PER_UNIT", 10)
    lines = [f"{track(number)},title {number}" for number in range(60)]
    lines[5] = f'{track(5)},"never closed'
    lines[30] = f'{track(30)},"closed'
    lines[33] = f'{track(33)},three lines later"'
    lines[50] = f'{track(50)},"two\nlines"'
    path = tmp_path / "m.csv"
    path.write_text("\n".join(["track_id,title", *lines]) + "\n")
    ingest(tmp_path, path)
    assert counts(tmp_path) == (60, 58, 2, 0, 0)
    rejected = {one["member"]: one["reason"] for one in rows(tmp_path, "rejected")}
    assert rejected == {"line 7": "bad_quotes", "line 32": "bad_quotes"}
    titles = {song["track_id"]: song["title"] for song in rows(tmp_path, "songs")}
    assert (titles[track(50)], titles[track(33)]) == ("two\nlines", 'three lines later"')


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("CREATE VIEW songs AS SELECT * FROM t", "songs of .* is a view; copy it into a table"),
        (
            "CREATE TABLE songs (track_id TEXT PRIMARY KEY, title TEXT) WITHOUT ROWID",
            "is a table without row ids; copy",
        ),
    ],
)
def test_a_view_or_a_table_without_row_ids(tmp_path: Path, statement: str, message: str) -> None:
    with closing(sqlite3.connect(tmp_path / "m.db")) as database:
        database.executescript(f"CREATE TABLE t (track_id TEXT, title TEXT); {statement};")
        database.execute("INSERT INTO t VALUES (?, 'a')", (track(1),))
        database.commit()
    with pytest.raises(UserError, match=message):
        ingest(tmp_path, tmp_path / "m.db")


def test_a_column_of_an_unusable_type_is_one_rejection(tmp_path: Path) -> None:
    table = pa.table({"track_id": [track(1), track(2)], "year": pa.array([1, 2], pa.date32())})
    pq.write_table(table, tmp_path / "m.parquet")
    with pytest.raises(UserError, match=r"column year of .* is date32\[day\]; write numbers or text"):
        ingest(tmp_path, tmp_path / "m.parquet")


def test_texts_of_a_database_in_another_encoding(tmp_path: Path) -> None:
    columns = "track_id, title, artist_name, year, key"
    write_database(
        tmp_path / "m.db",
        [
            (track(1), "Motörhead".encode("latin-1"), 1999, "1980", None),
            (track(2), None, b"\xc3\xa9", 2001.0, 11),
            (track(3), "x", "y", b"1", 2**40),
        ],
        columns,
    )
    ingest(tmp_path / "w", tmp_path / "m.db")
    found = [(row["title"], row["artist_name"], row["year"], row["key"]) for row in rows(tmp_path / "w", "songs")]
    assert found == [("Motörhead", "1999", 1980, None), (None, "é", 2001, 11)]
    (rejected,) = rows(tmp_path / "w", "rejected", "stage=ingest")
    assert (rejected["reason"], rejected["member"]) == ("bad_value", "rowid 3")


@pytest.mark.parametrize(
    ("name", "content", "reason", "detail"),
    [
        ("m.db", b"not a database, but longer than its header" * 5, "unreadable_data", "file is not a database"),
        ("m.parquet", b"PAR1 and no more", "unreadable_data", "Parquet magic bytes not found"),
        ("m.csv", b"a,b\n1,2\n", "wrong_layout", "needs track_id and another column of songs/; it has a, b"),
        ("m.csv", b"track_id,year,year\nx,1,2\n", "wrong_layout", "has a column twice"),
        ("m.csv", b"", "wrong_layout", "needs track_id"),
        ("m.csv", "track_id,year\n".encode("utf-16"), "unreadable_data", "null bytes"),
        ("m.csv.gz", b"\x1f\x8bnot gzip", "unreadable_data", "is damaged"),
    ],
)
def test_a_file_with_another_content_is_one_rejection(
    tmp_path: Path, name: str, content: bytes, reason: str, detail: str
) -> None:
    write_songs(tmp_path / "songs", [1])
    (tmp_path / name).write_bytes(content)
    ingest(tmp_path / "w", tmp_path / "songs", tmp_path / name)
    assert counts(tmp_path / "w") == (2, 1, 1, 0, 0)
    (rejected,) = rows(tmp_path / "w", "rejected", "stage=ingest")
    assert (rejected["source"], rejected["reason"]) == (str(tmp_path / name), reason)
    assert detail in rejected["detail"]
    with pytest.raises(UserError, match=f"no song can be used: 1 of 1 rejected as {reason}"):
        ingest(tmp_path / "other", tmp_path / name)


def test_a_truncated_database_and_one_without_songs(tmp_path: Path, generated: Path) -> None:
    write_songs(tmp_path / "songs", [1])
    content = (generated / "track_metadata.db").read_bytes()
    (tmp_path / "half.db").write_bytes(content[: len(content) // 2])
    write_database(tmp_path / "empty.db", [])
    write_database(tmp_path / "other.db", [], "tid text")
    with closing(sqlite3.connect(tmp_path / "none.db")) as database:
        database.execute("CREATE TABLE tids (tid TEXT)")
    names = ("half.db", "empty.db", "other.db", "none.db")
    ingest(tmp_path / "w", tmp_path / "songs", *(tmp_path / name for name in names))
    assert counts(tmp_path / "w") == (5, 1, 3, 0, 1)
    rejected = {Path(row["source"]).name: row["reason"] for row in rows(tmp_path / "w", "rejected", "stage=ingest")}
    assert rejected == {"half.db": "unreadable_data", "other.db": "wrong_layout", "none.db": "wrong_layout"}
    skips = [skip for row in rows(tmp_path / "w", "ledger") for skip in row["skips"]]
    assert skips == [{"reason": "empty_table", "count": 1, "example": str(tmp_path / "empty.db")}]


def test_a_parquet_file_with_segments_is_refused(tmp_path: Path) -> None:
    write_songs(tmp_path / "songs", [1])
    pq.write_table(SONGS.empty_table(), tmp_path / "songs.parquet")
    ingest(tmp_path / "w", tmp_path / "songs", tmp_path / "songs.parquet")
    (rejected,) = rows(tmp_path / "w", "rejected", "stage=ingest")
    assert rejected["reason"] == "wrong_layout"
    assert "name its song files instead" in rejected["detail"]


@pytest.mark.usefixtures("small_units")
def test_rows_that_are_there_twice_are_skipped(tmp_path: Path) -> None:
    listed = [row_of(number) for number in range(1, 701)]
    write_metadata(tmp_path / "a.csv", [*listed, listed[3], listed[0], listed[650]])
    write_metadata(tmp_path / "b.csv", [row | {"title": "other"} for row in listed[:400]])
    ingest(tmp_path / "w", tmp_path / "b.csv", tmp_path / "a.csv")
    assert counts(tmp_path / "w") == (1103, 700, 0, 0, 403)
    songs = rows(tmp_path / "w", "songs")
    assert {Path(song["source"]).name for song in songs} == {"a.csv"}
    assert [song["member"] for song in songs if song["track_id"] == track(1)] == ["line 2"]
    assert {skip["reason"] for row in rows(tmp_path / "w", "ledger") for skip in row["skips"]} == {"superseded"}


@settings(max_examples=25)
@given(st.data())
def test_a_song_file_wins_whatever_the_order(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Songs and files of metadata are ingested one after the other, alone or together with the earlier ones."""
    folder = tmp_path_factory.mktemp("both")
    of_songs = data.draw(st.sets(st.integers(0, 5), min_size=1))
    of_files = {
        name: data.draw(st.sets(st.integers(0, 7), min_size=1)) for name in data.draw(st.sets(st.sampled_from("am")))
    }
    write_songs(folder / "b", of_songs)
    for name, numbers in of_files.items():
        write_metadata(folder / f"{name}.csv", [row_of(number) for number in sorted(numbers)])
    layers = [[folder / "b"], [folder / f"{name}.csv" for name in of_files]]
    done: list[Path] = []
    for layer in data.draw(st.permutations([layer for layer in layers if layer])):
        ingest(folder / "w", *layer, *(done if data.draw(st.booleans()) else []), inputs_per_unit=2)
        done += layer
    if data.draw(st.booleans()):
        ingest(folder / "w", *data.draw(st.sampled_from([layer for layer in layers if layer])))
    of_metadata = {number for numbers in of_files.values() for number in numbers} - of_songs
    songs = {song["track_id"]: song for song in rows(folder / "w", "songs")}
    assert set(songs) == {track(number) for number in of_songs | of_metadata}
    for number in of_songs:
        assert songs[track(number)]["source"].endswith(".h5")
        assert songs[track(number)]["n_segments"] == number % 7
    for number in of_metadata:
        first = min(name for name, numbers in of_files.items() if number in numbers)
        assert songs[track(number)]["source"] == str(folder / f"{first}.csv")
    n_rows = sum(map(len, of_files.values()))
    assert counts(folder / "w") == (len(of_songs) + n_rows, len(songs), 0, 0, n_rows - len(of_metadata))


def test_metadata_named_again_takes_no_segments_away(tmp_path: Path) -> None:
    path = write_metadata(tmp_path / "a.csv", map(row_of, range(5)))
    write_songs(tmp_path / "b", [1, 2])
    ingest(tmp_path / "w", path)
    ingest(tmp_path / "w", tmp_path / "b")
    before = rows(tmp_path / "w", "songs")
    assert [song["n_segments"] for song in before] == [0, 1, 2, 0, 0]
    write_metadata(path, [row_of(number) | {"title": "changed"} for number in range(6)])
    ingest(tmp_path / "w", path)
    after = rows(tmp_path / "w", "songs")
    assert [song["n_segments"] for song in after] == [0, 1, 2, 0, 0, 0]
    assert [song["title"] for song in after] == ["changed", None, None, "changed", "changed", "changed"]
    assert counts(tmp_path / "w") == (8, 6, 0, 0, 2)


def test_songs_that_are_removed_leave_their_metadata(tmp_path: Path) -> None:
    path = write_metadata(tmp_path / "m.csv", map(row_of, range(4)))
    songs = write_songs(tmp_path / "songs", [1, 2, 3])
    ingest(tmp_path / "w", path, tmp_path / "songs")
    songs[0].unlink()
    alone = ingest(tmp_path / "w", tmp_path / "songs")
    assert alone.facts["tracks without a song file now, until their metadata is named"] == 1
    assert [song["track_id"] for song in rows(tmp_path / "w", "songs")] == [track(0), track(2), track(3)]
    ingest(tmp_path / "w", tmp_path / "songs", path)
    assert [song["n_segments"] for song in rows(tmp_path / "w", "songs")] == [0, 0, 2, 3]
    assert counts(tmp_path / "w") == (6, 4, 0, 0, 2)


def test_only_replace_drops_what_is_not_named(tmp_path: Path) -> None:
    path = write_metadata(tmp_path / "m.csv", map(row_of, range(4)))
    other = write_metadata(tmp_path / "n.csv", map(row_of, range(4, 6)))
    write_songs(tmp_path / "songs", [1])
    ingest(tmp_path / "w", path, tmp_path / "songs")
    with pytest.raises(UserError, match=r"songs/ has 3 songs from .*m.csv, but --songs does not name it"):
        ingest(tmp_path / "w", other)
    ingest(tmp_path / "w", tmp_path / "songs", replace=True)
    assert counts(tmp_path / "w") == (1, 1, 0, 0, 0)


def test_new_songs_do_not_read_metadata_again(tmp_path: Path) -> None:
    path = write_metadata(tmp_path / "m.csv", map(row_of, range(4)))
    write_songs(tmp_path / "songs", [1])
    ingest(tmp_path / "w", path, tmp_path / "songs")
    write_songs(tmp_path / "songs2", [2])
    summary = ingest(tmp_path / "w", path, tmp_path / "songs", tmp_path / "songs2")
    assert summary.facts["units done before"] == 2
    assert counts(tmp_path / "w") == (6, 4, 0, 0, 2)


@pytest.mark.usefixtures("small_units")
@pytest.mark.parametrize("name", ["track_metadata.db", "metadata.csv", "metadata.parquet", "summary.h5"])
def test_a_limit_counts_rows(generated: Path, tmp_path: Path, name: str) -> None:
    ingest(tmp_path, generated / name, limit=310)
    assert [song["track_id"] for song in rows(tmp_path, "songs")] == [track(number) for number in range(310)]


def test_metadata_in_a_bucket(
    store: ObjectStore, generated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in store.environment().items():
        monkeypatch.setenv(name, value)
    store.create("metadata")
    store.put("metadata", {name: (generated / name).read_bytes() for name in FORMATS})
    for name in FORMATS:
        ingest(tmp_path / name, f"s3://metadata/{name}")
        assert counts(tmp_path / name) == (N_SONGS, N_SONGS, 0, 0, 0)
        assert rows(tmp_path / name, "songs")[0]["duration"] == 100.25
