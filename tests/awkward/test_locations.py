"""Locations of files and of the warehouse, as they are typed."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from msd_spark.core.command_line import main, parse
from msd_spark.core.errors import UserError
from msd_spark.core.filesystems import open_location
from msd_spark.core.options import Declared, OptionError, declared_options
from msd_spark.core.verbs import VERBS
from msd_spark.core.warehouse import Warehouse
from tests.awkward import POSITIONAL

PLACES = [
    (verb, declared)
    for verb in VERBS
    for declared in declared_options(VERBS[verb].settings_class())
    if declared.option.metavar in ("URI", "DIR", "FILE", "LOCATION") and not declared.option.positional
]


@pytest.mark.parametrize(("verb", "declared"), PLACES, ids=lambda item: getattr(item, "name", item))
def test_an_unset_shell_variable_is_refused(verb: str, declared: Declared) -> None:
    with pytest.raises(OptionError, match=f"--{declared.name} is empty; give a "):
        parse(VERBS[verb].settings_class(), [*POSITIONAL.get(verb, ()), f"--{declared.name}="], VERBS[verb])


def test_an_unset_warehouse_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=r"^2$"):
        main(["ingest", "--songs", ".", "--warehouse", ""])
    assert capsys.readouterr().err == "ingest: --warehouse is empty; give a value, or leave the option out\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("prefix", ["", "file:", "file://"])
def test_a_file_address_is_a_path(prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    warehouse = Warehouse(f"{prefix}{tmp_path}/w")
    assert warehouse.is_local
    warehouse.write_arrow(pa.table({"number": [1, 2]}), "numbers")
    assert Warehouse(str(tmp_path / "w")).read_table(None, "numbers")["number"].to_pylist() == [1, 2]
    assert [path.name for path in tmp_path.iterdir()] == ["w"]


@pytest.mark.parametrize("location", ["", "file:", "file://", "file:///", "file://warehouse", "file:w", "file:////"])
def test_an_address_without_a_path_is_refused(location: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="has no path; write /PATH or file:///PATH"):
        Warehouse(location)
    assert not list(tmp_path.iterdir())


def test_localhost_is_this_machine() -> None:
    assert open_location("file://localhost/a")[1] == "/a"


@pytest.mark.parametrize("scheme", ["s3a", "s3n"])
def test_other_names_of_s3_are_corrected(scheme: str) -> None:
    with pytest.raises(
        UserError, match=f"{scheme}://bucket/w cannot be opened: {scheme} is a name of Hadoop's; use s3://bucket/w"
    ):
        open_location(f"{scheme}://bucket/w")


@pytest.mark.parametrize("name", ["a [1]", "a{1}", "a*", "a?1", "[ab]", "%41"])
def test_glob_characters_in_a_warehouse_path_are_literal(name: str, tmp_path: Path) -> None:
    if name in ("a?1", "%41"):
        with pytest.raises(UserError, match="choose another folder"):
            Warehouse(str(tmp_path / name))
        return
    (tmp_path / "a1").mkdir()
    warehouse = Warehouse(str(tmp_path / name))
    warehouse.write_arrow(pa.table({"number": [3]}), "numbers")
    warehouse.write_json({"number": 3}, "numbers.json")
    warehouse = Warehouse(str(tmp_path / name))
    assert warehouse.read_table(None, "numbers")["number"].to_pylist() == [3]
    assert warehouse.read_json("numbers.json") == {"number": 3}
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["a1", name])
    assert not list((tmp_path / "a1").iterdir())


@pytest.mark.parametrize("words", [("synthetic", "--songs", "1", "--output"), ("fetch", "subset", "--to")])
def test_no_folder_named_like_home_is_made(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=r"^2$"):
        main([*words, "~/x"])
    assert "begins with ~" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
