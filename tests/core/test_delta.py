"""Versions of a table: one commit or none, and nothing left behind."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msd_spark.core.delta import LOG, TOKEN, ConflictError, DataFile, DeltaFolder, Destination, fingerprint, token_of
from msd_spark.core.provenance import running
from msd_spark.core.warehouse import Warehouse

SCHEMA = pa.schema([pa.field("number", pa.int64(), nullable=False)])


def numbers(*values: int) -> pa.Table:
    return pa.table({"number": pa.array(values, pa.int64())}, schema=SCHEMA)


@pytest.fixture
def table(tmp_path: Path) -> DeltaFolder:
    return Warehouse(str(tmp_path)).table("songs")


def write(table: DeltaFolder, *values: int, keep_versions: int = 0) -> None:
    with running("test", [], keep_versions), table.overwriting(SCHEMA) as writer:
        for value in values:
            writer.write(numbers(value))


def read(table: DeltaFolder) -> list[int]:
    """Return the rows as a reader that knows nothing of Delta sees them."""
    return sorted(pd.read_parquet(table.path)["number"])


def names(table: DeltaFolder) -> set[str]:
    """Return the files of the table's folder, without its log."""
    return {path.name for path in Path(table.path).iterdir() if path.name != LOG}


def test_a_table_has_the_rows_of_its_last_write(table: DeltaFolder) -> None:
    assert table.snapshot() is None
    assert not table.exists()
    write(table, 1)
    write(table, 2, 3)
    snapshot = table.snapshot()
    assert snapshot is not None
    assert read(table) == [2, 3]
    assert names(table) == {file.name for file in snapshot.files}
    assert [(file.rows, file.size) for file in snapshot.files] == [
        (1, Path(table.path, file.name).stat().st_size) for file in snapshot.files
    ]
    assert snapshot.schema.equals(SCHEMA)


