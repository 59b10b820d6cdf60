"""What makes a stage run again, and what does not."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msd_spark.core.data_folder import DataFolder
from msd_spark.core.warehouse import Warehouse
from msd_spark.pipeline.catalogue import NAMES, REPOSITORY, STAGES, PipelineSettings, commands, words_of
from msd_spark.pipeline.code_digest import code_digest
from msd_spark.pipeline.fingerprints import (
    Fingerprint,
    Record,
    fingerprint,
    out_of_sight,
    outputs,
    read_record,
    record_name,
    why_stale,
    write_record,
)
from msd_spark.pipeline.settings_file import merge, to_toml

BY_NAME = {stage.name: stage for stage in STAGES}


@pytest.fixture
def settings(tmp_path: Path) -> PipelineSettings:
    for name in ("songs/A/x.h5", "musixmatch/mxm_dataset_train.txt", "tagtraum/msd_tagtraum_cd1.cls"):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True)
        path.write_text("content")
    return PipelineSettings(DataFolder.find(tmp_path / "data"), str(tmp_path / "w"))


def now_of(settings: PipelineSettings, stage: str) -> Fingerprint:
    return fingerprint(BY_NAME[stage], commands(settings)[stage], settings, Warehouse(settings.warehouse))


def state(settings: PipelineSettings, stage: str) -> tuple[Fingerprint, dict[str, str]]:
    warehouse = Warehouse(settings.warehouse)
    return now_of(settings, stage), outputs(warehouse, settings.places(BY_NAME[stage].writes))


def finished(settings: PipelineSettings, stage: str) -> Record:
    now, left = state(settings, stage)
    return Record(now, "2026-11-23T00:00:00Z", 1.0, left)


def put(settings: PipelineSettings, place: str, text: str = "x") -> Path:
    path = Path(settings.warehouse) / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def grow(settings: PipelineSettings) -> None:
    (settings.data.songs[0] / "A" / "y.h5").write_text("another")


def touch(settings: PipelineSettings) -> None:
    path = settings.data.songs[0] / "A" / "x.h5"
    os.utime(path, ns=(1, path.stat().st_mtime_ns + 1))


def lose(settings: PipelineSettings) -> None:
    (Path(settings.warehouse) / "songs" / "part.parquet").unlink()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (None, None),
        (grow, "/data/songs has changed"),
        (touch, "/data/songs has changed"),
        (lose, "songs is not as it was left"),
        (lambda settings: put(settings, "songs/more.parquet"), "songs is not as it was left"),
        (lambda settings: put(settings, "lyrics/part.parquet"), None),
    ],
)
def test_ingest_runs_again_when_its_songs_or_its_table_changed(
    settings: PipelineSettings, change: Callable[[PipelineSettings], object] | None, why: str | None
) -> None:
    put(settings, "songs/part.parquet")
    record = finished(settings, "ingest")
    if change:
        change(settings)
    now, left = state(settings, "ingest")
    found = why_stale(now, record, left, ignore_code=False)
    assert found == why or (why is not None and found is not None and found.endswith(why))


def test_a_table_that_was_written_anew_makes_what_reads_it_run_again(settings: PipelineSettings) -> None:
    put(settings, "labels/part.parquet")
    made = {stage: finished(settings, stage) for stage in ("dataset", "lyrics", "train")}
    put(settings, "labels/part.parquet", "other labels")
    found = {}
    for stage, record in made.items():
        now, left = state(settings, stage)
        found[stage] = why_stale(now, record, left, ignore_code=False)
    # Training waits until there is another dataset.
    assert found == {"dataset": "labels has changed", "lyrics": None, "train": None}


def test_other_words_other_code_and_no_end_are_told_apart(settings: PipelineSettings) -> None:
    record = finished(settings, "train")
    now, left = state(settings, "train")
    longer = replace(settings, options={"train": {"epochs": 30}})
    assert why_stale(now_of(longer, "train"), record, left, ignore_code=False) == "the command is another one"
    other = replace(record, fingerprint=replace(now, code="older"))
    assert why_stale(now, other, left, ignore_code=False) == "the code has changed"
    assert why_stale(now, other, left, ignore_code=True) is None
    assert why_stale(now, replace(record, finished=None), left, ignore_code=True) == "it did not come to its end"
    assert why_stale(now, None, left, ignore_code=True) == "not run by the pipeline yet"


def test_a_training_under_way_is_no_change_of_its_run(settings: PipelineSettings) -> None:
    put(settings, "models/demo/model.keras")
    record = finished(settings, "score")
    put(settings, "models/demo/_unfinished/checkpoints/last.npz")
    now, left = state(settings, "score")
    assert why_stale(now, record, left, ignore_code=False) is None


def test_files_that_settings_name_count(settings: PipelineSettings, tmp_path: Path) -> None:
    mine = tmp_path / "mine.cls"
    mine.write_text("labels")
    own = replace(settings, options={"labels": {"source": f"mine={mine}"}})
    record = finished(own, "labels")
    mine.write_text("other labels")
    now, left = state(own, "labels")
    assert why_stale(now, record, left, ignore_code=False) == f"mine={mine} has changed"


def test_what_cannot_be_seen_is_run(settings: PipelineSettings) -> None:
    assert out_of_sight(commands(settings)["ingest"], settings) is None
    remote = replace(settings, warehouse="s3://b/w", options={"ingest": {"songs": ["s3://songs/a"]}})
    assert out_of_sight(commands(remote)["lyrics"], remote) is None
    assert out_of_sight(commands(remote)["ingest"], remote) == "s3://songs/a"


def test_records_are_of_a_dataset_or_a_run_where_the_table_is(settings: PipelineSettings) -> None:
    named = replace(settings, run="r", options={"dataset": {"name": "d"}})
    names = {stage: record_name(BY_NAME[stage], named) for stage in ("ingest", "dataset", "train", "report")}
    assert names == {
        "ingest": "ingest.json",
        "dataset": "dataset-d.json",
        "train": "train-r.json",
        "report": "report-r.json",
    }
    warehouse, record = Warehouse(settings.warehouse), finished(settings, "ingest")
    write_record(warehouse, "ingest.json", record)
    assert read_record(warehouse, "ingest.json") == record
    assert read_record(warehouse, "other.json") is None
    warehouse.write_json({"another": "version"}, "pipeline", "old.json")
    assert read_record(warehouse, "old.json") is None


def test_code_counts_where_a_script_imports_it_however_far_and_deep(tmp_path: Path) -> None:
    for name, text in {
        "jobs/a.py": "from msd_spark.one import f",
        "msd_spark/__init__.py": "",
        "msd_spark/one.py": "def f():\n    import msd_spark.two\n",
        "msd_spark/two.py": "X = 1",
        "msd_spark/three.py": "Y = 1",
        "msd_spark/assets/page.css": "a {}",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    def digest() -> str:
        return code_digest(tmp_path, "jobs/a.py", ["msd_spark/assets"])

    first = digest()
    (tmp_path / "msd_spark/three.py").write_text("Y = 2")
    assert digest() == first
    seen = {first}
    for name in ("msd_spark/two.py", "msd_spark/assets/page.css", "jobs/a.py"):
        (tmp_path / name).write_text((tmp_path / name).read_text() + "\n")
        seen.add(digest())
    assert len(seen) == 4


def test_every_stage_of_the_catalogue_is_there() -> None:
    assert all((REPOSITORY / stage.script).is_file() for stage in STAGES)
    written = {place for stage in STAGES for place in stage.writes}
    of_every_job = {"rejected"}
    assert {place for stage in STAGES for place in stage.reads} <= written | of_every_job
    assert len(set(NAMES)) == len(STAGES)


VALUES = st.integers(-(2**60), 2**60) | st.booleans() | st.text(st.characters(codec="utf-8"))
KEYS = st.from_regex(r"\A[a-z][a-z0-9-]{0,8}\Z")


@given(st.dictionaries(KEYS, VALUES | st.lists(VALUES, max_size=3) | st.dictionaries(KEYS, VALUES, max_size=3)))
def test_settings_that_are_kept_can_be_read_again(found: dict[str, object]) -> None:
    assert tomllib.loads(to_toml(found)) == found


def test_options_are_typed_as_their_kind_asks() -> None:
    options = {"a": 1, "b": [1, 2], "c": True, "d": False, "e": "x y"}
    assert list(words_of(options)) == ["--a", "1", "--b", "1", "2", "--c", "--e", "x y"]
    assert list(words_of({"source": ["m=1", "n=2"]})) == ["--source", "m=1", "--source", "n=2"]
    assert merge({"t": {"a": 1, "b": 2}}, {"t": {"b": 3}, "run": "r"}) == {"t": {"a": 1, "b": 3}, "run": "r"}
