"""Songs in an object store: a local moto server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto import settings
from pyspark.sql import SparkSession

from msd_spark.core import object_store
from msd_spark.core.schemas import LEDGER_COUNTS
from msd_spark.ingest.job import ingest
from msd_spark.ingest.settings import IngestSettings
from msd_spark.synthetic.run import generate
from msd_spark.synthetic.settings import SyntheticSettings
from tests.awkward.test_ingest_inputs import MIXED, mixed
from tests.support.object_store import REGION, ObjectStore
from tests.support.submitted import submitted
from tests.support.tables import assert_same_songs, rejected, songs, sums
from tests.support.without_spark import ingest as ingest_here

N_SONGS = 150
N_KEYS = 2_001  # tiny keys in one folder, listed in pages of 1,000; every tenth is named like a song file


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "data"
    packaging = ("files", "tar", "tar.gz", "aggregate")
    generate(SyntheticSettings(songs=N_SONGS, seed=4, packaging=packaging, workers=1, broken=0), folder)
    return folder


@pytest.fixture(scope="module")
def local(spark: SparkSession, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse ingested from the same songs on a local disk."""
    uri = tmp_path_factory.mktemp("local")
    ingest(spark, IngestSettings((str(data / "songs"),), warehouse=str(uri)))
    return uri


def keys(folder: Path, pattern: str = "*.h5") -> dict[str, bytes]:
    paths = sorted(folder.rglob(pattern))
    return {path.relative_to(folder.parent).as_posix(): path.read_bytes() for path in paths}


def test_three_pages_of_tiny_keys_hide_no_song(store: ObjectStore, data: Path, local: Path, tmp_path: Path) -> None:
    names = [f"songs/T/N/Y/TRTNY{number:013d}.{'txt' if number % 10 else 'h5'}" for number in range(N_KEYS)]
    tiny = [name for name in names if name.endswith(".h5")]
    store.create("million")
    store.put("million", keys(data / "songs") | dict.fromkeys(names, b"tiny"))
    uri = tmp_path / "w"
    command = ["ingest.py", "--songs", "s3://million/songs", "--warehouse", str(uri)]
    with submitted(*command, log=tmp_path / "log", environment=store.environment()) as job:
        job.succeed()
    assert sums(uri) == (N_SONGS + len(tiny), N_SONGS, len(tiny), 0)
    refused = rejected(uri)
    assert {row["source"] for row in refused} == {f"s3://million/{key}" for key in tiny}
    assert {row["reason"] for row in refused} == {"not_hdf5"}
    assert_same_songs(uri, local, "source")
    track_id, source = (songs(uri)[name][0].as_py() for name in ("track_id", "source"))
    assert source == f"s3://million/songs/{'/'.join(track_id[2:5])}/{track_id}.h5"


@pytest.fixture
def here(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let this process use the server too: without Spark a test takes a second."""
    for name, value in store.environment().items():
        monkeypatch.setenv(name, value)
    object_store._store.cache_clear()
    yield
    object_store._store.cache_clear()


@pytest.mark.usefixtures("here")
def test_known_tracks_are_read_without_listing_and_missing_ones_are_rejected(
    store: ObjectStore, data: Path, local: Path, tmp_path: Path
) -> None:
    store.create("known")
    store.put("known", keys(data / "songs"))
    missing = [f"TRZZZZZ{number:011d}" for number in range(20)]
    tracks = (data / "additional" / "unique_tracks.txt").read_text().splitlines()
    (tmp_path / "tracks.txt").write_text("\n".join([*tracks, *missing]))
    uri = tmp_path / "w"
    ingest_here(uri, "s3://known/songs", track_ids=str(tmp_path / "tracks.txt"))
    assert sums(uri) == (N_SONGS + 20, N_SONGS, 20, 0)
    assert {(row["source"], row["reason"]) for row in rejected(uri)} == {
        (f"s3://known/songs/Z/Z/Z/{track_id}.h5", "not_found") for track_id in missing
    }
    assert_same_songs(uri, local, "source")


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("folder", "pattern"), [("tar", "*.tar"), ("tar", "*.tar.gz"), ("aggregate", "*.h5")], ids=["tar", "tar.gz", "many"]
)
def test_packed_songs_are_streamed(
    store: ObjectStore, data: Path, local: Path, tmp_path: Path, folder: str, pattern: str
) -> None:
    bucket = f"packed-{pattern.strip('*.').replace('.', '-')}"
    store.create(bucket)
    store.put(bucket, keys(data / folder, pattern))
    uri = tmp_path / "w"
    ingest_here(uri, f"s3://{bucket}/{folder[:2]}*")
    assert sums(uri) == (N_SONGS, N_SONGS, 0, 0)
    assert_same_songs(uri, local, "source", "member")


@pytest.mark.usefixtures("here")
def test_files_of_other_names_are_read_or_counted(store: ObjectStore, tmp_path: Path) -> None:
    folder = mixed(tmp_path / "songs")
    store.create("mixed")
    store.put_folder("mixed", folder, "songs")
    store.put("mixed", {"songs/": b"", "songs/A/": b""})  # as the console of S3 marks folders
    facts = [ingest_here(tmp_path / name, place).facts for name, place in (("a", folder), ("b", "s3://mixed/songs"))]
    assert facts[0]["skipped"] == sum(MIXED.values())
    assert [facts[0][name] for name in LEDGER_COUNTS] == [facts[1][name] for name in LEDGER_COUNTS]
    assert_same_songs(tmp_path / "a", tmp_path / "b", "source")


@pytest.fixture
def reader(store: ObjectStore, here: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use an account that may not read the keys under ``songs/A/``; the server enforces it."""
    options = {"endpoint_url": store.address, "region_name": REGION}
    iam = boto3.client("iam", aws_access_key_id="x", aws_secret_access_key="x", **options)
    iam.create_user(UserName="reader")
    statements = [
        {"Effect": "Allow", "Action": "s3:*", "Resource": "*"},
        {"Effect": "Deny", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::guarded/songs/A/*"},
    ]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_user_policy(UserName="reader", PolicyName="most", PolicyDocument=policy)
    key = iam.create_access_key(UserName="reader")["AccessKey"]
    monkeypatch.setattr(settings, "INITIAL_NO_AUTH_ACTION_COUNT", 0)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])


@pytest.mark.usefixtures("reader")
def test_denied_keys_are_rejected(store: ObjectStore, data: Path, tmp_path: Path) -> None:
    store.create("guarded")
    store.put("guarded", keys(data / "songs"))
    uri = tmp_path / "w"
    ingest_here(uri, "s3://guarded/songs")
    denied = {f"s3://guarded/songs/{path.relative_to(data / 'songs')}" for path in (data / "songs" / "A").rglob("*.h5")}
    assert denied
    assert {(row["source"], row["reason"]) for row in rejected(uri)} == {(source, "denied") for source in denied}
    assert sums(uri) == (N_SONGS, N_SONGS - len(denied), len(denied), 0)
