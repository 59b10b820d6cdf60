from __future__ import annotations

from pathlib import Path

import pytest

from msd_spark.core.data_folder import DataFolder
from msd_spark.core.errors import UserError
from msd_spark.core.warehouse import Warehouse
from msd_spark.pipeline.catalogue import NAMES, REPOSITORY, PipelineSettings, commands
from msd_spark.pipeline.command import (
    choose,
    effective_settings,
    keep_settings,
    parse_arguments,
    pipeline_settings,
    without,
)
from msd_spark.pipeline.running import Choice, Ran, run_stages
from msd_spark.pipeline.settings_file import read_settings

EVERYTHING = (
    "songs/",
    "broken/",
    "musixmatch/mxm_dataset_train.txt",
    "musixmatch/mxm_dataset_test.truncated.txt",
    "musixmatch/mxm_reverse_mapping.txt",
    "tagtraum/msd_tagtraum_cd1.cls",
    "tagtraum/msd_tagtraum_cd2.cls",
    "tagtraum/msd_tagtraum_cd2c.cls",
    "magd/msd-MAGD-genreAssignment.cls",
    "magd/msd-topMAGD-genreAssignment.cls",
    "magd/msd-MASD-styleAssignment.cls",
    "lastfm/lastfm_train.zip",
    "lastfm/lastfm_test.zip",
    "tasteprofile/train_triplets.txt",
    "tasteprofile/train_triplets.first2000.txt",
    "tasteprofile/sid_mismatches.txt",
)


def lay_out(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            path.mkdir()
        else:
            path.touch()
    return folder


def test_every_source_is_found(tmp_path: Path) -> None:
    lyrics = tmp_path / "musixmatch"
    assert DataFolder.find(lay_out(tmp_path, *EVERYTHING)) == DataFolder(
        (tmp_path / "songs", tmp_path / "broken"),
        lyrics / "mxm_dataset_train.txt",
        lyrics / "mxm_dataset_test.truncated.txt",
        lyrics / "mxm_reverse_mapping.txt",
        tmp_path / "tagtraum" / "msd_tagtraum_cd1.cls",
        {
            "cd2": tmp_path / "tagtraum" / "msd_tagtraum_cd2.cls",
            "cd2c": tmp_path / "tagtraum" / "msd_tagtraum_cd2c.cls",
            "magd": tmp_path / "magd" / "msd-MAGD-genreAssignment.cls",
            "topmagd": tmp_path / "magd" / "msd-topMAGD-genreAssignment.cls",
            "masd": tmp_path / "magd" / "msd-MASD-styleAssignment.cls",
        },
        (tmp_path / "lastfm" / "lastfm_test.zip", tmp_path / "lastfm" / "lastfm_train.zip"),
        tmp_path / "tasteprofile" / "train_triplets.txt",
        tmp_path / "tasteprofile" / "sid_mismatches.txt",
    )


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (("lastfm_tags.db", "lastfm_train.zip", "lastfm_train/A/"), ("lastfm_tags.db",)),
        (("lastfm_train.zip", "lastfm_train/A/"), ("lastfm_train.zip",)),
        (("lastfm_train/A/", "readme.txt"), ("",)),
        (("readme.txt",), ()),
    ],
)
def test_tags_are_taken_in_one_of_the_ways_they_come_in(
    tmp_path: Path, names: tuple[str, ...], wanted: tuple[str, ...]
) -> None:
    lay_out(tmp_path, "songs/", "musixmatch/mxm_dataset_test.txt", "tagtraum/msd_tagtraum_cd1.cls")
    lay_out(tmp_path, *(f"lastfm/{name}" for name in names))
    assert DataFolder.find(tmp_path).tags == tuple(tmp_path / "lastfm" / name for name in wanted)


