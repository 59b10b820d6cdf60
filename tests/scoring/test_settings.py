"""The options of score and lineage, and what they refuse before Spark starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from msd_spark.core.command_line import parse, run_verb
from msd_spark.core.options import OptionError
from msd_spark.core.verbs import VERBS
from msd_spark.core.warehouse import Warehouse
from msd_spark.scoring.settings import LineageSettings, ScoreSettings
from tests.support.scoring_songs import write_songs


def test_a_bare_command_has_the_defaults() -> None:
    assert parse(ScoreSettings, [], VERBS["score"]) == ScoreSettings()
    settings = parse(ScoreSettings, ["--songs", "a.h5", "b.h5", "--nearest", "0", "--output", "x"], VERBS["score"])
    assert settings == ScoreSettings(songs=("a.h5", "b.h5"), nearest=0, output="x")
    assert parse(LineageSettings, ["TR1", "--json"], VERBS["lineage"]) == LineageSettings("TR1", json=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "--batch-size is 0; allowed: 1 to 65536"),
        ({"threads": 0}, "--threads is 0; allowed: 1 to 1024"),
        ({"songs": ("a.h5",), "nearest": -1}, "--nearest is -1; allowed: 0 or more"),
        ({"nearest": 3}, "--nearest is 3; allowed: only with --songs"),
        ({"output": "x"}, "--output is 'x'; allowed: only with --songs"),
    ],
)
def test_invalid_values_name_option_value_and_allowed_values(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        ScoreSettings(**options)


def test_missing_inputs_are_named_before_spark_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("msd_spark.scoring.job.start_spark", lambda name: pytest.fail("Spark was started"))

    def refusal(verb: str, *words: str) -> str:
        with pytest.raises(SystemExit) as caught:
            run_verb(verb, list(words))
        assert caught.value.code == 2
        return capsys.readouterr().err

    folder = tmp_path / "warehouse"
    assert refusal("score") == f"score: table {folder}/songs is missing; run msd-spark ingest first\n"
    no_run = f"no finished run in {folder}/models; run msd-spark train first\n"
    assert refusal("score", "--songs", "a.h5") == f"score: {no_run}"
    assert refusal("lineage", "TR1") == f"lineage: {no_run}"
    assert not list(tmp_path.iterdir())
    write_songs(Warehouse(str(folder)), [range(2)])
    assert refusal("score") == f"score: {no_run}"
