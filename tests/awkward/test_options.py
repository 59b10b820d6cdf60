"""Every option of every verb is exercised by a test or a documented command, and does what its help says."""

from __future__ import annotations

import importlib
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import optuna
import pandas as pd
import pytest
from scipy import sparse

from msd_spark.core.bootstrap import Bootstrap
from msd_spark.core.command_line import parse, run_verb
from msd_spark.core.options import Declared, OptionError, Settings, declared_options
from msd_spark.core.provenance import versions_to_keep
from msd_spark.core.verbs import VERBS
from msd_spark.core.warehouse import Warehouse
from msd_spark.factors.evaluation import baseline_makers
from msd_spark.labels.settings import UNION
from tests.conftest import REPOSITORY
from tests.support.embedded_songs import write_embedded_songs
from training.data.targets.genre import Genre
from training.evaluation.deciding import cost_of_epoch
from training.ranks.ranks import Ranks
from training.searching.study import Study
from training.searching.trials import run_trials

VERBS_WITH_VERSIONS = ("ingest", "lyrics", "labels", "plays", "factors", "dataset", "score", "neighbours", "maps")


def parsed(verb: str, *words: str) -> Any:
    return parse(VERBS[verb].settings_class(), words, VERBS[verb])


# ---- all options ------------------------------------------------------------------------------------------------


def owner(settings: type[Any], option: Declared) -> type[Any]:
    """Return the class that declares an option; verbs share the options of a class."""
    for name in option.path[:-1]:
        settings = get_type_hints(settings)[name]
    return next(base for base in reversed(settings.__mro__) if option.path[-1] in vars(base).get("__annotations__", {}))


def every_option() -> dict[tuple[type[Any], str], tuple[Declared, dict[str, type[Settings]]]]:
    """Return each declaration once, with the verbs that have it and their settings."""
    options: dict[tuple[type[Any], str], tuple[Declared, dict[str, type[Settings]]]] = {}
    for verb in VERBS.values():
        settings = verb.settings_class()
        for option in declared_options(settings):
            options.setdefault((owner(settings, option), option.path[-1]), (option, {}))[1][verb.name] = settings
    return options


COMMAND = re.compile(rf"\b(?:msd-spark |jobs/|training/)({'|'.join(VERBS)})(?:\.py)?\b(.*)")


