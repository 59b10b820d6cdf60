from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest

from msd_spark.core.errors import UserError
from msd_spark.core.warehouse import Warehouse


def numbers(*values: int) -> pa.Table:
    return pa.table({"number": pa.array(values, pa.int64())})


def read(warehouse: Warehouse, *names: str) -> list[int]:
    return pq.read_table(warehouse.path(*names))["number"].to_pylist()


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(str(tmp_path / "warehouse"))


def put(path: str, text: str) -> None:
    Path(path).write_text(text)


def test_a_folder_is_replaced_when_its_pointer_is_written(warehouse: Warehouse) -> None:
    for content in ("old", "new"):
        with warehouse.replacing_folder("models", "a") as folder:
            put(f"{folder.path}/model", content)
            folder.point_by_json("metadata.json", {"model": content})
    metadata = warehouse.read_json("models", "a", "metadata.json")
    assert metadata["model"] == "new"
    assert Path(warehouse.path("models", "a", metadata["folder"], "model")).read_text() == "new"
    assert files(Path(warehouse.root, "models", "a")) == sorted(
        ["metadata.json", metadata["folder"], f"{metadata['folder']}/model"]
    )


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_an_exception_leaves_a_folder_as_it_was(warehouse: Warehouse, error: type[BaseException]) -> None:
    with warehouse.replacing_folder("models", "a") as folder:
        folder.point_by_json("metadata.json", {})
    before = files(Path(warehouse.root))

    def fail() -> None:
        with warehouse.replacing_folder("models", "a") as folder:
            put(f"{folder.path}/model", "half")
            raise error

    with pytest.raises(error):
        fail()
    assert files(Path(warehouse.root)) == before


def test_an_unfinished_training_goes_when_the_run_is_finished(warehouse: Warehouse) -> None:
    warehouse.write_file(b"", "models", "a", "_unfinished", "checkpoints", "last.npz")
    with warehouse.replacing_folder("models", "a") as folder:
        folder.point_by_json("metadata.json", {})
    assert warehouse.folders("models", "a") == [folder.names[-1]]


@pytest.mark.parametrize("name", ["plain", "a b", "a%b", "\u00fcn\u00ef"])
def test_folders_of_any_name_hold_a_warehouse(tmp_path: Path, name: str) -> None:
    warehouse = Warehouse(str(tmp_path / name))
    warehouse.write_arrow(numbers(1), "songs")
    assert read(warehouse, "songs") == [1]
    assert warehouse.address("songs") == f"file://{tmp_path}/{name}/songs"
    assert warehouse.read_table(None, "songs")["number"].to_pylist() == [1]


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
        for file in ("y", "x"):
            warehouse.write_file(b"", "t", name, file)
    names = [info.path.removeprefix(warehouse.root) for info in warehouse.list_files(warehouse.path("t"))]
    assert names == ["/t/a/x", "/t/a/y", "/t/b/x", "/t/b/y"]
    assert warehouse.list_files(warehouse.path("nothing")) == []


def test_json_that_cannot_be_written_leaves_nothing(warehouse: Warehouse) -> None:
    with pytest.raises(TypeError):
        warehouse.write_json({"a": {1, 2}}, "summaries", "x.json")
    assert files(Path(warehouse.root)) == []


@pytest.mark.parametrize("name", ["a#b", "a?b"])
def test_a_folder_that_petastorm_cannot_read_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="which Petastorm or Delta misreads"):
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
    assert str(caught.value) == f"table {tmp_path}/songs is missing; run msd-spark ingest first"


def test_json_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.json"):
        Warehouse(str(tmp_path)).read_json("nowhere.json")


def test_columns_and_rows_of_a_table_are_read(tmp_path: Path) -> None:
    warehouse = Warehouse(str(tmp_path))
    table = pa.table({"number": [1, 2, 3], "name": ["a", "b", "c"]})
    warehouse.write_arrow(table, "songs")
    assert warehouse.read_table(None, "songs").equals(table)
    assert warehouse.read_table(["name"], "songs", filter=pads.field("number") > 1).to_pydict() == {"name": ["b", "c"]}
    (path,), (file,) = warehouse.paths("songs"), warehouse.snapshot("songs").files
    assert Path(path) == tmp_path / "songs" / file.name
    assert (file.size, file.rows) == (Path(path).stat().st_size, 3)


def test_a_reader_whose_files_vanish_opens_the_table_again(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse.write_arrow(numbers(1), "songs")
    stale = warehouse.open_table("songs")
    warehouse.write_arrow(numbers(2), "songs")
    opened = [stale, warehouse.open_table("songs")]
    monkeypatch.setattr(warehouse, "open_table", lambda *names: opened.pop(0))
    assert warehouse.read_table(None, "songs")["number"].to_pylist() == [2]
    assert not opened


def test_a_fingerprint_is_of_the_content_and_not_of_the_attempt(warehouse: Warehouse) -> None:
    seen = []
    for values in ((1, 2), (1, 2), (1, 2, 3)):
        warehouse.write_arrow(numbers(*values), "songs")
        seen.append(warehouse.fingerprints(["songs"])["songs"]["fingerprint"])
    assert seen[0] == seen[1] != seen[2]


def test_a_partition_in_the_path_of_a_table_adds_no_column(tmp_path: Path) -> None:
    warehouse = Warehouse(str(tmp_path))
    warehouse.write_arrow(numbers(1), "rejected", "stage=ingest")
    assert warehouse.read_table(None, "rejected", "stage=ingest").column_names == ["number"]
