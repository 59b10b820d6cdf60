from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from msd_spark.core.command_line import parse
from msd_spark.core.errors import UserError
from msd_spark.core.options import OptionError
from msd_spark.core.verbs import VERBS
from msd_spark.core.warehouse import Warehouse
from msd_spark.pipeline.command import write_settings
from msd_spark.pipeline.records import CODE
from msd_spark.pipeline.running import check_stages, stage_command, stage_words
from msd_spark.pipeline.settings import PipelineOptions, make_plan, merge, parse_assignment, resume_words
from msd_spark.pipeline.stages import BY_NAME, NAMES, STAGES
from tests.support.data_folders import EVERYTHING, lay_out
from training.loop.options import TrainOptions

SETTINGS = """
run = "sif"
spark-submit = "--driver-memory 4g"

[lyrics]
vectors = "words.txt"
weights = "sif"

[dataset]
name = "mine"
require = "genre,lyrics"
factors = true

[train]
epochs = 5
filters = [16, 32]
"""


def parsed(*words: str) -> PipelineOptions:
    return parse(PipelineOptions, words, VERBS["pipeline"])


def test_the_defaults() -> None:
    plan = make_plan(parsed())
    assert plan.options.stages == NAMES
    assert plan.content() == {
        "data": "./data",
        "warehouse": "./warehouse",
        "run": "demo",
        "ranks": 2,
        "factors": {"allow-too-few": True},
        "factor-neighbours": {"space": "factors"},
        "dataset": {"require": "genre"},
        "train": {"epochs": 20, "batch-size": 16},
    }


def test_which_stages_run() -> None:
    assert parsed("--from", "maps").stages == ("maps", "listen", "report")
    assert parsed("--from", "lyrics", "--to", "plays").stages == ("lyrics", "labels", "plays")
    assert parsed("--only", "train", "lyrics").stages == ("lyrics", "train")
    assert parsed("--from", "maps", "--skip", "listen", "train").stages == ("maps", "report")
    with pytest.raises(OptionError, match="no stage is left to run"):
        parsed("--from", "train", "--to", "lyrics")
    with pytest.raises(OptionError, match="--only cannot be combined"):
        parsed("--only", "train", "--to", "report")
    with pytest.raises(OptionError, match="no stage is left to run"):
        parsed("--only", "train", "--skip", "train")
    with pytest.raises(OptionError, match="--ranks is 0; allowed: 1 or more"):
        parsed("--ranks", "0")


