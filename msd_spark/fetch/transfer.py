"""Download one file over HTTP: resume, retry with back-off, verify the declared size.

References
----------
.. [1] RFC 9110, "HTTP Semantics": 13.1.5 If-Range, 14.2 Range, 14.4 Content-Range, 15.5.17 status 416.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass

import requests
from tqdm import tqdm
from urllib3.exceptions import HTTPError, InvalidHeader, MaxRetryError
from urllib3.util import Retry

from msd_spark.core.errors import UserError
from msd_spark.fetch.part_file import PartFile, Version
from msd_spark.fetch.sources import MirrorError

TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Status codes that are worth another request."""

SPARE_BYTES = 64 << 20
"""Disk space to leave free."""

_CHUNK = 1 << 18
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_PAGE = re.compile(rb"\s*(<!doctype html|<html|<head|<\?xml[^>]*>\s*<!doctype html)", re.IGNORECASE)


class InterruptedTransferError(Exception):
    """One request did not complete the file; another may, after `wait` seconds if given."""

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


@dataclass(frozen=True)
class Patience:
    """Retries of a download; times are in seconds.

    The next mirror is tried after `attempts` consecutive requests that receive no byte. The second request follows at
    once, the third after twice `backoff` plus a random part of it; then the wait doubles each time, up to
    `longest_backoff`. A server may ask to wait for `longest_wait` (``Retry-After``). The timeouts are for
    connecting and for receiving the next bytes.
    """

    attempts: int = 6
    backoff: float = 1.0
    longest_backoff: float = 60.0
    longest_wait: float = 300.0
    timeouts: tuple[float, float] = (20.0, 60.0)
    pause: Callable[[float], None] = time.sleep

    def retry(self) -> Retry:
        """Return the count of attempts and the waits between them."""
        return Retry(
            self.attempts - 1,
            backoff_factor=self.backoff,
            backoff_jitter=self.backoff,
            backoff_max=self.longest_backoff,
        )


def download(
    session: requests.Session,
    address: str,
    part: PartFile,
    patience: Patience,
    *,
    size: int | None = None,
    spare: int = 0,
) -> None:
    """Download a file completely, resuming from the bytes in `part`.

    `size` is in bytes, and `spare` are bytes of disk space needed besides the file. Raises MirrorError if this address
    does not have the file, and UserError if the disk has no room for it.
    """
    retry = patience.retry()
    while not part.is_complete or (size is not None and part.size != size):
        before = part.size
        try:
            _request(session, address, part, patience, size, spare)
            return
        except InterruptedTransferError as error:
            if part.size > before:
                retry = patience.retry()  # only requests without progress are counted
            try:
                retry = retry.increment("GET", address, error=error)
            except MaxRetryError:
                raise MirrorError(f"{error}, {patience.attempts} times") from None
            if error.wait is not None and error.wait > patience.longest_wait:
                raise MirrorError(f"{error}; the server asks to wait for {error.wait:.0f} seconds") from None
            patience.pause(retry.get_backoff_time() if error.wait is None else error.wait)


def _request(
    session: requests.Session,
    address: str,
    part: PartFile,
    patience: Patience,
    size: int | None,
    spare: int,
) -> None:
    condition = part.condition(address)
    # Lengths and ranges refer to the published bytes, so these must not be compressed in transit.
    headers = {"Accept-Encoding": "identity", "User-Agent": "msd-spark"}
    if condition:
        headers |= {"Range": f"bytes={part.size}-", "If-Range": condition}
    try:
        with session.get(address, headers=headers, stream=True, timeout=patience.timeouts) as response:
            _begin(response, address, part, resuming=condition is not None)
            declared = part.version.size if part.version else None
            if size is not None and declared is not None and declared != size:
                part.clear()
                raise MirrorError(f"the file there has {declared:,} bytes instead of {size:,}")
            require_room(part, spare + (declared or size or part.size) - part.size)
            _receive(response, part, declared)
    except (requests.exceptions.ConnectionError, requests.exceptions.Timeout, HTTPError) as error:
        raise InterruptedTransferError(_reason(error)) from None
    except requests.exceptions.RequestException as error:  # an unknown kind of address, or too many redirects
        raise MirrorError(_reason(error)) from None


