"""What is finished after executions, and what the next one runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from msd_spark.aws.execution import DONE, FAILED, WAITING, Execution, StageRun
from msd_spark.aws.finished import Finished, finished_after, list_data, remaining, with_digests
from msd_spark.aws.plan import commands, machine_input, stack_plan
from msd_spark.aws.settings import AwsOptions
from msd_spark.aws.sizing import read_types
from msd_spark.core.command_line import parse
from msd_spark.core.verbs import VERBS
from msd_spark.pipeline.settings import Plan
from msd_spark.pipeline.stages import NAMES
from tests.aws.stacks import stack
from tests.support.object_store import REGION, ObjectStore

START = datetime(2026, 1, 1, tzinfo=UTC)
FILES = {
    "songs/A.tar": (1, "a"),
    "musixmatch/train.txt": (1, "b"),
    "tagtraum/cd1.cls": (1, "c"),
    "tasteprofile/train_triplets.txt": (1, "d"),
}


@pytest.fixture(scope="module")
def buckets(store: ObjectStore) -> ObjectStore:
    for bucket in ("finished-data", "finished-tables"):
        store.create(bucket)
    store.put("finished-data", dict.fromkeys(FILES, b"x"))
    return store


@pytest.fixture(autouse=True)
def credentials(buckets: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in buckets.environment().items():
        monkeypatch.setenv(name, value)


def input_of(*words: str, files: Any = FILES, release: str = "a") -> tuple[dict[str, Any], Plan]:
    """Return the input of the machine with all stages, and the plan."""
    options = parse(AwsOptions, ["run", *words], VERBS["aws"])
    one = stack(release={"code": release}, data="s3://finished-data", warehouse="s3://finished-tables")
    plan = stack_plan(options, one, read_types())
    return with_digests(machine_input(options, plan, one, read_types()), files, one.data, one.warehouse), plan


def executed(content: dict[str, Any], hour: int, failed: str = "") -> Execution:
    """Return an execution in which every stage is done until the one that failed."""
    stages: dict[str, StageRun] = {}
    state = DONE
    for minute, name in enumerate(commands(content)):
        end = START + timedelta(hours=hour, minutes=minute)
        state = FAILED if name == failed else WAITING if state != DONE else DONE
        stages[name] = StageRun(name, state, 1, end, end) if state != WAITING else StageRun(name)
    return Execution("arn:x:run", "SUCCEEDED", START, None, content, "", "", stages)


def left(finished: Finished, *words: str, ignore_code: bool = False, **changes: Any) -> list[str]:
    """Return the stages that the next execution runs."""
    content, plan = input_of(*words, **changes)
    return list(commands(remaining(content, finished, plan, ignore_code=ignore_code)))


def test_nothing_is_left_after_all_stages() -> None:
    finished = finished_after(executed(input_of()[0], 1))
    assert left(finished) == []
    assert left({}) == list(commands(input_of()[0]))
    assert sorted(left({})) == sorted(NAMES)


def test_a_run_that_fails_twice_goes_on_where_it_failed_last() -> None:
    content, plan = input_of()
    first = executed(content, 1, failed="train")
    second_input = {**remaining(content, finished_after(first), plan), "finished": finished_after(first)}
    assert next(iter(commands(second_input))) == "train"
    second = executed(second_input, 2, failed="maps")
    assert left(finished_after(second)) == ["maps", "report"]


def test_a_source_that_changes_is_read_again_by_its_stage_and_those_after_it() -> None:
    finished = finished_after(executed(input_of()[0], 1))
    again = left(finished, files=FILES | {"tagtraum/cd1.cls": (1, "changed")})
    assert again[:3] == ["labels", "dataset", "factor-neighbours"]
    assert not {"ingest", "lyrics", "plays", "factors"} & set(again)
    assert {"train", "score", "report"} <= set(again)


def test_another_command_or_release_runs_again() -> None:
    finished = finished_after(executed(input_of()[0], 1))
    assert left(finished, "--set", "maps.seed=3") == ["maps", "report"]
    assert len(left(finished, release="b")) == len(NAMES)
    assert left(finished, release="b", ignore_code=True) == []


def test_tables_that_another_run_has_written_since_are_noticed() -> None:
    mine = executed(input_of()[0], 1)
    other = {**input_of("--run", "other", "--only", "ingest", "--set", "ingest.limit=5")[0]}
    finished = finished_after(executed({**other, "finished": finished_after(mine)}, 2))
    assert left(finished)[0] == "ingest"  # it had other options
    again = {**input_of("--run", "other", "--only", "ingest")[0], "finished": finished}
    later = left(finished_after(executed(again, 3)))
    assert later[:3] == ["plays", "factors", "dataset"]  # they read songs/ before it was written


def test_sources_elsewhere_may_have_changed() -> None:
    finished = finished_after(executed(input_of("--set", "ingest.songs=s3://mine/songs")[0], 1))
    assert left(finished, "--set", "ingest.songs=s3://mine/songs")[0] == "ingest"


def test_an_execution_that_was_started_by_hand_finishes_nothing() -> None:
    stages = {"ingest": StageRun("ingest", DONE, 1, START, START)}
    by_hand = {"before": [{"stage": "ingest", "arguments": ["x"]}]}
    assert finished_after(Execution("arn:x:run", "SUCCEEDED", START, None, by_hand, "", "", stages)) == {}
    assert finished_after(None) == {}


def test_the_data_folder_is_listed_below_its_prefix(store: ObjectStore) -> None:
    store.create("listed")
    store.put("listed", {"msd/songs/A.tar": b"four", "other/x": b"x"})
    files = list_data("s3://listed/msd", REGION)
    assert {name: size for name, (size, _) in files.items()} == {"songs/A.tar": 4}
    store.put("listed", {"msd/songs/A.tar": b"five"})
    assert list_data("s3://listed/msd", REGION) != files
