"""The options of the dataset, and what the command refuses before Spark starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from msd_spark.core.command_line import parse, run_verb
from msd_spark.core.errors import UserError
from msd_spark.core.options import OptionError
from msd_spark.core.schemas import Geometry
from msd_spark.core.verbs import VERBS
from msd_spark.core.warehouse import Warehouse
from msd_spark.dataset.balance import BalanceRule
from msd_spark.dataset.job import check_inputs
from msd_spark.dataset.plan import FileRule
from msd_spark.dataset.settings import DatasetSettings
from msd_spark.dataset.splits import SplitRule
from tests.support.song_tables import song, track, write_labels, write_popularity, write_songs

NAN, INFINITY = float("nan"), float("inf")


def settings_of(*words: str) -> DatasetSettings:
    return parse(DatasetSettings, words, VERBS["dataset"])


def test_a_bare_command_has_the_defaults_of_the_rules() -> None:
    settings = settings_of()
    assert settings == DatasetSettings()
    assert (settings.warehouse, settings.name, settings.label_set) == ("./warehouse", "genre", "cd1")
    assert (settings.split_rule, settings.file_rule, settings.balance_rule) == (SplitRule(), FileRule(), BalanceRule())


def test_options_become_rules() -> None:
    settings = settings_of(
        *["--seed", "7", "--shares", "0.5", "0.25", "0.25", "--split", "track", "--balance", "original"],
        *["--rows-per-file", "9", "--min-files", "2", "--segments", "beats"],
    )
    assert settings.split_rule == SplitRule((0.5, 0.25, 0.25), 7, "track")
    assert settings.file_rule == FileRule(9, 2, 7)
    assert settings.balance_rule == BalanceRule("counts", 4000, 1000, 7)
    assert settings.geometry(300) == Geometry(lyric_size=300, segments="beats")
    assert settings_of("--split-lists", "a", "b", "c").split_rule.by == "lists"


@pytest.mark.parametrize("words", [["--require", "lyrics,genre"], ["--require", "lyrics", "genre"]])
def test_requirements_are_separated_by_commas_or_spaces(words: list[str]) -> None:
    assert settings_of(*words).requirements == ("genre", "lyrics")


@pytest.mark.parametrize(
    ("option", "allowed"),
    [
        ({"name": "a/b"}, "letters, digits"),
        ({"name": ""}, "letters, digits"),
        ({"name": "_x"}, "letters, digits"),
        ({"require": ("lyrics,loudness",)}, "lyrics, genre, tags, listens, factors"),
        ({"tags": -1}, "0 or more"),
        ({"most_popular": 0}, "1 or more"),
        ({"min_examples": -1}, "0 or more"),
        ({"rows_per_file": 0}, "1 to 100000"),
        ({"min_files": 0}, "1 or more"),
        ({"split": "album"}, "artist, track"),
        ({"segments": "last"}, "first, centre, beats"),
        *(
            ({"balance": rule}, "none, original (4000:1000), N:M or sqrt")
            for rule in ("", "0:5", "5:0", "5", "5:5:5", "-1:5", "half", "1.5:2")
        ),
        *(
            ({"shares": shares}, "three fractions that add up to 1")
            for shares in (
                (0.7, 0.1, 0.1),
                (0.7, 0.3),
                (0.5, 0.2, 0.2, 0.1),
                (1.2, -0.1, -0.1),
                (),
                (INFINITY, 0.0, 0.0),
                (NAN, 0.5, 0.5),
                (0.5, 0.5, NAN),
            )
        ),
    ],
)
def test_invalid_values_name_option_value_and_allowed_values(option: dict[str, Any], allowed: str) -> None:
    with pytest.raises(OptionError) as caught:
        DatasetSettings(**option)
    ((name, value),) = option.items()
    assert str(caught.value).startswith(f"--{name.replace('_', '-')} is ")
    assert repr(value[0] if name == "require" else value) in str(caught.value)
    assert str(caught.value).endswith(f"allowed: {allowed}") or name == "name"


def test_means_of_beats_are_not_thousandths() -> None:
    assert [DatasetSettings(segments=mode).stored_chroma for mode in ("first", "beats")] == ["uint16", "float32"]
    with pytest.raises(OptionError, match="--chroma is uint16, which cannot hold the means of --segments beats"):
        DatasetSettings(chroma="uint16", segments="beats")


def test_inputs_are_checked_before_spark_starts(tmp_path: Path) -> None:
    warehouse = Warehouse(str(tmp_path))

    def refusal(**options: Any) -> str:
        with pytest.raises(UserError) as caught:
            check_inputs(warehouse, DatasetSettings(warehouse.root, **options))
        return str(caught.value)

    assert refusal() == f"table {tmp_path}/songs is missing; run msd-spark ingest first"
    write_songs(warehouse, [song(1)])
    assert refusal() == f"table {tmp_path}/labels is missing; run msd-spark labels first"
    assert "run msd-spark lyrics first" in refusal(require=("lyrics",))
    write_popularity(warehouse, [track(1)])
    check_inputs(warehouse, DatasetSettings(warehouse.root))
    write_labels(warehouse, {track(1): "Rap"}, "magd")
    assert refusal() == "labels/ has no label set cd1; choose --label-set from: magd"
    check_inputs(warehouse, DatasetSettings(warehouse.root, label_set="magd"))
    assert "no file nowhere" in refusal(label_set="magd", split_lists=("nowhere", "nowhere", "nowhere"))


def test_a_bare_command_without_tables_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("msd_spark.dataset.job.start_spark", lambda name: pytest.fail("Spark was started"))
    with pytest.raises(SystemExit) as caught:
        run_verb("dataset", [])
    assert caught.value.code == 2
    assert capsys.readouterr().err == (
        f"dataset: table {tmp_path}/warehouse/songs is missing; run msd-spark ingest first\n"
    )
    assert not list(tmp_path.iterdir())
