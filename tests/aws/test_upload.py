from __future__ import annotations

import itertools
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from msd_spark.aws import upload as uploads
from msd_spark.aws.clients import client
from msd_spark.aws.upload import source_files, upload
from msd_spark.core.errors import UserError
from tests.support.object_store import REGION, ObjectStore

FILES = {
    "songs/A/A.tar": b"a" * 1000,
    "songs/A/B.tar": b"b" * 2000,
    "lastfm/lastfm_tags.db": b"tags",
    "additional/msd_duplicates.txt": b"duplicates",
    "musixmatch/mxm_dataset_train.txt": b"lyrics",
}


@pytest.fixture(autouse=True)
def credentials(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in store.environment().items():
        monkeypatch.setenv(name, value)
    client.cache_clear()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in {**FILES, "notes/x.txt": b"not a source", "songs/.part": b"unfinished"}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path


def test_the_sources_of_a_folder_and_nothing_else(folder: Path) -> None:
    assert dict(source_files(folder)) == {name: folder / name for name in FILES}


def test_an_interrupted_upload_goes_on_with_what_is_missing(
    store: ObjectStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.create("uploads")
    s3 = client("s3", REGION)
    send, attempts = s3.upload_file, itertools.count(1)

    def fails_at_the_third(path: str, bucket: str, key: str, **options: Any) -> None:
        if next(attempts) > 2:
            raise KeyboardInterrupt
        send(path, bucket, key, **options)

    monkeypatch.setattr(s3, "upload_file", fails_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        upload(folder, "s3://uploads/msd", REGION)
    monkeypatch.setattr(s3, "upload_file", send)
    facts = upload(folder, "s3://uploads/msd/", REGION).facts
    assert (facts["files"], facts["uploaded"], facts["up to date"]) == (5, 3, 2)
    assert store.contents("uploads", "msd/") == FILES


def test_a_file_that_has_changed_is_uploaded_again(store: ObjectStore, folder: Path) -> None:
    store.create("changes")
    assert upload(folder, "s3://changes", REGION).facts["bytes uploaded"] == sum(map(len, FILES.values()))
    assert upload(folder, "s3://changes", REGION).facts["bytes uploaded"] == 0
    changed = folder / "lastfm" / "lastfm_tags.db"
    changed.write_bytes(b"gats")
    os.utime(changed, (time.time() + 5,) * 2)
    assert upload(folder, "s3://changes", REGION).facts["bytes uploaded"] == 4
    assert store.get("changes", "lastfm/lastfm_tags.db") == b"gats"


def test_small_files_are_sent_at_the_same_time(
    store: ObjectStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.create("together")
    s3 = client("s3", REGION)
    send, all_at_once = s3.upload_file, threading.Barrier(len(FILES), timeout=20)

    def waits_for_the_others(*arguments: Any, **options: Any) -> None:
        all_at_once.wait()
        send(*arguments, **options)

    monkeypatch.setattr(s3, "upload_file", waits_for_the_others)
    upload(folder, "s3://together", REGION)
    assert store.contents("together") == FILES


def test_large_files_are_sent_in_parts(store: ObjectStore, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "PART", 5 << 20)
    content = os.urandom(11 << 20)
    (folder / "songs" / "A" / "A.tar").write_bytes(content)
    store.create("large")
    upload(folder, "s3://large", REGION)
    assert store.get("large", "songs/A/A.tar") == content
    assert client("s3", REGION).head_object(Bucket="large", Key="songs/A/A.tar")["ETag"].endswith('-3"')


def test_a_bucket_that_does_not_exist(folder: Path) -> None:
    with pytest.raises(UserError, match=r"upload to s3://nowhere: .*NoSuchBucket"):
        upload(folder, "s3://nowhere", REGION)
