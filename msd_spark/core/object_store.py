"""A bucket of S3, or of a server that speaks its protocol, as a pyarrow filesystem.

Requests are those of `obstore`, which repeats a failed one after a pause that grows and varies. A file is one PUT
unless it is large. A stream is read in large pieces; ranges of a known file are fetched concurrently.

References
----------
.. [1] "Error responses", https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
"""

from __future__ import annotations

import io
import os
import random
import re
import tempfile
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache, partial
from operator import itemgetter
from typing import Any, TypeVar

import obstore
import pyarrow as pa
from obstore.exceptions import BaseError, NotFoundError, PreconditionError
from obstore.store import S3Store
from pyarrow import fs

from msd_spark.core.seekable import Seekable

T = TypeVar("T")

PIECE = 8 << 20
"""Maximum bytes per request: at 20 ms per request, a smaller piece would wait longer than it transfers."""

STREAMED = 256 << 10
"""Bytes per piece of a file that is copied: small enough for the processor's cache, which halves the time of a copy."""

CONNECTIONS = 8
"""Concurrent requests for the ranges of a file."""

TAIL = 256 << 10
"""Bytes of the first request of random access: a Parquet file's footer is at its end."""

LARGEST_PUT = 32 << 20
"""Larger files are written in parts of this many bytes."""

RETRIES = 10
"""Attempts after a failed one."""

REFRESHES = 3
"""Attempts with newly read credentials after expired ones."""

EXPIRED = ("ExpiredToken", "RequestExpired", "InvalidToken", "TokenRefreshRequired")

CREDENTIALS = "check the credentials (AWS_PROFILE, AWS_ACCESS_KEY_ID, the machine's role) and the machine's clock"

OVERLOADED = "the store is overloaded; run the same command again, with fewer workers"

CONNECTION = "check the network and AWS_ENDPOINT_URL"

REMEDIES = {
    **dict.fromkeys((*EXPIRED, "InvalidAccessKeyId", "SignatureDoesNotMatch"), CREDENTIALS),
    "AccessDenied": "check the policies of the role and of the bucket",
    "NoSuchBucket": "check the name of the bucket",
    "PermanentRedirect": "the bucket is in another region; set AWS_REGION",
    "SlowDown": OVERLOADED,
}
"""What to check, by the code of an error."""


def s3_endpoint(bucket: str) -> tuple[str | None, str]:
    """Return the address of the S3 server, None for Amazon's, and the bucket's region."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    return endpoint, _region(bucket) if endpoint is None else _stated_region() or "us-east-1"


def _stated_region() -> str | None:
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")


@lru_cache(maxsize=64)
def _region(bucket: str) -> str:
    """Return the region that Amazon names for a bucket."""
    try:
        return str(fs.resolve_s3_region(bucket))
    except OSError:  # offline, or no such bucket: the first request names the error
        return _stated_region() or "us-east-1"


def _credentials() -> Any:
    """Return what reads the credentials of the environment, a profile or the machine's role."""
    # Imported here, because boto3 takes as long to import as pyarrow, and local files need neither credentials nor it.
    from botocore.exceptions import BotoCoreError
    from obstore.auth.boto3 import Boto3CredentialProvider

    try:
        return Boto3CredentialProvider(ttl=timedelta(minutes=5))
    except (ValueError, BotoCoreError) as error:
        raise PermissionError(f"no credentials: {error}; {CREDENTIALS}") from None


@lru_cache(maxsize=16)
def _store(bucket: str, endpoint: str | None, region: str) -> S3Store:
    """Return the client of a bucket, one per process.

    It requests credentials again before they expire.
    """
    server: dict[str, Any] = {"endpoint": endpoint} if endpoint else {}  # None is refused
    return S3Store(
        bucket,
        **server,
        region=region,
        credential_provider=_credentials(),
        client_options={
            "allow_http": True,
            "timeout": timedelta(seconds=60),
            "connect_timeout": timedelta(seconds=10),
        },
        retry_config={
            "max_retries": RETRIES,
            "retry_timeout": timedelta(minutes=3),
            "backoff": {"init_backoff": timedelta(seconds=0.1), "max_backoff": timedelta(seconds=15), "base": 2},
        },
    )


