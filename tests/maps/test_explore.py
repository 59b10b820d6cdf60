"""Opening a map in Embedding Atlas, for which a script that records its words stands in."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from msd_spark.core.command_line import run_verb
from msd_spark.core.warehouse import Warehouse
from msd_spark.maps.atlas import ATLAS
from msd_spark.maps.job import run as make_map
from msd_spark.maps.settings import MapSettings
from tests.support.report_run import RUN, write_report_run


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    warehouse = write_report_run(tmp_path_factory.mktemp("explore"), 30)
    make_map(MapSettings(warehouse.root, RUN, sample=20))
    return warehouse


@pytest.fixture
def viewer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that writes its words to a file beside it and ends with the status in another."""
    program = tmp_path / "embedding-atlas"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/words\nexit $(cat {tmp_path}/status)\n')
    program.chmod(0o755)
    (tmp_path / "status").write_text("0")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return program


def test_the_file_has_every_song_and_is_opened(warehouse: Warehouse, viewer: Path, tmp_path: Path) -> None:
    words = ["--warehouse", warehouse.root, "--run", RUN, "--output", str(tmp_path / "to"), "--port", "5060"]
    run_verb("explore", words)
    path, *options = (tmp_path / "words").read_text().splitlines()
    assert options == ["--x", "x", "--y", "y", "--neighbors", "neighbors", "--text", "title", "--port", "5060"]
    table = pq.read_table(path)
    assert table.schema.equals(ATLAS)
    assert table.num_rows == 30
    assert len(table["neighbors"][0].as_py()["ids"]) == 10


def test_a_missing_program_table_or_map_is_named(
    warehouse: Warehouse,
    viewer: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def error(*words: str, at: Warehouse = warehouse) -> str:
        with pytest.raises(SystemExit) as ended:
            run_verb("explore", ["--warehouse", at.root, "--run", RUN, "--output", str(tmp_path / "to"), *words])
        assert ended.value.code == 2
        return capsys.readouterr().err

    (tmp_path / "status").write_text("3")
    assert "embedding-atlas ended with exit status 3" in error()
    unmapped = write_report_run(tmp_path / "unmapped", 30)
    assert "run msd-spark maps" in error(at=unmapped)
    viewer.unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "run uv tool install embedding-atlas" in error()
