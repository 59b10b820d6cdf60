"""Upload a local data folder to the data bucket."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from boto3.s3.transfer import TransferConfig
from tqdm import tqdm

from msd_spark.aws.clients import aws_errors, client
from msd_spark.core.data_folder import SONG_FOLDERS, SOURCES, TAGS
from msd_spark.core.summary import Summary

PART = 64 << 20
"""Bytes of one part of a large file."""

FILES_AT_ONCE, PARTS_AT_ONCE = 8, 4
"""Threads: a folder of many song files waits for the latency of S3, one of few archives for the network."""


def source_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield key and path of each file of a data folder that a stage may read, in order of the keys."""
    places = sorted({*SONG_FOLDERS, TAGS, *(place for place, _ in SOURCES.values())})
    for place in places:
        for path in sorted((folder / place).rglob("*")):
            if path.is_file() and not path.name.startswith("."):
                yield path.relative_to(folder).as_posix(), path


def missing_files(folder: Path, location: str, region: str) -> list[tuple[str, Path]]:
    """Return path and local file of each source of a data folder that has to be uploaded to ``s3://BUCKET[/PREFIX]``.

    A file has to be uploaded unless an object of its path has its size and is not older.
    """
    with aws_errors(f"upload to {location}"):
        objects = list_objects(location, region)
    missing = []
    for name, path in source_files(folder):
        status, known = path.stat(), objects.get(name)
        if known is None or status.st_size != known["Size"] or int(status.st_mtime) > known["LastModified"].timestamp():
            missing.append((name, path))
    return missing


def list_objects(location: str, region: str) -> dict[str, dict[str, Any]]:
    """Return S3's description of every object below ``s3://BUCKET[/PREFIX]``, by its path below it."""
    bucket, prefix = place_of(location)
    pages = client("s3", region).get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return {one["Key"].removeprefix(prefix): one for page in pages for one in page.get("Contents", [])}


def place_of(location: str) -> tuple[str, str]:
    """Return bucket and prefix of ``s3://BUCKET[/PREFIX]``; the prefix ends with a slash, or is empty."""
    bucket, _, prefix = location.removeprefix("s3://").partition("/")
    return bucket, f"{prefix.rstrip('/')}/" if prefix else ""


def upload(folder: Path, location: str, region: str) -> Summary:
    """Upload the sources of a data folder that are missing or have changed, so that an upload can be interrupted."""
    missing, summary = missing_files(folder, location, region), Summary("upload")
    bucket, prefix = place_of(location)
    n_files, n_bytes = sum(1 for _ in source_files(folder)), sum(path.stat().st_size for _, path in missing)
    config = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART, max_concurrency=PARTS_AT_ONCE)
    s3 = client("s3", region)
    with (
        aws_errors(f"upload to {location}"),
        tqdm(total=n_bytes, unit="B", unit_scale=True, desc="upload", file=sys.stderr, disable=None) as bar,
        ThreadPoolExecutor(FILES_AT_ONCE) as pool,
    ):

        def send(file: tuple[str, Path]) -> None:
            s3.upload_file(str(file[1]), bucket, prefix + file[0], Config=config, Callback=bar.update)

        for _ in pool.map(send, missing):
            pass
    summary.facts |= {"files": n_files, "uploaded": len(missing), "up to date": n_files - len(missing)}
    summary.facts["bytes uploaded"] = n_bytes
    return summary