@dataclass(frozen=True)
class Bucket(fs.FileSystemHandler):  # type: ignore[misc]  # pyarrow has no types
    """The methods that `pyarrow.fs.PyFileSystem` calls.

    Paths are ``bucket/key``; folders exist by their files.
    """

    name: str

    def request(self, path: str, send: Callable[[S3Store, str], T]) -> T:
        """Return the answer to a request for a path; credentials that have expired are read again.

        Raises `FileNotFoundError`, `PermissionError` or `OSError` with the path and what to check.
        """
        key = path.removeprefix(self.name).strip("/")
        for attempt in range(REFRESHES + 1):
            try:
                store = _store(self.name, *s3_endpoint(self.name))
            except PermissionError as error:
                raise PermissionError(f"s3://{path}: {error}") from None
            try:
                return send(store, key)
            except (BaseError, OSError) as error:
                if attempt == REFRESHES or not any(code in str(error) for code in EXPIRED):
                    raise os_error(error, path) from error
                _store.cache_clear()
                time.sleep(random.uniform(0, 2.0**attempt))
        raise AssertionError("unreachable")

    def get_type_name(self) -> str:
        """Return the kind of filesystem."""
        return "s3"

    def normalize_path(self, path: str) -> str:
        """Return the path."""
        return path

    def get_file_info(self, paths: Sequence[str]) -> list[fs.FileInfo]:
        """Return what is at each path."""
        return [self._info(path) for path in paths]

    def _info(self, path: str) -> fs.FileInfo:
        try:
            if path.strip("/") != self.name:
                return _file_info(path, self.request(path, obstore.head))
        except FileNotFoundError:
            pass
        try:
            below = self.request(path, lambda store, key: next(iter(obstore.list(store, key, chunk_size=1)), None))
        except FileNotFoundError:
            below = None
        return fs.FileInfo(path, fs.FileType.Directory if below else fs.FileType.NotFound)

    def get_file_info_selector(self, selector: fs.FileSelector) -> list[fs.FileInfo]:
        """Return what is in a folder; if the selection is recursive, all files and no folders."""

        def send(store: S3Store, key: str) -> tuple[Sequence[Any], Sequence[str]]:
            if selector.recursive:
                return [item for chunk in obstore.list(store, key, chunk_size=1000) for item in chunk], ()
            answer = obstore.list_with_delimiter(store, key)
            return answer["objects"], answer["common_prefixes"]

        files, folders = self.request(selector.base_dir, send)
        infos = [fs.FileInfo(f"{self.name}/{folder}", fs.FileType.Directory) for folder in folders]
        infos += [_file_info(f"{self.name}/{item['path']}", item) for item in files]
        if not infos and not selector.allow_not_found:
            raise FileNotFoundError(f"s3://{selector.base_dir} does not exist")
        return infos

    def create_dir(self, path: str, recursive: bool) -> None:
        """Do nothing: a folder exists when it has a file."""

    def delete_dir(self, path: str) -> None:
        """Delete all files below a path."""
        infos = self.get_file_info_selector(fs.FileSelector(path, recursive=True, allow_not_found=True))
        self.delete_files([info.path for info in infos])

    def delete_dir_contents(self, path: str, missing_dir_ok: bool = False) -> None:
        """Delete all files below a path."""
        self.delete_dir(path)

    def delete_file(self, path: str) -> None:
        """Delete a file; no error if it is missing."""
        self.request(path, obstore.delete)

    def delete_files(self, paths: Sequence[str]) -> None:
        """Delete many files, a thousand per request."""
        keys = [path.removeprefix(f"{self.name}/") for path in paths]
        if keys:
            self.request(paths[0], lambda store, _: obstore.delete(store, keys))

    def copy_file(self, src: str, dest: str) -> None:
        """Copy a file."""
        self.request(src, lambda store, key: obstore.copy(store, key, dest.removeprefix(f"{self.name}/")))

    def pieces(self, path: str) -> Iterator[memoryview]:
        """Yield the bytes of a file, in large pieces."""
        at, size, same = 0, 1, dict[str, Any]()
        while at < size:
            _, piece, size, tag = self._get(path, {"range": (at, at + PIECE), **same})
            same = {"if_match": tag} if tag else {}
            yield memoryview(piece)
            at += len(piece)

    def stream(self, path: str) -> Iterator[memoryview]:
        """Yield the bytes of a file by one request, in small pieces."""
        answer = self.request(path, obstore.get)
        try:
            for piece in answer.stream(min_chunk_size=STREAMED):
                yield memoryview(piece)
        except BaseError as error:
            raise os_error(error, path) from error

    def open_input_stream(self, path: str) -> pa.NativeFile:
        """Open a file for reading from its start."""
        return self._opened(path, {"range": (0, PIECE)}, PIECE)

    def open_input_file(self, path: str) -> pa.NativeFile:
        """Open a file for random access."""
        return self._opened(path, {"range": {"suffix": TAIL}}, 0)

    def _opened(self, path: str, first: Any, ahead: int) -> pa.NativeFile:
        start, piece, size, tag = self._get(path, first)
        if len(piece) == size:
            return pa.BufferReader(pa.py_buffer(piece))
        return pa.PythonFile(_Reader(self, path, size, tag, [(start, memoryview(piece))], ahead), mode="r")

    def open_ranges(self, path: str, size: int, ranges: Sequence[tuple[int, int]]) -> pa.NativeFile:
        """Open a file of known size for random access; fetch sorted ranges of it concurrently."""
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            answers = list(pool.map(lambda span: self._get(path, {"range": span}), ranges))
        pieces = [(start, memoryview(piece)) for start, piece, _, _ in answers]
        return pa.PythonFile(_Reader(self, path, size, answers[0][3] if answers else None, pieces, 0), mode="r")

    def _get(self, path: str, options: Any) -> tuple[int, Any, int, str | None]:
        """Return position and bytes of a range, the size of its file and the tag of its version."""

        def send(store: S3Store, key: str) -> tuple[int, Any, int, str | None]:
            try:
                answer = obstore.get(store, key, options=options)
            except (BaseError, OSError) as error:
                if not any(sign in str(error) for sign in ("status code: 416", "non-partial response")):
                    raise
                answer = obstore.get(store, key)  # an empty file has no range
            return answer.range[0], answer.bytes(), answer.meta["size"], answer.meta["e_tag"]

        return self.request(path, send)

    def open_output_stream(self, path: str, metadata: Any) -> pa.NativeFile:
        """Open a file for writing; it appears when it is closed."""
        return pa.PythonFile(_Writer(self, path), mode="w")

    def _refuse(self, path: str = "", *_: Any) -> Any:
        raise NotImplementedError(f"s3://{path or self.name}: this operation is not supported in an object store")

    move = open_append_stream = delete_root_dir_contents = _refuse


