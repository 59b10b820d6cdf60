"""The report as a whole: its options, its files, and errors for missing inputs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from msd_spark.core.command_line import parse, run_verb
from msd_spark.core.errors import UserError
from msd_spark.core.options import OptionError
from msd_spark.core.runs import run_file
from msd_spark.core.verbs import VERBS
from msd_spark.report.data.grid import STEPS
from msd_spark.report.job import make_report
from msd_spark.report.settings import ReportSettings
from tests.support.report_data import current_report, unpacked
from tests.support.report_listens import N_USERS
from tests.support.report_run import RUN, write_report_run


def test_a_bare_command_shows_the_newest_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        run_verb("report", [])
    assert "report: no finished run" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    write_report_run(tmp_path / "warehouse", 30)
    run_verb("report", [])
    assert (tmp_path / "warehouse" / "reports" / RUN / "index.html").exists()
    assert "users with recommendations" in capsys.readouterr().out


@pytest.mark.parametrize("words", [("--most-songs", "0"), ("--heatmaps", "-1"), ("--users", "-1")])
def test_an_invalid_value_is_rejected(words: tuple[str, ...]) -> None:
    with pytest.raises(OptionError, match=f"{words[0]} is {words[1]}; allowed: "):
        parse(ReportSettings, words, VERBS["report"])


def test_options_are_parsed() -> None:
    words = ["--run", "cnn", "--show", "TRA", "TRB", "--heatmaps", "7", "--figures"]
    assert parse(ReportSettings, words, VERBS["report"]) == ReportSettings(
        run="cnn", show=("TRA", "TRB"), heatmaps=7, figures=True
    )


def test_missing_inputs_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse = write_report_run(tmp_path, 30)
    with pytest.raises(UserError, match="no finished run models/other; finished: tiny"):
        make_report(ReportSettings(warehouse.root, "other"))
    with pytest.raises(UserError, match="--show TRX is not in embeddings/tiny"):
        make_report(ReportSettings(warehouse.root, RUN, show=("TRX",)))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("MSD_SPARK_BROWSER", raising=False)
    with pytest.raises(UserError, match="--figures needs a browser"):
        make_report(ReportSettings(warehouse.root, RUN, figures=True))
    warehouse.remove("embeddings")
    with pytest.raises(UserError, match="run msd-spark score first"):
        make_report(ReportSettings(warehouse.root, RUN))
    assert not Path(warehouse.path("reports")).exists()


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_report_is_reproducible_and_needs_only_a_run_and_its_embeddings(tmp_path: Path) -> None:
    warehouse = write_report_run(tmp_path, 30)
    facts = make_report(ReportSettings(warehouse.root, RUN, heatmaps=3, most_songs=10)).facts
    assert facts["users with recommendations"] == N_USERS
    assert (facts["songs"], facts["songs in the report"], facts["songs with chroma and timbre"]) == (30, 10, 3)
    first_folder = current_report(warehouse, RUN)
    first = files(first_folder)
    assert "10 of 30 songs, sampled by genre" in first["index.html"].decode()
    make_report(ReportSettings(warehouse.root, RUN, heatmaps=3, most_songs=10))
    folder = current_report(warehouse, RUN)
    assert files(folder) == first
    assert warehouse.folders("reports", RUN) == [folder.name] != [first_folder.name]
    for table in ("neighbours", "labels", "ledger", "rejected", "dataset", "factors"):
        warehouse.remove(table)
    for name in ("metrics.json", "history.json", "model.keras", "predictions"):
        warehouse.remove(*run_file(warehouse, RUN, name))
    bare = make_report(ReportSettings(warehouse.root, RUN)).facts
    assert bare["sections"] == 0
    folder = current_report(warehouse, RUN)
    html = (folder / "index.html").read_text()
    assert html.count("<li>") == bare["sections without content"] + 1  # and the map in the menu
    assert json.loads((folder / "metrics.json").read_text())["metrics"] == {}


def test_a_map_without_some_songs_is_replaced_by_principal_components(tmp_path: Path) -> None:
    warehouse = write_report_run(tmp_path, 30)
    tracks = pd.Series([f"TR{number:06d}{'A' * 10}" for number in range(30)])
    place = np.arange(30, dtype=np.float32)
    table = pd.DataFrame({"track_id": tracks, "x": place, "y": -place, "fitted": [True] * 20 + [False] * 10})
    warehouse.write_arrow(pa.Table.from_pandas(table[:-2], preserve_index=False), "maps", RUN)
    assert "lacks 2 of the 30 songs" in make_report(ReportSettings(warehouse.root, RUN)).facts["map"]
    warehouse.write_arrow(pa.Table.from_pandas(table, preserve_index=False), "maps", RUN)
    assert "fitted on 20 songs" in make_report(ReportSettings(warehouse.root, RUN)).facts["map"]
    script = (current_report(warehouse, RUN) / "data" / "songs.js").read_text()
    songs = json.loads(script.removeprefix('msd.receive("songs",').removesuffix(");\n"))
    np.testing.assert_allclose(unpacked(songs["y"]) / STEPS * 29, 29 - place, atol=1e-3)
