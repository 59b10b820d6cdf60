from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from msd_spark.core.command_line import main, overview, parse, reported, words_of
from msd_spark.core.errors import UserError
from msd_spark.core.options import OptionError, Settings, above, at_least, nested, option
from msd_spark.core.verbs import VERBS, Verb


@dataclass(frozen=True)
class Model(Settings):
    depth: int = option(3, "number of layers", check=at_least(1))
    activation: str = option("relu", "activation function", choices=("relu", "tanh"))


@dataclass(frozen=True)
class Demo(Settings):
    """Settings of the tests."""

    song: str = option("", "song to look up", positional=True)
    learning_rate: float = option(0.1, "step of the optimizer", name="rate", check=above(0))
    run: str | None = option(None, "run to load", metavar="NAME")
    seeds: tuple[int, ...] = option((1, 2), "random seeds", check=at_least(0))
    shares: tuple[float, float, float] | None = option(None, "shares of the splits")
    exclude: tuple[str, ...] = option((), "songs to leave out", choices=("self", "artist"))
    space: tuple[str, ...] = option((), "range to search", metavar="NAME=VALUES", repeat=True)
    cache: bool = option(True, "keep the data in memory")
    replace: bool = option(False, "replace the table")
    preset: str = option("plain", "set of defaults", choices=("plain", "deep"), presets={"deep": {"depth": 9}})
    model: Model = nested(Model())


VERB = Verb("demo", "run the demonstration", "x:y", "x:y")


def parsed(*words: str) -> Demo:
    return parse(Demo, words, VERB)


def settings_file(folder: Path, text: str) -> str:
    path = folder / "settings.toml"
    path.write_text(text)
    return str(path)