class _Reader(Seekable):
    """A file of which sorted pieces are in memory.

    A read outside them fetches another, which replaces them.
    """

    def __init__(
        self, bucket: Bucket, path: str, size: int, tag: str | None, pieces: list[tuple[int, memoryview]], ahead: int
    ) -> None:
        super().__init__(size)
        self._bucket, self._path, self._tag = bucket, path, tag
        self._pieces, self._ahead = pieces, ahead

    def read(self, size: int | None = -1) -> bytes:
        n_bytes = max(0, self._size - self._at)
        n_bytes = n_bytes if size is None or size < 0 else min(size, n_bytes)
        parts = []
        while n_bytes:
            number = bisect_right(self._pieces, self._at, key=itemgetter(0)) - 1
            start, piece = self._pieces[number] if number >= 0 else (0, memoryview(b""))
            part = piece[self._at - start :][:n_bytes]
            if not len(part):
                stop = min(self._size, self._at + max(n_bytes, self._ahead))
                options = {"range": (self._at, stop), "if_match": self._tag}
                self._pieces = [(self._at, memoryview(self._bucket._get(self._path, options)[1]))]
                continue
            parts.append(part)
            self._at += len(part)
            n_bytes -= len(part)
        return b"".join(parts)


class _Writer(io.RawIOBase):
    """Collects a file and writes it when it is closed."""

    def __init__(self, bucket: Bucket, path: str) -> None:
        self._bucket, self._path = bucket, path
        self._content = tempfile.SpooledTemporaryFile(LARGEST_PUT)  # noqa: SIM115  # closed by `close`

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return self._content.write(data)

    def close(self) -> None:
        if not self.closed:
            super().close()
            with self._content as content:
                self._bucket.request(self._path, partial(_put, content))


def _put(content: Any, store: S3Store, key: str) -> None:
    n_bytes = content.tell()
    content.seek(0)  # a repeated request sends it again
    # obstore sends bytes without copying them; it copies each part of a file object several times.
    obstore.put(store, key, content.read() if n_bytes <= LARGEST_PUT else content, chunk_size=LARGEST_PUT)


def _file_info(path: str, meta: Any) -> fs.FileInfo:
    return fs.FileInfo(path, fs.FileType.File, size=meta["size"], mtime=meta["last_modified"])


def os_error(error: Exception, path: str) -> OSError:
    """Return an error of `obstore` as Python's.

    It has the path, the store's own words and what to check.
    """
    text = " ".join(re.sub(r"\x1b\[\d+m|↳", "", str(error).split("Debug source")[0]).split())
    stated = re.search("<Code>(.*?)</Code>.*?<Message>(.*?)</Message>", text)
    status = re.search(r"status code: (\d+)", text)
    code = stated[1] if stated else status[1] if status else ""
    if isinstance(error, (FileNotFoundError, NotFoundError)) and code != "NoSuchBucket":
        return FileNotFoundError(f"s3://{path} does not exist")
    if isinstance(error, PreconditionError):
        return OSError(f"s3://{path} changed while it was read; run the same command again")
    if "redirect" in text:
        code = "PermanentRedirect"
    by_status = {"401": CREDENTIALS, "403": REMEDIES["AccessDenied"]}.get(status[1] if status else "", CONNECTION)
    remedy = REMEDIES.get(code, OVERLOADED if status and status[1] >= "500" else by_status)
    kind = PermissionError if remedy in (CREDENTIALS, REMEDIES["AccessDenied"]) else OSError
    details = f"{code}: {stated[2].rstrip('.')}" if stated else text.rsplit(" - ", 1)[-1].rstrip(":")
    return kind(f"s3://{path}: {details}; {remedy}")
