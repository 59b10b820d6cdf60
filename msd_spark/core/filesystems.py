"""Local paths and addresses, and the filesystem of each."""

from __future__ import annotations

import contextlib
import os
import re
import uuid
from collections.abc import Iterator, Sequence
from functools import lru_cache, partial

import pyarrow as pa
from pyarrow import fs

from msd_spark.core.errors import UserError
from msd_spark.core.object_store import PIECE, Bucket

SCHEME_MARK = "://"

CONNECTIONS = 64
"""Threads with which Arrow reads from a store."""


def is_local(location: str) -> bool:
    """Return whether a location is a path on this machine."""
    return SCHEME_MARK not in location or location.lower().startswith("file:")


def local_path(location: str) -> str:
    """Return the path of a local location, such as ``/x``, ``file:/x`` or ``file:///x``.

    Raises `UserError` without a path.
    """
    if "\0" in location:
        raise UserError(f"location {location[:100]!r} has a NUL character; is it the content of another file?")
    path = re.sub("^file:(//(localhost)?(?=/))?", "", location, flags=re.IGNORECASE)
    scheme = re.match("([A-Za-z][A-Za-z0-9+.-]+):/", path)
    if scheme:
        raise UserError(f"location {location!r} has one slash after its scheme; write {scheme[1]}://…, or ./{location}")
    if path.startswith("~"):
        remedy = "write $HOME, or ./~ for a name that begins with ~"
        raise UserError(f"location {location!r} begins with ~, which a shell replaces only without quotes; {remedy}")
    if not path or (path != location and not re.match("/[^/]", path)):
        raise UserError(f"location {location!r} has no path; write /PATH or file:///PATH (is a shell variable unset?)")
    return path


def open_location(location: str) -> tuple[fs.FileSystem, str, str]:
    """Return a location's filesystem, its path there, and the prefix that makes it an address.

    A location is a local path, or an address such as ``s3://bucket/key`` or ``hdfs://host/path``. For ``s3://``,
    ``AWS_ENDPOINT_URL_S3`` or ``AWS_ENDPOINT_URL`` selects another server than Amazon's.
    """
    if is_local(location):
        return fs.LocalFileSystem(), os.path.abspath(local_path(location)), ""
    scheme, rest = location.split(SCHEME_MARK, 1)
    scheme = scheme.lower()
    if scheme in ("s3a", "s3n"):
        raise UserError(f"{location} cannot be opened: {scheme} is a name of Hadoop's; use s3://{rest}")
    host, _, path = rest.partition("/")
    if scheme == "s3" and not host:
        raise UserError(f"{location} has no bucket; write s3://BUCKET/PATH (is a shell variable unset?)")
    try:
        filesystem = _remote(scheme, host)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        raise UserError(f"{location} cannot be opened: {' '.join(str(error).split())}") from None
    # A path in an object store begins with the bucket, one in HDFS at the root.
    prefix = f"{scheme}{SCHEME_MARK}{host}" if scheme == "hdfs" else f"{scheme}{SCHEME_MARK}"
    inner = f"/{path}" if scheme == "hdfs" else f"{host}/{path}" if path else host
    return filesystem, inner.rstrip("/") or "/", prefix


def require_file(filesystem: fs.FileSystem, path: str, location: str) -> fs.FileInfo:
    """Return size and time of a file; `UserError` if the location is not a file."""
    info = filesystem.get_file_info(path)
    if not info.is_file:
        if info.type == fs.FileType.NotFound:
            raise UserError(f"no file {location}")
        kind = "a folder" if info.type == fs.FileType.Directory else "a pipe or a device"
        raise UserError(f"{location} is {kind}; name a file")
    return info


def file_pieces(filesystem: fs.FileSystem, path: str) -> Iterator[bytes | memoryview]:
    """Yield the bytes of a file, in pieces of at most `PIECE` bytes."""
    if isinstance(filesystem, fs.PyFileSystem):
        yield from filesystem.handler.pieces(path)
    else:
        with filesystem.open_input_stream(path, compression=None) as stream:
            yield from iter(partial(stream.read, PIECE), b"")


def copied_pieces(filesystem: fs.FileSystem, path: str) -> Iterator[bytes | memoryview]:
    """Yield the bytes of a file to copy, from an object store by one request."""
    if isinstance(filesystem, fs.PyFileSystem):
        return filesystem.handler.stream(path)
    return file_pieces(filesystem, path)


def delete_files(filesystem: fs.FileSystem, paths: Sequence[str]) -> None:
    """Delete files; those that are already gone are no error."""
    if isinstance(filesystem, fs.PyFileSystem):
        filesystem.handler.delete_files(paths)
        return
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            filesystem.delete_file(path)


def write_atomically(filesystem: fs.FileSystem, path: str, content: bytes) -> None:
    """Write a file; no reader sees a part of it."""
    filesystem.create_dir(path.rsplit("/", 1)[0], recursive=True)
    if isinstance(filesystem, fs.PyFileSystem):  # an object appears when it is complete
        _write(filesystem, path, content)
        return
    unfinished = f"{path}.{uuid.uuid4().hex[:12]}"
    try:
        _write(filesystem, unfinished, content)
        filesystem.move(unfinished, path)
    except BaseException:
        with contextlib.suppress(OSError):
            filesystem.delete_file(unfinished)
        raise


def _write(filesystem: fs.FileSystem, path: str, content: bytes) -> None:
    with filesystem.open_output_stream(path, compression=None) as sink:
        sink.write(content)


@lru_cache(maxsize=16)
def _remote(scheme: str, host: str) -> fs.FileSystem:
    pa.set_io_thread_count(CONNECTIONS)
    if scheme == "s3":
        return fs.PyFileSystem(Bucket(host))
    return fs.FileSystem.from_uri(f"{scheme}{SCHEME_MARK}{host}/")[0]
