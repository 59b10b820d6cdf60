"""Names of runs, datasets and other folders are single path components."""

from __future__ import annotations

from pathlib import Path

import pytest

from msd_spark.core.command_line import main, parse
from msd_spark.core.errors import UserError
from msd_spark.core.options import NAME, PREFIX, Declared, OptionError, declared_options
from msd_spark.core.verbs import VERBS
from msd_spark.core.warehouse import Warehouse
from tests.awkward import POSITIONAL

PATHS = ("../models/demo", "../songs", "a/b", "/etc", ".", "..", "", "_unfinished", ".hidden", "-", "a\0b", "é" * 51)
NAMES = {"run", "genre-run", "dataset", "name", "label-set", "cold"}
NAMED = [
    (verb, declared)
    for verb in VERBS
    for declared in declared_options(VERBS[verb].settings_class())
    if declared.name in NAMES
]


def test_every_verb_with_a_name_is_tested() -> None:
    assert {verb for verb, _ in NAMED} >= {
        "compare", "dataset", "evaluate", "factors", "lineage", "listen", "maps", "neighbours", "pipeline", "report",
        "score", "search", "similar", "train",
    }  # fmt: skip


@pytest.mark.parametrize(("verb", "declared"), NAMED, ids=lambda item: getattr(item, "name", item))
def test_paths_are_refused_as_names(verb: str, declared: Declared) -> None:
    assert declared.option.check in (NAME, PREFIX)
    words = [*POSITIONAL.get(verb, ()), f"--{declared.name}=../models/demo"]
    with pytest.raises(OptionError, match=rf"--{declared.name} is '\.\./models/demo'; allowed: letters"):
        parse(VERBS[verb].settings_class(), words, VERBS[verb])


@pytest.mark.parametrize("name", ["demo", "cnn-20261129-201500", "2019", "Bjørk 2", "a_b.c-d"])
def test_valid_names_are_accepted(name: str) -> None:
    assert NAME.accepts(name)
    assert PREFIX.accepts(name)


@pytest.mark.parametrize("path", PATHS)
def test_paths_are_no_names(path: str) -> None:
    assert not NAME.accepts(path)
    assert not PREFIX.accepts(path)


@pytest.mark.parametrize("name", ["../x=genres.cls", "=genres.cls", "a/b=genres.cls", ".=genres.cls"])
def test_a_path_is_no_name_of_a_label_set(name: str) -> None:
    with pytest.raises(OptionError, match=r"--source is .*; allowed: NAME=FILE"):
        parse(VERBS["labels"].settings_class(), ["--source", name], VERBS["labels"])


@pytest.mark.parametrize("name", ["../songs", "a/b", "", ".", "..", "a\0b"])
def test_warehouse_paths_stay_below_its_root(name: str, tmp_path: Path) -> None:
    warehouse = Warehouse(str(tmp_path / "w"))
    for act in (warehouse.path, warehouse.remove, warehouse.is_complete, warehouse.address):
        with pytest.raises(UserError, match="is not a name of a file or folder"):
            act("models", name)
    with pytest.raises(UserError, match="is not a name"), warehouse.replacing_folder("models", name):
        raise AssertionError("never reached")
    assert not list(tmp_path.iterdir())


def test_a_refused_name_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / "w" / "models" / "demo" / "metadata.json"
    model.parent.mkdir(parents=True)
    model.write_text("{}")
    with pytest.raises(SystemExit, match=r"^2$"):
        main(["score", "--warehouse", str(tmp_path / "w"), "--run", "../models/demo"])
    error = capsys.readouterr().err
    assert error.startswith("score: --run is '../models/demo'; allowed: letters, digits")
    assert error.count("\n") == 1
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [model]
