from __future__ import annotations

import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msd_spark.core.errors import UserError
from msd_spark.core.warehouse import STAGING, Warehouse


def numbers(*values: int) -> pa.Table:
    return pa.table({"number": pa.array(values, pa.int64())})


def read(warehouse: Warehouse, *names: str) -> list[int]:
    return pq.read_table(warehouse.path(*names))["number"].to_pylist()


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(str(tmp_path / "warehouse"))


def test_a_finished_write_replaces_the_table_wholly(warehouse: Warehouse) -> None:
    with warehouse.replacing("models", "a") as staging:
        (Path(staging) / "old").mkdir()
        pq.write_table(numbers(1), f"{staging}/old/part-9.parquet")
    warehouse.write_arrow(numbers(2, 3), "models", "a")
    assert files(Path(warehouse.root)) == ["models", "models/a", "models/a/_SUCCESS", "models/a/part-0.parquet"]
    assert read(warehouse, "models", "a") == [2, 3]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_an_exception_leaves_the_table_as_it_was_and_no_staging(
    warehouse: Warehouse, error: type[BaseException]
) -> None:
    warehouse.write_arrow(numbers(1), "songs")
    before = files(Path(warehouse.root))

    def fail() -> None:
        with warehouse.replacing("songs") as staging:
            pq.write_table(numbers(2), f"{staging}/part-0.parquet")
            raise error

    with pytest.raises(error):
        fail()
    assert files(Path(warehouse.root)) == before
    assert read(warehouse, "songs") == [1]


def test_an_exception_in_the_first_write_leaves_no_table(warehouse: Warehouse) -> None:
    def fail() -> None:
        with warehouse.replacing("songs"):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert files(Path(warehouse.root)) == []
    assert not warehouse.is_complete("songs")


def test_nothing_is_visible_before_the_end(warehouse: Warehouse) -> None:
    warehouse.write_arrow(numbers(1), "songs")
    with warehouse.replacing("songs") as staging:
        pq.write_table(numbers(2), f"{staging}/part-0.parquet")
        assert read(warehouse, "songs") == [1]
        assert Path(staging).is_relative_to(Path(warehouse.root, STAGING))
    assert read(warehouse, "songs") == [2]