def test_the_command_line_wins_over_the_settings_file(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(SETTINGS)
    options = parsed(
        "--settings", str(tmp_path / "s.toml"), "--epochs", "9", "--set", "lyrics.weights=idf", "--set", "train.seed=3"
    )
    plan = make_plan(options)
    assert (plan.options.run, plan.options.spark_submit, plan.dataset) == ("sif", "--driver-memory 4g", "mine")
    assert plan.of_stages["lyrics"] == {"vectors": "words.txt", "weights": "idf"}
    assert plan.of_stages["dataset"] == {"require": "genre,lyrics", "name": "mine", "factors": True}
    assert plan.of_stages["train"] == {
        "dataset": "mine",
        "epochs": 9,
        "batch-size": 16,
        "filters": [16, 32],
        "seed": 3,
    }
    # The written settings can be read again and give the same plan.
    write_settings(Warehouse(str(tmp_path / "w")), plan, ["--data", "a\nb"])
    written = tmp_path / "w" / "pipeline" / "sif.toml"
    assert written.read_text().startswith("# msd-spark pipeline --data 'a b'\n# code ")
    assert tomllib.loads(written.read_text()) == plan.content()
    again = make_plan(parsed("--settings", str(written)))
    assert again.of_stages == plan.of_stages
    assert again.options.spark_submit == "--driver-memory 4g"


def test_the_protocol_of_2019_has_its_own_batch_and_epochs_and_trains_three_models() -> None:
    plan = make_plan(parsed("--settings", str(CODE / "docs" / "examples" / "seed-2019.toml")))
    words = stage_words(BY_NAME["train"], plan)
    assert not {"--batch-size", "--epochs"} & set(words)
    options = parse(TrainOptions, [*words, "--run", plan.options.run], VERBS["train"])
    assert [one.model.name for one in options.runs()] == ["dense", "lstm", "cnn"]
    training = options.training_settings()
    assert (training.epochs, training.global_batch_size) == (20, 10)
    typed = make_plan(parsed("--set", "train.protocol=2019", "--set", "train.global-batch-size=7"))
    assert typed.of_stages["train"] == {"protocol": 2019, "global-batch-size": 7}
    assert parse(TrainOptions, ["--protocol", "2019"], VERBS["train"]).model.name == "cnn"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rnu = 'a'", "has no option 'rnu'; did you mean 'run'"),
        ("[trian]\nepochs = 1", "has no option 'trian'; did you mean 'train'"),
        ("[train]\nepoch = 1", "[train] has no option 'epoch'; did you mean 'epochs'"),
        ("[train]\nrun = 'x'", "[train] run is set by the pipeline"),
        ("train = 3", "train is 3; write a table [train]"),
        ("[train]\nepochs = {a = 1}", "[train] epochs is a table"),
        ("ranks =", "is not a readable TOML file"),
    ],
)
def test_settings_files_that_are_wrong(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "s.toml").write_text(text)
    with pytest.raises(UserError) as caught:
        make_plan(PipelineOptions(settings=str(tmp_path / "s.toml")))
    assert message in str(caught.value)
    assert "s.toml" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[train]\nepochs = 'many'", "--epochs"),
        ("[train]\nmodel = 'cnm'", "--model"),
        ("[dataset]\nfactors = 1", "--factors"),
        ("[dataset]\ntags = true", "--tags"),
    ],
)
def test_values_that_a_stage_refuses(
    tmp_path: Path, text: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lay_out(tmp_path, *EVERYTHING)
    (tmp_path / "s.toml").write_text(text)
    plan = make_plan(PipelineOptions(data=str(tmp_path), settings=str(tmp_path / "s.toml")))
    with pytest.raises(UserError) as caught:
        check_stages(plan)
    assert message in capsys.readouterr().err + str(caught.value)


@pytest.mark.parametrize("text", ["epochs=3", "train.epochs", "train.=3", "a.b.c=3"])
def test_assignments_that_are_wrong(text: str) -> None:
    with pytest.raises(UserError, match=r"allowed: STAGE.OPTION=VALUE"):
        parse_assignment(text)


def test_assignments_and_layers() -> None:
    assert parse_assignment("train.seed=3") == {"train": {"seed": 3}}
    assert parse_assignment("train.model=lstm") == {"train": {"model": "lstm"}}
    assert merge({"t": {"a": 1, "b": 2}}, {"t": {"b": 3}}) == {"t": {"a": 1, "b": 3}}


def test_the_command_that_resumes() -> None:
    words = ["--data", "d", "--from=x", "--run", "r", "--skip", "maps"]
    resumed = resume_words(words, ["train", "score"])
    assert resumed == "msd-spark pipeline --data d --run r --skip maps --from train"
    only = resume_words(["--only", "train", "maps", "--run", "r"], ["maps"])
    assert only == "msd-spark pipeline --run r --only maps"


def test_every_stage_has_a_verb_and_reads_what_others_write() -> None:
    written = {place for stage in STAGES for place in stage.writes}
    assert {place for stage in STAGES for place in stage.reads} <= written | {"rejected"}
    assert len(set(NAMES)) == len(STAGES)
    plan = make_plan(PipelineOptions(warehouse="s3://b/w", run="r1"))
    assert stage_words(BY_NAME["score"], plan) == ["--warehouse", "s3://b/w", "--run", "r1"]


def test_options_of_spark_submit_may_have_several_lines(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('spark-submit = """\n--master yarn \\\\\n\t--driver-memory 4g\r\n"""\n')
    options = parse(PipelineOptions, ["--settings", str(file), "--only", "ingest"], VERBS["pipeline"])
    command = stage_command(BY_NAME["ingest"], make_plan(options))
    assert command[:5] == ["spark-submit", "--master", "yarn", "--driver-memory", "4g"]
    with pytest.raises(OptionError, match=r"--spark-submit is .* without control characters"):
        PipelineOptions(spark_submit="--master\x1b local")