def documented() -> set[tuple[str, str]]:
    """Return pairs of verb and option of the commands in README and docs, without the generated reference.

    A positional value has the option ``--``.
    """
    pages = [REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md")]
    texts = (path.read_text().replace("\\\n", " ") for path in pages if "reference" not in path.parts)
    pairs = set()
    for verb, rest in (match for text in texts for match in COMMAND.findall(text)):
        pairs |= {(verb, name) for name in re.findall(r"--[a-z][\w-]*", rest)}
        pairs |= {(verb, "--")} if re.match(r" +[^-\s]", rest) else set()
    return pairs


def named_in_tests() -> list[set[str]]:
    """Return the options (``--name`` and ``field=``), verbs and classes that each test file names."""
    texts = [path.read_text() for path in (REPOSITORY / "tests").rglob("*.py")]
    return [set(re.findall(r'--[a-z][\w-]*|\b\w+=|"[a-z]+"|/[a-z]+\.py|\b[A-Z]\w+', text)) for text in texts]


def unused_options(commands: set[tuple[str, str]], tests: list[set[str]]) -> Iterator[str]:
    """Yield the options that no command of their verbs has, and no test of their verbs or settings."""
    for (declaring, field), (option, verbs) in every_option().items():
        typed = "--" if option.option.positional else f"--{option.name}"
        words = {f"--{option.name}", f"--no-{option.name}", f"{field}="}
        subjects = {declaring.__name__, *(settings.__name__ for settings in verbs.values())}
        subjects |= {name for verb in verbs for name in (f'"{verb}"', f"/{verb}.py")}
        if not any((verb, typed) in commands for verb in verbs) and not any(
            names & words and names & subjects for names in tests
        ):
            yield f"--{option.name} of {', '.join(verbs)}"


def test_every_option_is_in_a_test_or_a_documented_command() -> None:
    assert len(every_option()) > 200
    assert list(unused_options(documented(), named_in_tests())) == []
    assert len(list(unused_options(set(), []))) == len(every_option())


# ---- single options ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", VERBS_WITH_VERSIONS)
def test_tables_are_written_with_the_versions_to_keep(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = []
    module, name = VERBS[verb].run.split(":")
    monkeypatch.setattr(importlib.import_module(module), name, lambda _: versions.append(versions_to_keep()))
    for words in ([], ["--keep-versions", "3"]):
        run_verb(verb, ["--warehouse", str(tmp_path), *words])
    assert versions == [0, 3]


def test_every_verb_that_keeps_versions_is_tested() -> None:
    assert {verb for verb in VERBS if "keep_versions" in get_type_hints(VERBS[verb].settings_class())} == {
        *VERBS_WITH_VERSIONS
    }


@pytest.mark.parametrize("option", ["--cd2c", "--topmagd", "--masd"])
def test_each_label_file_is_a_label_set_and_part_of_the_union(option: str, tmp_path: Path) -> None:
    file = tmp_path / "labels.cls"
    file.write_text("".join(f"TR{number:016}\tJazz\n" for number in range(3)))
    run_verb("labels", [option, str(file), "--min-examples", "1", "--warehouse", str(tmp_path / "w")])
    labels = pd.DataFrame(Warehouse(str(tmp_path / "w")).read_table(None, "labels").to_pylist())
    assert labels.groupby("label_set").size().to_dict() == {option.removeprefix("--"): 3, UNION: 3}


PLAYS = sparse.csr_matrix(np.array([[1, 1, 0], [0, 1, 1], [1, 1, 1]], np.float32))


def test_baselines_of_factors_can_be_left_out() -> None:
    assert list(baseline_makers(PLAYS, parsed("factors").baselines, 0)) == ["random", "popularity", "item-kNN", "EASE"]
    few = parsed("factors", "--no-item-knn", "--no-ease").baselines
    assert list(baseline_makers(PLAYS, few, 0)) == ["random", "popularity"]


def test_baselines_of_factors_have_their_parameters() -> None:
    def scores(name: str, *words: str) -> np.ndarray:
        makers = baseline_makers(PLAYS, parsed("factors", *words).baselines, 0)
        return makers[name]()(PLAYS[:1])

    # Tracks 0 and 1 share two of 2 and 3 listeners.
    assert scores("item-kNN", "--shrinkage", "0")[0, 0] == pytest.approx(2 / np.sqrt(6))
    assert scores("item-kNN", "--shrinkage", "8")[0, 0] == pytest.approx(2 / (np.sqrt(6) + 8))
    strong, weak = (np.abs(scores("EASE", "--ease-regularisation", text)).sum() for text in ("1000", "1"))
    assert strong < 0.1 * weak


def test_songs_of_a_playlist_have_the_location_of_the_pattern(tmp_path: Path) -> None:
    warehouse, file = write_embedded_songs(tmp_path / "w", 60), tmp_path / "list.m3u"
    song = str(warehouse.read_table(["track_id"], "songs")["track_id"][3])
    words = ["--warehouse", warehouse.root, "--run", "tiny", "--playlist", "3", "--m3u", str(file)]
    run_verb("similar", [song, *words, "--location", "/music/{track_id}.flac"])
    locations = [line for line in file.read_text().splitlines() if not line.startswith("#")]
    assert locations[0] == f"/music/{song}.flac"
    assert all(re.fullmatch(r"/music/TR\w+\.flac", location) for location in locations)


def test_the_best_epoch_is_that_of_the_lowest_loss_or_the_highest_metric() -> None:
    history = [
        {"epoch": 1, "validation_loss": 0.5, "validation_macro_f1": 0.25},
        {"epoch": 2, "validation_loss": 0.75, "validation_macro_f1": 0.5},
    ]
    best = {
        by: min(history, key=lambda row: cost_of_epoch(row, Genre, by))["epoch"]
        for by in (parsed("train", *words).training_settings().best_by for words in (["--model", "cnn"], []))
    }
    assert best == {"metric": 2, "loss": 1}


def test_the_seed_of_an_evaluation_changes_its_resamples() -> None:
    first, second = (next(Bootstrap(seed=parsed("evaluate", *words).seed).draws(20)) for words in ([], ["--seed", "1"]))
    assert not np.array_equal(first, second)


def test_a_comparison_is_evaluated_on_validation_or_test() -> None:
    assert [parsed("compare", "--split", split).split for split in ("validation", "test")] == ["validation", "test"]
    with pytest.raises(OptionError, match="--split"):
        parsed("compare", "--split", "train")


@pytest.mark.parametrize(("words", "pruner"), [([], "MedianPruner"), (["--no-pruning"], "NopPruner")])
def test_a_study_is_in_its_file_and_prunes_on_request(words: list[str], pruner: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.db"
    options = parsed("search", "--study", str(file), *words)
    study = Study.open(options.study, options, {})
    assert file.is_file()
    assert type(study.optuna.pruner).__name__ == pruner
    assert optuna.get_all_study_names(f"sqlite:///{file}") == [options.study_name]


def test_no_trial_starts_after_the_timeout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ranks, "agree_on", lambda _, value: value)  # one rank agrees with itself
    options = parsed("search", "--study", str(tmp_path / "study.db"), "--timeout", "0", "--trials", "3")
    study = Study.open(options.study, options, {})
    started = time.monotonic()
    no_dataset: Any = None  # a trial would need one
    run_trials(study, no_dataset, options, Ranks(0, 1))
    assert not study.done
    assert time.monotonic() - started < 60


def test_a_map_is_fitted_with_the_given_threads() -> None:
    assert parsed("maps", "--threads", "3").threads == 3
    with pytest.raises(OptionError, match="--threads is 0; allowed: 1 to 1024"):
        parsed("maps", "--threads", "0")
