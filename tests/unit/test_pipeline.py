from __future__ import annotations

from pathlib import Path

import pytest

from msd_spark.pipeline import REPOSITORY, DataFolder, PipelineSettings, commands, parse_arguments

EVERYTHING = (
    "songs/",
    "broken/",
    "musixmatch/mxm_dataset_train.txt",
    "musixmatch/mxm_dataset_test.truncated.txt",
    "musixmatch/mxm_reverse_mapping.txt",
    "tagtraum/msd_tagtraum_cd1.cls",
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
    )


def test_what_need_not_be_there_may_be_missing(tmp_path: Path) -> None:
    lay_out(tmp_path, "songs/", "musixmatch/mxm_dataset_test.txt", "tagtraum/msd_tagtraum_cd1.cls")
    found = DataFolder.find(tmp_path)
    assert found.songs == (tmp_path / "songs",)
    assert (found.bags_train, found.reverse_mapping) == (None, None)
    assert found.bags_test == tmp_path / "musixmatch" / "mxm_dataset_test.txt"


def settings(tmp_path: Path) -> PipelineSettings:
    return PipelineSettings(DataFolder.find(lay_out(tmp_path, *EVERYTHING)), "s3://b/w", "r1", "dense", 4, 7, 32)


def test_stages_stand_in_the_order_of_the_design(tmp_path: Path) -> None:
    assert list(commands(settings(tmp_path))) == ["ingest", "lyrics", "labels", "dataset", "train", "score", "report"]


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
        "labels": "python jobs/labels.py --source cd1=DATA/tagtraum/msd_tagtraum_cd1.cls --warehouse s3://b/w",
        "dataset": "spark-submit jobs/dataset.py --require genre --warehouse s3://b/w",
        "train": "horovodrun -np 4 training/train.py --warehouse s3://b/w --model dense --run r1 --overwrite"
        " --epochs 7 --batch 32",
        "score": "spark-submit jobs/score.py --warehouse s3://b/w --run r1",
        "report": "python jobs/report.py --warehouse s3://b/w --run r1",
    }


def test_from_another_folder_scripts_are_called_by_their_full_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    scripts = [word for words in commands(settings(tmp_path)).values() for word in words if word.endswith(".py")]
    assert len(scripts) == 7
    assert all(Path(script).is_absolute() and Path(script).is_file() for script in scripts)


def test_lyrics_files_that_are_not_there_are_not_asked_for(tmp_path: Path) -> None:
    lay_out(tmp_path, "songs/", "musixmatch/mxm_dataset_test.txt", "tagtraum/msd_tagtraum_cd1.cls")
    words = commands(PipelineSettings(DataFolder.find(tmp_path), "w"))["lyrics"]
    assert "--train" not in words
    assert "--reverse-mapping" not in words
    assert words[words.index("--test") + 1] == str(tmp_path / "musixmatch" / "mxm_dataset_test.txt")


def test_arguments_that_are_left_out() -> None:
    arguments = parse_arguments(["--data", "d"])
    assert (arguments.data, arguments.first, arguments.last) == (Path("d"), "ingest", "report")
    assert (arguments.run, arguments.ranks, arguments.warehouse) == ("demo", 2, "./warehouse")