def test_a_table_without_rows_has_a_schema(table: DeltaFolder) -> None:
    write(table)
    assert read(table) == []
    assert list(pd.read_parquet(table.path).columns) == ["number"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_an_exception_leaves_the_table_as_it_was(table: DeltaFolder, error: type[BaseException]) -> None:
    write(table, 1)
    before = names(table)

    def fail() -> None:
        with table.overwriting(SCHEMA) as writer:
            writer.write(numbers(2))
            Destination(table.uri, writer.destination.token).write(7, numbers(3))  # a worker's file, not yet added
            writer.write_json({}, "_search.json")
            raise error

    with pytest.raises(error):
        fail()
    assert names(table) == before
    assert read(table) == [1]


def test_an_exception_in_the_first_write_leaves_nothing(table: DeltaFolder) -> None:
    def fail() -> None:
        with table.overwriting(SCHEMA) as writer:
            writer.write(numbers(2))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert not Path(table.path).exists()


def test_the_second_of_two_writers_is_refused(table: DeltaFolder) -> None:
    for _ in range(2):  # a new table, and one that exists

        def write_within(value: int) -> None:
            with table.overwriting(SCHEMA) as writer:
                writer.write(numbers(value))
                write(table, value + 1)

        with pytest.raises(ConflictError, match=r"another job changed table .*songs meanwhile; run the same command"):
            write_within(1)
        assert read(table) == [2]
        assert len(names(table)) == 1


def test_the_second_of_two_writers_that_keep_files_is_refused(table: DeltaFolder) -> None:
    write(table, 0)

    def append(value: int, meanwhile: int | None = None) -> None:
        base = table.snapshot()
        with table.overwriting(SCHEMA, base=base) as writer:
            writer.kept = list(base.files) if base else []
            writer.write(numbers(value))
            if meanwhile is not None:
                append(meanwhile)

    with pytest.raises(ConflictError, match="another job changed table"):
        append(1, meanwhile=2)
    assert read(table) == [0, 2]


def test_a_fingerprint_is_of_names_sizes_and_rows_but_not_of_attempts() -> None:
    files = [
        DataFile("train/part-00000-0123456789abcdef.parquet", 10, 2),
        DataFile("part-00001-0123456789abcdef.parquet", 20, 3),
    ]
    again = [
        DataFile("part-00001-ffffffffffffffff.parquet", 20, 3),
        DataFile("train/part-00000-fedcba9876543210.parquet", 10, 2),
    ]
    assert fingerprint(files) == fingerprint(again)
    for change in ({"size": 11}, {"rows": 1}, {"name": "train/part-00007-0123456789abcdef.parquet"}):
        assert fingerprint([replace(files[0], **change), files[1]]) != fingerprint(files)


def test_files_of_a_killed_job_are_deleted_by_the_next(table: DeltaFolder) -> None:
    Path(table.path).mkdir()
    Path(table.path, "part-00000-0123456789abcdef.parquet").write_bytes(b"half")
    Path(table.path, "_01234567-scratch").mkdir()
    Path(table.path, "_01234567_search.json").write_text("{}")
    write(table, 1)
    write(table, 2)
    snapshot = table.snapshot()
    assert snapshot is not None
    assert names(table) == {snapshot.files[0].name}


def test_older_versions_are_kept_on_request(table: DeltaFolder) -> None:
    for value in range(4):
        write(table, value, keep_versions=1)
    assert read(table) == [2, 3]  # a plain reader sees both versions, as the documentation says
    snapshot = table.snapshot()
    assert snapshot is not None
    assert [file.rows for file in snapshot.files] == [1]
    write(table, 9)
    assert read(table) == [9]


def test_side_files_belong_to_a_version(tmp_path: Path) -> None:
    warehouse = Warehouse(str(tmp_path))
    for value in (1, 2):
        with warehouse.overwriting(SCHEMA, "neighbours", "run") as writer:
            writer.write(numbers(value))
            writer.write_json({"k": value}, "_search.json")
    assert warehouse.read_json("neighbours", "run", "_search.json") == {"k": 2}
    assert warehouse.exists("neighbours", "run", "_search.json")
    assert not warehouse.exists("neighbours", "run", "_quality.json")
    assert len(names(warehouse.table("neighbours", "run"))) == 2
    with pytest.raises(FileNotFoundError, match=r"_quality\.json"):
        warehouse.read_json("neighbours", "run", "_quality.json")


def test_kept_files_stay_and_others_go_in_one_commit(table: DeltaFolder) -> None:
    write(table, 1, 2)
    before = table.snapshot()
    assert before is not None
    with table.overwriting(SCHEMA) as writer:
        writer.kept = [before.files[0]]
        writer.write(numbers(3))
    after = table.snapshot()
    assert after is not None
    assert before.files[0] in after.files
    assert before.files[1] not in after.files
    assert len(after.files) == len(names(table)) == 2


def test_the_history_says_who_wrote_a_file(table: DeltaFolder) -> None:
    for number in (1, 2):
        with running("labels", ["--min-examples", str(number)]):
            base = table.snapshot()
            with table.overwriting(SCHEMA) as writer:
                writer.kept = list(base.files) if base else []
                writer.write(numbers(number))
    snapshot = table.snapshot()
    assert snapshot is not None
    notes = sorted((snapshot.notes_with(TOKEN, token_of(file.name)) for file in snapshot.files), key=json.dumps)
    assert [(note["job"], note["arguments"]) for note in notes] == [
        ("labels", ["--min-examples", "1"]),
        ("labels", ["--min-examples", "2"]),
    ]
    assert snapshot.notes["arguments"] == ["--min-examples", "2"]


def test_a_partition_is_in_the_log_and_not_in_the_files(table: DeltaFolder) -> None:
    with table.overwriting(SCHEMA, partition_by="split") as writer:
        for split in ("train", "test"):
            writer.add([writer.destination.write(0, numbers(len(split)), split)])
    assert list(pd.read_parquet(f"{table.path}/train")["number"]) == [5]
    snapshot = table.snapshot()
    assert snapshot is not None
    assert snapshot.schema.names == ["number", "split"]


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=8))
def test_a_table_is_always_that_of_its_last_finished_write(writes: list[tuple[int, bool]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        table, wanted = Warehouse(folder).table("t"), None
        for n_files, finished in writes:
            try:
                with table.overwriting(SCHEMA) as writer:
                    for value in range(n_files):
                        writer.write(numbers(value))
                    if not finished:
                        raise InterruptedError
            except InterruptedError:
                continue
            wanted = list(range(n_files))
        assert table.exists() == (wanted is not None)
        if wanted is not None:
            assert read(table) == wanted
            assert len(names(table)) == max(1, len(wanted))


def test_a_file_that_is_not_added_is_in_no_version(table: DeltaFolder) -> None:
    with table.overwriting(SCHEMA) as writer:
        first = writer.destination.write(0, numbers(1))
        second = writer.destination.write(0, numbers(1))  # another attempt of the same task
        assert isinstance(first, DataFile)
        assert first.name != second.name
        writer.add([second])
    assert names(table) == {second.name}
