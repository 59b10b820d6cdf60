"""Upload a local data folder to the data bucket."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

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


def upload(folder: Path, location: str, region: str) -> Summary:
    """Upload the sources of a data folder to ``s3://BUCKET[/PREFIX]``.

    A file is uploaded unless an object of its key has its size and is not older, so that the next upload sends only
    what is missing or has changed.
    """
    bucket, _, prefix = location.removeprefix("s3://").partition("/")
    s3, summary = client("s3", region), Summary("upload")
    with aws_errors(f"upload to {location}"):
        there = {
            one["Key"]: (one["Size"], one["LastModified"].timestamp())
            for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            for one in page.get("Contents", [])
        }
        files = [("/".join(filter(None, (prefix.rstrip("/"), key))), path) for key, path in source_files(folder)]
        missing = []
        for key, path in files:
            status, (size, modified) = path.stat(), there.get(key, (-1, 0.0))
            if status.st_size != size or int(status.st_mtime) > modified:
                missing.append((key, path))
        n_bytes = sum(path.stat().st_size for _, path in missing)
        config = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART, max_concurrency=PARTS_AT_ONCE)
        with (
            tqdm(total=n_bytes, unit="B", unit_scale=True, desc="upload", file=sys.stderr, disable=None) as bar,
            ThreadPoolExecutor(FILES_AT_ONCE) as pool,
        ):
            for _ in pool.map(
                lambda one: s3.upload_file(str(one[1]), bucket, one[0], Config=config, Callback=bar.update), missing
            ):
                pass
    summary.facts |= {"files": len(files), "uploaded": len(missing), "up to date": len(files) - len(missing)}
    summary.facts["bytes uploaded"] = n_bytes
    return summary
