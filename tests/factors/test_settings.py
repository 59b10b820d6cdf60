from __future__ import annotations

import re
from pathlib import Path

import pytest

from msd_spark.core.command_line import main, parse
from msd_spark.core.options import OptionError
from msd_spark.core.verbs import VERBS
from msd_spark.factors.settings import AlsParameters, BaselineSettings, ColdSettings, FactorSettings

VERB = VERBS["factors"]


def test_bare_command_has_the_defaults() -> None:
    assert parse(FactorSettings, [], VERB) == FactorSettings()
    assert FactorSettings().warehouse == "./warehouse"


def test_every_group_of_options_is_parsed() -> None:
    words = "--rank 16 --no-ease --neighbours 20 --cold base --recommend 50 --genre-run cnn --refit --held-out 0"
    assert parse(FactorSettings, words.split(), VERB) == FactorSettings(
        als=AlsParameters(rank=16),
        baselines=BaselineSettings(ease=False, neighbours=20),
        cold_dataset="base",
        cold=ColdSettings(genre_run="cnn"),
        recommendations=50,
        refit=True,
        held_out=0.0,
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--rank 0", "--rank is 0; allowed: 1 or more"),
        ("--alpha nan", "--alpha is nan; allowed: finite numbers greater than 0"),
        ("--iterations 51", "--iterations is 51; allowed: 1 to 50"),
        ("--held-out 0.5", "--held-out is 0.5; allowed: 0 to 0.4"),
        ("--held-out 0 --search 3", "--search needs held-out users; set --held-out above 0"),
        ("--min-tracks 0", "--min-tracks is 0; allowed: 1 or more"),
        ("--users 0", "--users is 0; allowed: 1 or more"),
    ],
)
def test_invalid_values_are_rejected(words: str, message: str) -> None:
    with pytest.raises(OptionError, match=re.escape(message)):
        parse(FactorSettings, words.split(), VERB)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "/plays is missing; run msd-spark plays first"),
        (["--evaluate-cold"], "/factors is missing; run msd-spark factors first"),
    ],
)
def test_missing_input_is_named_before_a_folder_is_created(
    words: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        main(["factors", *words])
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