def test_the_samples_and_the_generators_names_are_found(tmp_path: Path) -> None:
    lay_out(tmp_path, "songs/", "musixmatch/mxm_dataset_test.txt", "tagtraum/msd_tagtraum_cd1.cls")
    lay_out(tmp_path, "magd/msd_magd_genreassignment.tsv", "tasteprofile/train_triplets.txt.zip")
    found = DataFolder.find(tmp_path)
    assert found.other_labels == {"magd": tmp_path / "magd" / "msd_magd_genreassignment.tsv"}
    assert found.triplets == tmp_path / "tasteprofile" / "train_triplets.txt.zip"
    (tmp_path / "magd" / "msd_magd_genreassignment.tsv").rename(tmp_path / "magd" / "magd_subset_4011.tsv")
    assert DataFolder.find(tmp_path).other_labels == {"magd": tmp_path / "magd" / "magd_subset_4011.tsv"}


def test_what_need_not_be_there_may_be_missing(tmp_path: Path) -> None:
    lay_out(tmp_path, "songs/", "musixmatch/mxm_dataset_test.txt", "tagtraum/msd_tagtraum_cd1.cls")
    found = DataFolder.find(tmp_path)
    assert found.songs == (tmp_path / "songs",)
    assert (found.bags_train, found.reverse_mapping) == (None, None)
    assert found.bags_test == tmp_path / "musixmatch" / "mxm_dataset_test.txt"


def settings(tmp_path: Path) -> PipelineSettings:
    options = {"train": {"model": "dense", "epochs": 7, "batch": 32}}
    return PipelineSettings(DataFolder.find(lay_out(tmp_path, *EVERYTHING)), "s3://b/w", "r1", 4, options)


def test_stages_stand_in_the_order_of_the_design(tmp_path: Path) -> None:
    stages = [
        "ingest",
        "lyrics",
        "labels",
        "plays",
        "factors",
        "dataset",
        "train",
        "score",
        "neighbours",
        "factor-neighbours",
        "maps",
        "listen",
        "report",
    ]
    assert list(commands(settings(tmp_path))) == stages


def test_commands_are_those_that_a_person_would_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    made = {
        stage: " ".join(words).replace(str(tmp_path), "DATA") for stage, words in commands(settings(tmp_path)).items()
    }
    assert made == {
        "ingest": "spark-submit jobs/ingest.py --songs DATA/songs DATA/broken --warehouse s3://b/w",
        "lyrics": "spark-submit jobs/lyrics.py --train DATA/musixmatch/mxm_dataset_train.txt"
        " --test DATA/musixmatch/mxm_dataset_test.truncated.txt"
        " --reverse-mapping DATA/musixmatch/mxm_reverse_mapping.txt --warehouse s3://b/w",
        "labels": "spark-submit jobs/labels.py --cd1 DATA/tagtraum/msd_tagtraum_cd1.cls"
        " --cd2 DATA/tagtraum/msd_tagtraum_cd2.cls --cd2c DATA/tagtraum/msd_tagtraum_cd2c.cls"
        " --magd DATA/magd/msd-MAGD-genreAssignment.cls --topmagd DATA/magd/msd-topMAGD-genreAssignment.cls"
        " --masd DATA/magd/msd-MASD-styleAssignment.cls"
        " --tags DATA/lastfm/lastfm_test.zip DATA/lastfm/lastfm_train.zip --warehouse s3://b/w",
        "plays": "spark-submit jobs/plays.py --triplets DATA/tasteprofile/train_triplets.txt"
        " --mismatches DATA/tasteprofile/sid_mismatches.txt --warehouse s3://b/w",
        "factors": "spark-submit jobs/factors.py --allow-too-few --warehouse s3://b/w",
        "dataset": "spark-submit jobs/dataset.py --require genre --warehouse s3://b/w",
        "train": "horovodrun -np 4 training/train.py --model dense --epochs 7 --batch 32 --warehouse s3://b/w --run r1"
        " --overwrite",
        "score": "spark-submit jobs/score.py --warehouse s3://b/w --run r1",
        "neighbours": "spark-submit jobs/neighbours.py --warehouse s3://b/w --run r1",
        "factor-neighbours": "spark-submit jobs/neighbours.py --space factors --warehouse s3://b/w",
        "maps": "python jobs/maps.py --warehouse s3://b/w --run r1",
        "listen": "python training/listen.py --warehouse s3://b/w --run r1",
        "report": "python jobs/report.py --warehouse s3://b/w --run r1",
    }