def test_two_writers_at_once_do_not_see_each_other_and_the_last_one_stays(warehouse: Warehouse) -> None:
    with warehouse.replacing("songs") as first:
        pq.write_table(numbers(1), f"{first}/part-0.parquet")
        with warehouse.replacing("songs") as second:
            pq.write_table(numbers(2), f"{second}/part-1.parquet")
        assert read(warehouse, "songs") == [2]
    assert files(Path(warehouse.root)) == ["songs", "songs/_SUCCESS", "songs/part-0.parquet"]
    assert read(warehouse, "songs") == [1]


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.booleans()), max_size=8))
def test_a_table_is_always_that_of_its_last_finished_write(writes: list[tuple[str, bool]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        warehouse = Warehouse(folder)
        wanted: dict[str, int] = {}
        for number, (name, finished) in enumerate(writes):
            try:
                with warehouse.replacing("tables", name) as staging:
                    pq.write_table(numbers(number), f"{staging}/part-{number}.parquet")
                    if not finished:
                        raise InterruptedError
            except InterruptedError:
                continue
            wanted[name] = number
        for name in ("a", "b"):
            assert warehouse.is_complete("tables", name) == (name in wanted)
            if name in wanted:
                assert read(warehouse, "tables", name) == [wanted[name]]
        assert not Path(folder, STAGING).exists()


def test_files_that_no_worker_finished_do_not_get_into_the_table(warehouse: Warehouse) -> None:
    with warehouse.replacing("songs") as staging:
        for attempt in (1, 2):
            with warehouse.finished_file(f"{staging}/part-0.parquet") as unfinished:
                pq.write_table(numbers(attempt), unfinished)
                assert Path(unfinished).name.startswith("_")

        def fail() -> None:
            with warehouse.finished_file(f"{staging}/part-1.parquet") as unfinished:
                Path(unfinished).write_bytes(b"half")
                raise RuntimeError

        with pytest.raises(RuntimeError):
            fail()
    assert files(Path(warehouse.root)) == ["songs", "songs/_SUCCESS", "songs/part-0.parquet"]
    assert read(warehouse, "songs") == [2]


def test_a_folder_without_the_marker_is_no_table(warehouse: Warehouse) -> None:
    warehouse.write_arrow(numbers(1), "songs")
    Path(warehouse.path("songs", "_SUCCESS")).unlink()
    assert not warehouse.is_complete("songs")
    assert warehouse.exists("songs", "part-0.parquet")
    assert not warehouse.exists("songs")


@pytest.mark.parametrize("name", ["plain", "a b", "a%20b", "\u00fcn\u00ef"])
def test_folders_of_any_name_hold_a_warehouse(tmp_path: Path, name: str) -> None:
    warehouse = Warehouse(str(tmp_path / name))
    warehouse.write_arrow(numbers(1), "songs")
    assert (tmp_path / name / "songs" / "part-0.parquet").is_file()
    assert warehouse.require("songs") == f"file://{tmp_path}/{name}/songs"


def test_a_path_and_a_file_address_are_one_warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    roots = {
        Warehouse(uri).root for uri in (f"{tmp_path}/w", f"file://{tmp_path}/w", "./w", "w/", f"{tmp_path}/x/../w")
    }
    assert roots == {f"{tmp_path}/w"}


def test_json_comes_back_and_replaces_what_was_there(warehouse: Warehouse) -> None:
    for content in ({"a": [1, 2.5, None]}, {"title": "\u00e9\u2028\U0001f3b5", "n": True}):
        warehouse.write_json(content, "summaries", "x.json")
        assert warehouse.read_json("summaries", "x.json") == content
    assert files(Path(warehouse.root)) == ["summaries", "summaries/x.json"]


def test_files_are_listed_at_any_depth_and_sorted(warehouse: Warehouse) -> None:
    for name in ("b", "a"):
        warehouse.write_arrow(numbers(1), "t", name)
    names = [info.path.removeprefix(warehouse.root) for info in warehouse.list_files(warehouse.path("t"))]
    assert names == ["/t/a/_SUCCESS", "/t/a/part-0.parquet", "/t/b/_SUCCESS", "/t/b/part-0.parquet"]
    assert warehouse.list_files(warehouse.path("nothing")) == []


def test_json_that_cannot_be_written_leaves_nothing(warehouse: Warehouse) -> None:
    with pytest.raises(TypeError):
        warehouse.write_json({"a": {1, 2}}, "summaries", "x.json")
    assert files(Path(warehouse.root)) == []


@pytest.mark.parametrize("name", ["a#b", "a?b"])
def test_a_folder_that_petastorm_cannot_read_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=r".* which Petastorm cannot read"):
        Warehouse(str(tmp_path / name))


def test_an_unknown_scheme_is_refused() -> None:
    with pytest.raises(UserError, match="gopher://x/y cannot be opened"):
        Warehouse("gopher://x/y")


@pytest.mark.parametrize("left", [(), ("part-0.parquet",)])
def test_tables_that_are_not_there_or_not_whole(tmp_path: Path, left: tuple[str, ...]) -> None:
    (tmp_path / "songs").mkdir()
    for name in left:
        (tmp_path / "songs" / name).touch()
    with pytest.raises(UserError) as caught:
        Warehouse(str(tmp_path)).require("songs")
    assert str(caught.value) == f"table {tmp_path}/songs is missing or incomplete; run msd-spark ingest first"


def test_json_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.json"):
        Warehouse(str(tmp_path)).read_json("nowhere.json")


def test_columns_and_rows_of_a_table_are_read(tmp_path: Path) -> None:
    warehouse = Warehouse(str(tmp_path))
    table = pa.table({"number": [1, 2, 3], "name": ["a", "b", "c"]})
    warehouse.write_arrow(table, "songs")
    assert warehouse.read_table(None, "songs").equals(table)
    assert warehouse.read_table(["name"], "songs", filter=pads.field("number") > 1).to_pydict() == {"name": ["b", "c"]}
    files = warehouse.table_files("songs")
    assert files.paths == (f"{tmp_path}/songs/part-0.parquet",)
    assert files.sizes == (Path(files.paths[0]).stat().st_size,)
    assert warehouse.table_files("nowhere").paths == ()


def test_a_partition_in_the_path_of_a_table_adds_no_column(tmp_path: Path) -> None:
    warehouse = Warehouse(str(tmp_path))
    warehouse.write_arrow(numbers(1), "rejected", "stage=ingest")
    assert warehouse.read_table(None, "rejected", "stage=ingest").column_names == ["number"]
