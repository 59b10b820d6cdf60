from __future__ import annotations

import re
from pathlib import Path

import pytest

from msd_spark.core.command_line import main, parse
from msd_spark.core.options import OptionError
from msd_spark.core.runs import METADATA
from msd_spark.core.verbs import VERBS
from msd_spark.core.warehouse import Warehouse
from msd_spark.neighbours.settings import NeighbourSettings

VERB = VERBS["neighbours"]


def test_options_are_parsed() -> None:
    assert parse(NeighbourSettings, [], VERB) == NeighbourSettings()
    words = "--run cnn --exclude same-artist duplicates --no-quality --method exact --k 5"
    assert parse(NeighbourSettings, words.split(), VERB) == NeighbourSettings(
        run="cnn", exclude=("same-artist", "duplicates"), quality=False, method="exact", k=5
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [("--recall 0", "--recall is 0.0; allowed: greater than 0, at most 1"), ("--k 0", "--k is 0; allowed: 1 or more")],
)
def test_invalid_values_are_rejected(words: str, message: str) -> None:
    with pytest.raises(OptionError, match=re.escape(message)):
        parse(NeighbourSettings, words.split(), VERB)
    with pytest.raises(OptionError, match="--metric is 'manhattan'; allowed: cosine, euclidean"):
        NeighbourSettings(metric="manhattan")


def test_missing_input_is_named_before_a_folder_is_created(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    def refusal(*words: str) -> str:
        with pytest.raises(SystemExit, match="2"):
            main(["neighbours", *words])
        return capsys.readouterr().err

    assert "no finished run in" in refusal()
    assert "/factors is missing; run msd-spark factors first" in refusal("--space", "factors")
    assert not list(tmp_path.iterdir())
    Warehouse("warehouse").write_json({}, "models", "cnn", METADATA)
    assert "/embeddings/cnn is missing; run msd-spark score first" in refusal()
