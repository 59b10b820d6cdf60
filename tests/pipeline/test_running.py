from __future__ import annotations

from pathlib import Path

import pytest

from msd_spark.core.errors import UserError
from msd_spark.pipeline.records import CODE
from msd_spark.pipeline.running import NO_PLAYS, Outcome, check_stages, run_command, run_stages, stage_command
from msd_spark.pipeline.settings import PipelineOptions, make_plan
from msd_spark.pipeline.stages import STAGES
from tests.support.data_folders import EVERYTHING, lay_out


def commands(options: PipelineOptions) -> dict[str, str]:
    plan = make_plan(options)
    return {stage.name: " ".join(stage_command(stage, plan)) for stage in STAGES}


def test_commands_are_those_that_a_user_would_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CODE)
    options = PipelineOptions(data="d", warehouse="s3://b/w", run="r1", ranks=4, model="dense", epochs=7, batch_size=32)
    assert commands(options) == {
        "ingest": "msd-spark ingest --data d --warehouse s3://b/w",
        "lyrics": "msd-spark lyrics --data d --warehouse s3://b/w",
        "labels": "msd-spark labels --data d --warehouse s3://b/w",
        "plays": "msd-spark plays --data d --warehouse s3://b/w",
        "factors": "msd-spark factors --allow-too-few --warehouse s3://b/w",
        "dataset": "msd-spark dataset --require genre --warehouse s3://b/w",
        "train": "horovodrun -np 4 training/train.py --epochs 7 --batch-size 32 --model dense --warehouse s3://b/w "
        "--run r1 --overwrite",
        "score": "msd-spark score --warehouse s3://b/w --run r1",
        "neighbours": "msd-spark neighbours --warehouse s3://b/w --run r1",
        "factor-neighbours": "msd-spark neighbours --space factors --warehouse s3://b/w",
        "maps": "msd-spark maps --warehouse s3://b/w --run r1",
        "listen": "msd-spark listen --warehouse s3://b/w --run r1",
        "report": "msd-spark report --warehouse s3://b/w --run r1",
    }


def test_stages_are_submitted_one_by_one_with_options_of_spark_submit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # from another folder, scripts have their full path
    typed = commands(PipelineOptions(spark_submit="--driver-memory 4g"))
    assert typed["score"].startswith(f"spark-submit --driver-memory 4g {CODE}/jobs/score.py --warehouse")
    assert typed["train"].startswith(f"horovodrun -np 2 {CODE}/training/train.py")
    assert typed["listen"].startswith("msd-spark listen")


def test_a_folder_without_plays_skips_their_stages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    only = ("plays", "factors", "factor-neighbours")
    plan = make_plan(PipelineOptions(data=str(tmp_path), warehouse=str(tmp_path / "w"), only=only))
    assert run_stages(plan) == [Outcome(name, "skipped", NO_PLAYS) for name in only]
    assert "stage 1 of 3: plays: skipped, the data folder has no" in capsys.readouterr().out


def test_neighbours_of_factors_need_factors(tmp_path: Path) -> None:
    lay_out(tmp_path, *EVERYTHING)
    options = PipelineOptions(data=str(tmp_path), warehouse=str(tmp_path / "w"), only=("factor-neighbours",))
    assert run_stages(make_plan(options)) == [Outcome("factor-neighbours", "skipped", "there is no table factors/")]
    both = PipelineOptions(
        data=str(tmp_path), warehouse=str(tmp_path / "w"), only=("factors", "factor-neighbours"), dry_run=True
    )
    assert [one.outcome for one in run_stages(make_plan(both))] == ["would run", "would run"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("songs/", "no song files in"),
        ("musixmatch/mxm_dataset_train.txt", "no musiXmatch bags of words in"),
        ("tagtraum/msd_tagtraum_cd1.cls", "no genre labels in"),
    ],
)
def test_a_missing_source_is_refused_before_anything_runs(tmp_path: Path, source: str, message: str) -> None:
    sources = ("songs/", "musixmatch/mxm_dataset_train.txt", "tagtraum/msd_tagtraum_cd1.cls")
    lay_out(tmp_path, *(name for name in sources if name != source))
    with pytest.raises(UserError, match=message):
        check_stages(make_plan(PipelineOptions(data=str(tmp_path), warehouse=str(tmp_path / "w"))))
    others = ("ingest.limit=3", "lyrics.weights=idf", "labels.min-examples=2")
    with pytest.raises(UserError, match=message):  # options that name no source do not replace it
        check_stages(make_plan(PipelineOptions(data=str(tmp_path), assignments=others)))
    assert not (tmp_path / "w").exists()


def test_metadata_alone_is_enough_for_the_stages_before_the_dataset(tmp_path: Path) -> None:
    sources = ("additional/track_metadata.db", "musixmatch/mxm_dataset_train.txt", "tagtraum/msd_tagtraum_cd1.cls")
    folder = str(lay_out(tmp_path, *sources))
    check_stages(make_plan(PipelineOptions(data=folder, warehouse=str(tmp_path / "w"), last="factors")))
    with pytest.raises(UserError, match=r"has metadata and no song files, .* the stages before it: --to factors"):
        check_stages(make_plan(PipelineOptions(data=folder, warehouse=str(tmp_path / "w"))))


def test_output_of_ranks_has_no_prefix(capsys: pytest.CaptureFixture[str]) -> None:
    run_command(["bash", "-c", "echo '[0]<stderr>:epoch 1' >&2; echo '[1]<stdout>:two [0]<stdout>: three'"])
    assert capsys.readouterr().out == "epoch 1\ntwo [0]<stdout>: three\n"


def test_a_failed_command_reports_its_status() -> None:
    with pytest.raises(UserError, match="failed with exit status 3"):
        run_command(["bash", "-c", "exit 3"])
    with pytest.raises(UserError, match="failed with signal SIGKILL"):
        run_command(["bash", "-c", "kill -9 $$"])