def test_from_another_folder_scripts_are_called_by_their_full_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    scripts = [word for words in commands(settings(tmp_path)).values() for word in words if word.endswith(".py")]
    assert len(scripts) == 13
    assert all(Path(script).is_absolute() and Path(script).is_file() for script in scripts)


def test_lyrics_files_that_are_not_there_are_not_asked_for(tmp_path: Path) -> None:
    lay_out(tmp_path, "songs/", "musixmatch/mxm_dataset_test.txt", "tagtraum/msd_tagtraum_cd1.cls")
    words = commands(PipelineSettings(DataFolder.find(tmp_path), "w"))["lyrics"]
    assert "--train" not in words
    assert "--reverse-mapping" not in words
    assert words[words.index("--test") + 1] == str(tmp_path / "musixmatch" / "mxm_dataset_test.txt")


def test_a_folder_without_listens_and_tags_skips_them_with_a_word(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lay_out(tmp_path, "songs/", "musixmatch/mxm_dataset_test.txt", "tagtraum/msd_tagtraum_cd1.cls")
    bare = PipelineSettings(DataFolder.find(tmp_path), "w")
    stages = commands(bare)
    cd1 = str(tmp_path / "tagtraum" / "msd_tagtraum_cd1.cls")
    assert (stages["labels"][0], stages["labels"][2:]) == ("python", ["--cd1", cd1, "--warehouse", "w"])
    of_listens = ("plays", "factors", "factor-neighbours")
    assert [stages[name] for name in of_listens] == [[], [], []]
    ran = run_stages(PipelineSettings(bare.data, str(tmp_path / "w")), Choice(of_listens))
    why = "the folder of data has no tasteprofile/train_triplets.txt"
    assert ran == [Ran(name, "skipped", why) for name in of_listens]
    assert "plays: skipped, the folder of data has no tasteprofile/train_triplets.txt" in capsys.readouterr().out


def test_factors_that_there_are_too_few_listens_for_have_no_neighbours(tmp_path: Path) -> None:
    data = DataFolder.find(lay_out(tmp_path / "data", *EVERYTHING))
    ran = run_stages(PipelineSettings(data, str(tmp_path / "w")), Choice(("factor-neighbours",)))
    assert ran == [Ran("factor-neighbours", "skipped", "there is no factors/")]
    planned = run_stages(
        PipelineSettings(data, str(tmp_path / "w")), Choice(("factors", "factor-neighbours"), dry_run=True)
    )
    assert [one.outcome for one in planned] == ["would run", "would run"]


def test_arguments_that_are_left_out() -> None:
    arguments = parse_arguments(["--data", "d"])
    assert choose(arguments) == Choice(NAMES)
    assert effective_settings(arguments) == {
        "warehouse": "./warehouse",
        "run": "demo",
        "ranks": 2,
        "factors": {"allow-too-few": True},
        "factor-neighbours": {"space": "factors"},
        "dataset": {"require": "genre"},
        "train": {"model": "cnn", "epochs": 20, "batch": 16},
        "data": "d",
    }


def test_which_stages_run() -> None:
    def chosen(*words: str) -> tuple[str, ...]:
        return choose(parse_arguments(["--data", "d", *words])).stages

    assert chosen("--from", "maps") == ("maps", "listen", "report")
    assert chosen("--from", "lyrics", "--to", "plays") == ("lyrics", "labels", "plays")
    assert chosen("--only", "train", "lyrics") == ("lyrics", "train")
    assert chosen("--from", "maps", "--skip", "listen", "train") == ("maps", "report")
    with pytest.raises(UserError, match="lyrics comes before train; nothing would run"):
        chosen("--from", "train", "--to", "lyrics")
    with pytest.raises(UserError, match="--only names all stages"):
        chosen("--only", "train", "--to", "report")
    with pytest.raises(UserError, match="is skipped; nothing would run"):
        chosen("--only", "train", "--skip", "train")


SETTINGS = """
run = "sif"
spark-submit = ["--driver-memory", "4g"]

[lyrics]
vectors = "words.txt"
weights = "sif"

[dataset]
name = "mine"
require = "genre,lyrics"
factors = true

[train]
epochs = 5
filters = [16, 16, 32]
"""


def test_a_file_of_settings_is_typed_and_the_command_line_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    lay_out(tmp_path, "songs/", "musixmatch/mxm_dataset_test.txt", "tagtraum/msd_tagtraum_cd1.cls")
    (tmp_path / "s.toml").write_text(SETTINGS)
    words = ["--settings", str(tmp_path / "s.toml"), "--data", str(tmp_path), "--warehouse", str(tmp_path / "w")]
    arguments = parse_arguments([*words, "--epochs", "9", "--set", "lyrics.weights=idf", "--set", "train.seed=3"])
    found = effective_settings(arguments)
    made = {stage: " ".join(typed) for stage, typed in commands(pipeline_settings(found)).items()}
    lyrics, w = str(tmp_path / "musixmatch" / "mxm_dataset_test.txt"), tmp_path / "w"
    assert made["lyrics"] == (
        f"spark-submit --driver-memory 4g jobs/lyrics.py --test {lyrics}"
        f" --vectors words.txt --weights idf --warehouse {w}"
    )
    assert made["dataset"] == (
        f"spark-submit --driver-memory 4g jobs/dataset.py --require genre,lyrics --name mine --factors --warehouse {w}"
    )
    assert made["train"] == (
        "horovodrun -np 2 training/train.py --model cnn --epochs 9 --batch 16 --dataset mine --filters 16 16 32"
        f" --seed 3 --warehouse {w} --run sif --overwrite"
    )
    # What held is kept, and can be given again.
    keep_settings(Warehouse(str(w)), found, ["--data", "a\nb"])
    kept = read_settings(w / "pipeline" / "sif.toml")
    assert kept == found
    assert (
        (w / "pipeline" / "sif.toml")
        .read_text()
        .startswith("# python -m msd_spark.pipeline.command --data 'a b'\n# code ")
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rnu = 'a'", "nothing is called 'rnu'; did you mean 'run'"),
        ("[trian]\nepochs = 1", "nothing is called 'trian'; did you mean 'train'"),
        ("[train]\nepoch = 1", "[train] has no option 'epoch'; did you mean 'epochs'"),
        ("[train]\nepochs = 'many'", "[train] argument --epochs: invalid int value: 'many'"),
        ("[train]\nmodel = 'cnm'", "[train] argument --model: invalid choice: 'cnm'"),
        ("[train]\nrun = 'x'", "[train] run is given by the pipeline"),
        ("[dataset]\nfactors = 1", "[dataset] factors is true or false, not 1"),
        ("[dataset]\ntags = true", "[dataset] tags is no flag, not True"),
        ("train = 3", "train is a stage; give its options in a table, [train]"),
        ("ranks = 'two'", "ranks is a int, not 'two'"),
        ("ranks =", "cannot be read as TOML"),
    ],
)
def test_settings_that_do_not_fit_are_refused_with_the_nearest_name(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "s.toml").write_text(text)
    with pytest.raises(UserError) as error:
        read_settings(tmp_path / "s.toml")
    assert said in str(error.value)
    assert "s.toml" in str(error.value)


def test_options_that_are_set_one_by_one_have_a_form() -> None:
    for text in ("epochs=3", "train.epochs", "train.=3", "a.b.c=3"):
        with pytest.raises(UserError, match=r"--set takes STAGE.OPTION=VALUE"):
            effective_settings(parse_arguments(["--data", "d", "--set", text]))
    with pytest.raises(UserError, match="no folder of data"):
        effective_settings(parse_arguments([]))


def test_a_word_and_its_value_are_left_out() -> None:
    assert without(["--data", "d", "--from", "x", "--run", "r"], "--from") == ["--data", "d", "--run", "r"]
    assert without(["--from=x", "--run", "r"], "--from") == ["--run", "r"]
