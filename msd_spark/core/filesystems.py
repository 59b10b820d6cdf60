"""Local paths and addresses, and the filesystem of each."""

from __future__ import annotations

import os
from functools import lru_cache
from urllib.parse import urlsplit

import pyarrow as pa
from pyarrow import fs

from msd_spark.core.errors import UserError

SCHEME_MARK = "://"

CONNECTIONS = 64
"""Concurrent requests of a process to a store."""


def is_local(location: str) -> bool:
    """Return whether a location is a path on this machine."""
    return SCHEME_MARK not in location or location.startswith("file://")


def open_location(location: str) -> tuple[fs.FileSystem, str, str]:
    """Return a location's filesystem, its path there, and the prefix that makes it an address.

    A location is a local path, or an address such as ``s3://bucket/key`` or ``hdfs://host/path``. For ``s3://``,
    ``AWS_ENDPOINT_URL_S3`` or ``AWS_ENDPOINT_URL`` selects another server than Amazon's.
    """
    if is_local(location):
        return fs.LocalFileSystem(), os.path.abspath(location.removeprefix("file://")), ""
    scheme, rest = location.split(SCHEME_MARK, 1)
    host, _, path = rest.partition("/")
    try:
        filesystem = _remote(scheme, host)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        raise UserError(f"{location} cannot be opened: {' '.join(str(error).split())}") from None
    # A path in an object store begins with the bucket, one in HDFS at the root.
    prefix = f"{scheme}{SCHEME_MARK}{host}" if scheme == "hdfs" else f"{scheme}{SCHEME_MARK}"
    inner = f"/{path}" if scheme == "hdfs" else f"{host}/{path}" if path else host
    return filesystem, inner.rstrip("/") or "/", prefix


def s3_endpoint() -> tuple[str | None, str]:
    """Return the address of the S3 server, None for Amazon's, and its region, from the environment."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    return endpoint, os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"


def make_folder(filesystem: fs.FileSystem, path: str) -> None:
    """Make a folder and those above it; an object store needs none."""
    if filesystem.type_name != "s3":
        filesystem.create_dir(path, recursive=True)


@lru_cache(maxsize=16)
def _remote(scheme: str, host: str) -> fs.FileSystem:
    pa.set_io_thread_count(CONNECTIONS)  # Arrow opens as many connections to a store
    endpoint, region = s3_endpoint()
    if scheme == "s3" and endpoint:
        parts = urlsplit(endpoint)
        return fs.S3FileSystem(endpoint_override=parts.netloc, scheme=parts.scheme, region=region)
    return fs.FileSystem.from_uri(f"{scheme}{SCHEME_MARK}{host}/")[0]
