"""What makes a stage run again."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from msd_spark.core.command_line import parse
from msd_spark.core.verbs import VERBS
from msd_spark.core.warehouse import Warehouse
from msd_spark.pipeline.records import (
    Record,
    current_record,
    digests,
    read_record,
    record_name,
    why_stale,
    write_record,
)
from msd_spark.pipeline.running import run_stages, stage_command, stale_reason
from msd_spark.pipeline.settings import PipelineOptions, Plan, make_plan
from msd_spark.pipeline.stages import BY_NAME


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    for name in ("songs/A/x.h5", "musixmatch/mxm_dataset_train.txt", "tagtraum/msd_tagtraum_cd1.cls"):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True)
        path.write_text("content")
    return make_plan(PipelineOptions(data=str(tmp_path / "data"), warehouse=str(tmp_path / "w")))


def with_options(plan: Plan, **options: object) -> Plan:
    return make_plan(replace(plan.options, **options))  # type: ignore[arg-type]


def state(plan: Plan, stage: str) -> tuple[Record, dict[str, str]]:
    warehouse, one = Warehouse(plan.options.warehouse), BY_NAME[stage]
    return current_record(one, stage_command(one, plan), plan, warehouse), digests(warehouse, plan.places(one.writes))


def finished(plan: Plan, stage: str) -> Record:
    record, outputs = state(plan, stage)
    return replace(record, finished="2026-11-23T00:00:00Z", seconds=1.0, outputs=outputs)


def put(plan: Plan, place: str, text: str = "x") -> Path:
    path = Path(plan.options.warehouse) / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def add_song(plan: Plan) -> None:
    Path(plan.options.data, "songs", "A", "y.h5").write_text("another")


def touch_song(plan: Plan) -> None:
    path = Path(plan.options.data, "songs", "A", "x.h5")
    os.utime(path, ns=(1, path.stat().st_mtime_ns + 1))


def lose_table(plan: Plan) -> None:
    (Path(plan.options.warehouse) / "songs" / "part.parquet").unlink()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (None, None),
        (add_song, "/data/songs has changed"),
        (touch_song, "/data/songs has changed"),
        (lose_table, "songs has changed since"),
        (lambda plan: put(plan, "songs/more.parquet"), "songs has changed since"),
        (lambda plan: put(plan, "lyrics/part.parquet"), None),
    ],
)
def test_ingest_runs_again_if_its_songs_or_its_table_changed(
    plan: Plan, change: Callable[[Plan], object] | None, reason: str | None
) -> None:
    put(plan, "songs/part.parquet")
    record = finished(plan, "ingest")
    if change:
        change(plan)
    now, outputs = state(plan, "ingest")
    result = why_stale(now, record, outputs, ignore_code=False)
    assert result == reason or (reason is not None and result is not None and result.endswith(reason))


def test_a_changed_table_makes_its_readers_run_again(plan: Plan) -> None:
    put(plan, "labels/part.parquet")
    records = {stage: finished(plan, stage) for stage in ("dataset", "lyrics", "train")}
    put(plan, "labels/part.parquet", "other labels")
    reasons = {}
    for stage, record in records.items():
        now, outputs = state(plan, stage)
        reasons[stage] = why_stale(now, record, outputs, ignore_code=False)
    # Training waits until the dataset has changed.
    assert reasons == {"dataset": "labels has changed", "lyrics": None, "train": None}


def test_options_code_and_interruption(plan: Plan) -> None:
    record = finished(plan, "train")
    now, outputs = state(plan, "train")
    longer, _ = state(with_options(plan, epochs=30), "train")
    assert why_stale(longer, record, outputs, ignore_code=False) == "options have changed"
    older = replace(record, code="older")
    assert why_stale(now, older, outputs, ignore_code=False) == "the code has changed"
    assert why_stale(now, older, outputs, ignore_code=True) is None
    assert why_stale(now, replace(record, finished=None), outputs, ignore_code=True) == "the last run did not finish"
    assert why_stale(now, None, outputs, ignore_code=True) == "first run"


def test_a_stage_that_is_up_to_date_runs_if_it_is_forced(plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    put(plan, "songs/part.parquet")
    shown = []
    for words in ((), ("--force",)):
        options = [*words, "--dry-run", "--only", "ingest", "--data", plan.options.data]
        settings = parse(PipelineOptions, [*options, "--warehouse", plan.options.warehouse], VERBS["pipeline"])
        one = make_plan(settings)
        write_record(Warehouse(plan.options.warehouse), record_name(BY_NAME["ingest"], one), finished(one, "ingest"))
        run_stages(one)
        shown.append(capsys.readouterr().out.splitlines()[1])
    assert shown == ["stage 1 of 1: ingest: up to date", "stage 1 of 1: ingest: would run, --force"]


def test_checkpoints_do_not_change_a_run(plan: Plan) -> None:
    put(plan, "models/demo/metadata.json")
    put(plan, "models/demo/0123456789ab/model.keras")
    record = finished(plan, "score")
    put(plan, "models/demo/_unfinished/checkpoints/last.npz")
    now, outputs = state(plan, "score")
    assert why_stale(now, record, outputs, ignore_code=False) is None


def test_a_file_named_by_an_option_is_an_input(plan: Plan, tmp_path: Path) -> None:
    mine = tmp_path / "mine.cls"
    mine.write_text("labels")
    own = with_options(plan, assignments=(f"labels.source=mine={mine}",))
    record = finished(own, "labels")
    mine.write_text("other labels")
    now, outputs = state(own, "labels")
    assert why_stale(now, record, outputs, ignore_code=False) == f"{mine} has changed"


def test_a_folder_named_by_an_option_is_an_input(plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("more").mkdir()
    own = with_options(plan, assignments=("ingest.songs=more",))
    record = finished(own, "ingest")
    now, outputs = state(own, "ingest")
    assert why_stale(now, record, outputs, ignore_code=False) is None
    Path("more", "x.h5").write_text("a song")
    now, outputs = state(own, "ingest")
    assert why_stale(now, record, outputs, ignore_code=False) == "more has changed"


def test_remote_inputs_always_run(plan: Plan) -> None:
    remote = with_options(plan, warehouse=plan.options.warehouse, assignments=("ingest.songs=s3://songs/a",))
    warehouse, ingest = Warehouse(plan.options.warehouse), BY_NAME["ingest"]
    now, _ = state(remote, "ingest")
    assert stale_reason(ingest, now, now, remote, warehouse) == "s3://songs/a may have changed"
    submitted = with_options(plan, spark_submit="--master local[2]")
    now, _ = state(submitted, "ingest")
    assert stale_reason(ingest, now, None, submitted, warehouse) == "first run"


def test_each_dataset_and_run_has_its_own_record(plan: Plan) -> None:
    named = with_options(plan, run="r", assignments=("dataset.name=d",))
    names = {stage: record_name(BY_NAME[stage], named) for stage in ("ingest", "dataset", "train", "report")}
    assert names == {
        "ingest": "ingest.json",
        "dataset": "dataset-d.json",
        "train": "train-r.json",
        "report": "report-r.json",
    }
    warehouse, record = Warehouse(plan.options.warehouse), finished(plan, "ingest")
    write_record(warehouse, "ingest.json", record)
    assert read_record(warehouse, "ingest.json") == record
    assert read_record(warehouse, "other.json") is None
    warehouse.write_json({"another": "version"}, "pipeline", "old.json")
    assert read_record(warehouse, "old.json") is None
    warehouse.write_file(b'{"command": ', "pipeline", "cut.json")
    assert read_record(warehouse, "cut.json") is None