def test_every_verb_is_listed_on_one_screen() -> None:
    lines = overview().splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80
    assert all(any(line.startswith(f"  {name} ") for line in lines) for name in VERBS)


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_the_command_alone_prints_the_verbs(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    main(words)
    assert capsys.readouterr().out == overview() + "\n"


@pytest.mark.parametrize(
    ("verb", "message"),
    [
        ("ingset", "no verb 'ingset'; did you mean ingest?"),
        ("qqq", "no verb 'qqq'; msd-spark --help lists the verbs"),
    ],
)
def test_an_unknown_verb_is_refused_with_a_suggestion(
    verb: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match=r"^2$"):
        main([verb])
    assert capsys.readouterr().err == f"msd-spark: {message}\n"


def test_a_bare_command_has_the_defaults() -> None:
    assert parsed() == Demo()


def test_every_kind_of_option_is_parsed() -> None:
    words = "Song --rate 0.5 --run r --seeds 3 4 5 --shares .5 .3 .2 --exclude artist self --space a=1,2 --space b=3"
    assert parsed(*words.split(), "--no-cache", "--replace", "--depth=2", "--activation", "tanh") == Demo(
        "Song",
        0.5,
        "r",
        (3, 4, 5),
        (0.5, 0.3, 0.2),
        ("artist", "self"),
        ("a=1,2", "b=3"),
        cache=False,
        replace=True,
        model=Model(2, "tanh"),
    )


def test_the_positional_value_may_follow_options() -> None:
    assert parsed("--replace", "--rate", "2", "Song").song == "Song"


def test_a_list_may_be_empty() -> None:
    assert parsed("--seeds").seeds == ()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--rat 1", "no option --rat; did you mean --rate?"),
        ("--qqq", "no option --qqq; --help lists them"),
        ("--settigns x", "no option --settigns; did you mean --settings?"),
        ("--rate much", "--rate is 'much'; allowed: a number"),
        ("--depth 1.5", "--depth is '1.5'; allowed: a whole number"),
        ("--seeds 1 two", "--seeds is 'two'; allowed: a whole number"),
        ("--rate -1", "--rate is -1.0; allowed: greater than 0"),
        ("--rate -1e-3", "--rate is -0.001; allowed: greater than 0"),
        ("--rate nan", "--rate is nan; allowed: greater than 0"),
        ("--depth 0", "--depth is 0; allowed: 1 or more"),
        ("--seeds 4 -1", "--seeds is -1; allowed: 0 or more"),
        ("--activation gelu", "--activation is 'gelu'; allowed: relu, tanh"),
        ("--exclude self label", "--exclude is 'label'; allowed: self, artist"),
        ("--run", "--run needs a value: NAME"),
        ("--run --replace", "--run needs a value: NAME"),
        ("--shares .5 .5", "--shares needs 3 values: FLOAT FLOAT FLOAT"),
        ("--cache=yes", "--cache takes no value"),
        ("Song Other", "'Other' belongs to no option; see msd-spark demo --help"),
        ("--settings", "--settings needs a FILE"),
    ],
)
def test_wrong_options_are_refused_in_one_line(words: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^2$"), reported("demo"):
        parsed(*words.split())
    assert capsys.readouterr() == ("", f"demo: {message}\n")


def test_the_help_shows_types_defaults_and_allowed_values(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^0$"):
        parsed("--help")
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert text.startswith("usage: msd-spark demo [-h] [OPTIONS] SONG Run the demonstration.")
    assert "--rate FLOAT step of the optimizer (default: 0.1; greater than 0)" in text
    assert "--run NAME run to load" in text
    assert "--seeds INT ... random seeds (default: 1 2; 0 or more)" in text
    assert "--shares FLOAT FLOAT FLOAT shares of the splits" in text
    assert "--exclude {self,artist} ... songs to leave out" in text
    assert "--space NAME=VALUES range to search" in text
    assert "--cache, --no-cache keep the data in memory" in text
    assert "--settings FILE TOML file with options; the command line wins" in text
    assert text.index("model options") < text.index("--depth INT number of layers (default: 3; 1 or more)")


def test_a_settings_file_has_options_at_the_top_and_in_the_table_of_the_verb(tmp_path: Path) -> None:
    text = """
        rate = 0.5
        run = "top"
        unknown = "another verb has this option"
        [demo]
        run = "own"
        seeds = [7, 8]
        space = ["a=1", "b=2"]
        cache = false
        depth = 4
        [ingest]
        run = "other"
    """
    path = settings_file(tmp_path, text)
    loaded = parsed("--settings", path)
    assert loaded == Demo("", 0.5, "own", (7, 8), space=("a=1", "b=2"), cache=False, model=Model(4))
    assert parsed(f"--settings={path}") == loaded


def test_the_command_line_wins_over_the_settings_file(tmp_path: Path) -> None:
    path = settings_file(tmp_path, "[demo]\nseeds = [7, 8]\ncache = false\nrate = 0.5\n")
    loaded = parsed("--seeds", "1", "--settings", path, "--cache")
    assert (loaded.seeds, loaded.cache, loaded.learning_rate) == ((1,), True, 0.5)


def test_presets_are_defaults_below_settings_file_and_command_line(tmp_path: Path) -> None:
    path = settings_file(tmp_path, '[demo]\npreset = "deep"\n')
    assert parsed("--settings", path).model.depth == 9
    assert parsed("--settings", path, "--depth", "2").model.depth == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rate = ", "is not a readable TOML file"),
        ("[demo]\nrat = 1", r"\[demo\] has no option 'rat'; did you mean 'rate'\?"),
        ("[demo]\nqqqqq = 1", r"\[demo\] has no option 'qqqqq'; allowed: activation, cache, depth"),
        ("demo = 3", r"demo is 3; write a table \[demo\] with its options"),
        ("[demo.rate]\nx = 1", r"\[demo\] rate is a table; write one value or a list"),
    ],
)
def test_wrong_settings_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parsed("--settings", settings_file(tmp_path, text))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('depth = "deep"', "--depth is 'deep'; allowed: a whole number"),
        ("depth = true", "--depth is 'True'; allowed: a whole number"),
        ("cache = 1", "--cache is 1; allowed: true, false"),
    ],
)
def test_a_wrong_value_in_a_settings_file_names_the_option(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        parsed("--settings", settings_file(tmp_path, f"[demo]\n{line}"))


def test_a_missing_settings_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--settings .*nowhere\.toml is not a readable TOML file: .*No such file"):
        parsed("--settings", str(tmp_path / "nowhere.toml"))


def test_options_as_words_are_parsed_back() -> None:
    options = {"rate": 0.5, "run": "-x", "seeds": [1, 2], "space": ["a=1", "b=2"], "cache": False, "replace": True}
    assert parsed(*words_of(options, Demo)) == Demo(
        "", 0.5, "-x", (1, 2), space=("a=1", "b=2"), cache=False, replace=True
    )


def test_an_error_of_the_user_is_one_line_with_the_verb(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^2$"), reported("demo"):
        raise UserError("no table; run msd-spark ingest first")
    assert capsys.readouterr() == ("", "demo: no table; run msd-spark ingest first\n")


@pytest.mark.parametrize("verb", VERBS.values(), ids=list(VERBS))
def test_every_script_of_a_verb_exists(verb: Verb) -> None:
    assert verb.script is None or Path(__file__).parents[2].joinpath(verb.script).is_file()


def test_a_repeated_option_replaces_the_values_of_the_settings_file(tmp_path: Path) -> None:
    path = settings_file(tmp_path, 'space = ["a=1", "b=2"]')
    assert parsed("--settings", path).space == ("a=1", "b=2")
    assert parsed("--settings", path, "--space", "c=3", "--space", "d=4").space == ("c=3", "d=4")
