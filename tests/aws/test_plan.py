from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from msd_spark.aws import plan as plans
from msd_spark.aws.plan import machine_input, stack_plan
from msd_spark.aws.settings import AwsOptions
from msd_spark.aws.sizing import read_types
from msd_spark.aws.stack import Stack
from msd_spark.core.command_line import parse
from msd_spark.core.errors import UserError
from msd_spark.core.verbs import VERBS
from tests.aws.stacks import stack
from tests.support.data_folders import lay_out
from tests.support.object_store import ObjectStore


@pytest.fixture(scope="module")
def buckets(store: ObjectStore) -> ObjectStore:
    """The buckets of the stack, with songs and plays and no table, and one with songs only."""
    for bucket in ("raw", "warehouse", "no-plays", "mine"):
        store.create(bucket)
    store.put("raw", {"songs/A.tar": b"x", "tasteprofile/train_triplets.txt": b"x", "lastfm/lastfm_tags.db": b"x"})
    store.put("no-plays", {"songs/A.tar": b"x"})
    store.put("mine", {"msd/tasteprofile/train_triplets.txt.zip": b"x"})
    return store


@pytest.fixture(autouse=True)
def credentials(buckets: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in buckets.environment().items():
        monkeypatch.setenv(name, value)


def content(one: Stack, *words: str) -> dict[str, Any]:
    options = parse(AwsOptions, ["run", *words], VERBS["aws"])
    return machine_input(options, stack_plan(options, one, read_types()), one, read_types())


def test_stages_are_those_of_the_pipeline_in_three_phases() -> None:
    found = content(stack())
    assert {phase: [one["stage"] for one in found[phase]] for phase in plans.PHASES} == {
        "before": ["ingest", "lyrics", "labels", "plays", "factors", "dataset", "factor-neighbours"],
        "gpu": ["train", "listen"],
        "after": ["score", "neighbours", "maps", "report"],
    }
    (train, listen) = found["gpu"]
    assert train["command"] == (
        "horovodrun -np 4 training/train.py --epochs 20 --batch-size 128 --cache /mnt/nvme/cache --cache-gib 2831 "
        "--warehouse s3://warehouse --run demo --resume"
    )
    assert listen["command"] == "python training/listen.py --warehouse s3://warehouse --run demo"
    assert (train["seconds"], listen["seconds"]) == (86_400, 43_200)


def test_steps_read_the_data_bucket_and_are_parsed_by_their_verbs() -> None:
    found = content(stack(data="s3://mine/msd"), "--set", "dataset.tags=50", "--hours", "2")
    for one in found["before"] + found["after"]:
        program, script, *words = one["arguments"]
        assert (program, one["seconds"]) == ("spark-submit", 7200)
        verb = VERBS[script.removeprefix("/opt/msd-spark/code/jobs/").removesuffix(".py")]
        settings: Any = parse(verb.settings_class(), words, verb)
        assert settings.warehouse == "s3://warehouse"
        if one["stage"] in ("ingest", "lyrics", "labels", "plays"):
            assert settings.data == "s3://mine/msd"
    arguments = {one["stage"]: shlex.join(one["arguments"]) for one in found["before"]}
    assert "--tags 50" in arguments["dataset"]
    assert "--blocks 64" in arguments["factors"]  # 64 vCPUs are 8 nodes, each with 2 executors of 4 cores


def test_elastic_training_runs_from_one_worker_to_all() -> None:
    (train, _) = content(stack(gpu__elastic=True, gpu__workers=3))["gpu"]
    assert train["command"].startswith("horovodrun -np 4 --min-np 4 --max-np 12 training/train.py --epochs 20 ")
    assert "--elastic" in train["command"]


def test_without_plays_their_stages_are_left_out() -> None:
    found = content(stack(data="s3://no-plays"))
    assert [one["stage"] for one in found["before"]] == ["ingest", "lyrics", "labels", "dataset"]


def test_a_stack_without_workers_runs_spark_stages_only() -> None:
    with pytest.raises(UserError, match="train needs GPU workers, and the stack has none"):
        content(stack(gpu=None))
    assert content(stack(gpu=None), "--to", "dataset")["gpu"] == []
    with pytest.raises(UserError, match=r"run terraform .* output commands, and run the command `package`, then"):
        content(stack(gpu=None, release=None))
    with pytest.raises(UserError, match=r"ingest needs a cluster, and the stack has none; set emr\.enabled"):
        content(stack(emr__enabled=False))


def test_the_snapshot_is_copied_only_if_its_songs_are_read() -> None:
    assert content(stack(), "--source", "snapshot")["source"] == "snapshot"
    assert content(stack(), "--source", "snapshot", "--skip", "ingest")["source"] == "bucket"


def test_files_of_this_machine_are_refused() -> None:
    with pytest.raises(
        UserError, match=r"\[labels\] --cd1 is 'genres.cls', a file of this machine; copy it to s3://raw"
    ):
        content(stack(), "--set", "labels.cd1=genres.cls")
    content(stack(), "--set", "labels.cd1=s3://mine/genres.cls")


def test_uploaded_data_are_named_where_they_will_be(tmp_path: Path) -> None:
    lay_out(tmp_path, "songs/A.tar", "tasteprofile/train_triplets.txt", "additional/msd_duplicates.txt")
    found = content(stack(data="s3://no-plays"), "--source", "upload", "--data", f"{tmp_path}/")
    arguments = {one["stage"]: shlex.join(one["arguments"]) for one in found["before"]}
    assert "--data s3://no-plays " in arguments["plays"]
    assert "--duplicates s3://no-plays/additional/msd_duplicates.txt" in arguments["dataset"]
    assert found["source"] == "bucket"
    assert str(tmp_path) not in str(found)