def _begin(response: requests.Response, address: str, part: PartFile, *, resuming: bool) -> None:
    """Check the headers of a response, and prepare the part file for its body."""
    status, headers = response.status_code, response.headers
    if status in TEMPORARY:
        raise InterruptedTransferError(f"status {status} {response.reason}", _requested_wait(response))
    if status == 416 and resuming:
        part.clear()
        raise InterruptedTransferError("the file there is now shorter than the part already received")
    if status not in (200, 206):
        raise MirrorError(f"status {status} {response.reason}")
    if headers.get("Content-Encoding", "identity") != "identity":
        raise MirrorError(f"sent with Content-Encoding {headers['Content-Encoding']}, which was not requested")
    if headers.get("Content-Type", "").startswith("text/html"):
        raise MirrorError("an HTML page instead of the file")
    if status == 200:
        etag = headers.get("ETag")
        strong = etag if etag and not etag.startswith("W/") else None
        length = headers.get("Content-Length", "")
        size = int(length) if length.isdigit() else None
        if size is None and headers.get("Transfer-Encoding") != "chunked":
            raise MirrorError("no length declared, so that a part could not be distinguished from the complete file")
        part.begin(Version(address, strong, headers.get("Last-Modified"), size))
        return
    content_range = _RANGE.fullmatch(headers.get("Content-Range", ""))
    expected = part.version.size if part.version else None
    if not resuming or not content_range or not _continues(content_range, part.size, expected):
        part.clear()
        raise InterruptedTransferError(f"another range than requested ({headers.get('Content-Range')})")


def _continues(content_range: re.Match[str], start: int, size: int | None) -> bool:
    """Return whether a range goes from `start` to the end of the file of `size` bytes."""
    first, last, total = content_range.groups()
    return int(first) == start and (total == "*" or (int(last) == int(total) - 1 and size in (None, int(total))))


def _receive(response: requests.Response, part: PartFile, size: int | None) -> None:
    received = part.size
    bar = tqdm(
        total=size,
        initial=received,
        unit="iB",
        unit_scale=True,
        unit_divisor=1024,
        desc=part.path.stem,
        disable=None,
        leave=False,
    )
    with bar, part.path.open("ab") as file:
        for chunk in response.raw.stream(_CHUNK, decode_content=False):
            if received == 0 and _PAGE.match(chunk):
                file.close()
                part.clear()
                raise MirrorError("an HTML page instead of the file")
            try:
                file.write(chunk)
            except OSError as error:
                raise UserError(f"{part.path} cannot be written: {error.strerror}") from None
            received += len(chunk)
            bar.update(len(chunk))
    if size is not None and received != size:
        if received > size:
            part.clear()
        raise InterruptedTransferError(f"{received:,} of {size:,} bytes received")


def require_room(part: PartFile, n_bytes: int) -> None:
    """Raise a `UserError` unless the disk has room for `n_bytes`."""
    folder = part.path.parent
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if n_bytes + SPARE_BYTES > free:
        raise UserError(
            f"{part.path.stem} needs {(n_bytes + SPARE_BYTES) / 1e6:,.0f} MB on the disk of {folder}, which has "
            f"{free / 1e6:,.0f} MB free; free some space, or give another folder by --to"
        )


def _requested_wait(response: requests.Response) -> float | None:
    text = response.headers.get("Retry-After")
    try:
        return Retry().parse_retry_after(text) if text else None
    except InvalidHeader:
        return None


def _reason(error: Exception) -> str:
    # The innermost reason: the outer ones repeat addresses and object names.
    inner: BaseException = error
    while cause := inner.__cause__ or inner.__context__:
        inner = cause
    return " ".join(str(inner).split())[:200] or type(inner).__name__
