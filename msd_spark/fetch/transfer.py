"""One file over HTTP: resumed where it broke off, tried again with back-off, checked against what the server says.

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
from msd_spark.fetch.failures import InterruptedTransferError, MirrorError
from msd_spark.fetch.part_file import PartFile, Version

TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers that may be another one a little later."""

SPARE_BYTES = 64 << 20
"""Of the disk, left free."""

_CHUNK = 1 << 18
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_UNSATISFIED = re.compile(r"bytes \*/(\d+)")
_PAGE = re.compile(rb"\s*(<!doctype html|<html|<head|<\?xml[^>]*>\s*<!doctype html)", re.IGNORECASE)


@dataclass(frozen=True)
class TransferSettings:
    """How patient a download is.

    Attributes
    ----------
    attempts : int
        Attempts in a row that may bring nothing before the next mirror has its turn.
    backoff, longest_backoff : float
        Seconds: the second attempt is made at once; before the third it waits for twice `backoff` and for up to
        `backoff` more, drawn at random; then the wait doubles each time.
    longest_wait : float
        Seconds that a server may ask for (``Retry-After``); one that asks for more is given up.
    timeouts : (float, float)
        Seconds: to connect, and between two answers.
    pause : callable
        Waits for some seconds.
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
    settings: TransferSettings,
    *,
    size: int | None = None,
    spare: int = 0,
) -> None:
    """Bring a file whole into its part file, going on from what is there.

    Parameters
    ----------
    session : requests.Session
    address : str
    part : PartFile
    settings : TransferSettings
    size : int, optional
        Bytes that the file is known to have.
    spare : int
        Bytes that will be needed beside it.

    Raises
    ------
    MirrorError
        When this address does not give the file.
    UserError
        When the disk has no room for it.
    """
    retry = settings.retry()
    while not part.is_whole or (size is not None and part.size != size):
        before = part.size
        try:
            _attempt(session, address, part, settings, size, spare)
            return
        except InterruptedTransferError as error:
            if part.size > before:
                retry = settings.retry()  # something came: only attempts in vain are counted
            try:
                retry = retry.increment("GET", address, error=error)
            except MaxRetryError:
                raise MirrorError(f"{error}, {settings.attempts} times") from None
            if error.wait is not None and error.wait > settings.longest_wait:
                raise MirrorError(f"{error}; it asks to wait for {error.wait:.0f} seconds") from None
            settings.pause(retry.get_backoff_time() if error.wait is None else error.wait)


def _attempt(
    session: requests.Session,
    address: str,
    part: PartFile,
    settings: TransferSettings,
    size: int | None,
    spare: int,
) -> None:
    condition = part.condition(address)
    # Lengths and ranges are of the bytes as they are published, so that they must not be packed for the way.
    headers = {"Accept-Encoding": "identity", "User-Agent": "msd-spark"}
    if condition:
        headers |= {"Range": f"bytes={part.size}-", "If-Range": condition}
    try:
        with session.get(address, headers=headers, stream=True, timeout=settings.timeouts) as response:
            _begin(response, address, part, asked=condition is not None)
            known = part.version.size if part.version else None
            if size is not None and known is not None and known != size:
                part.clear()
                raise MirrorError(f"it has {known:,} bytes there and should have {size:,}")
            need_room(part, spare + (known or size or part.size) - part.size)
            _receive(response, part, known)
    except requests.exceptions.RequestException as error:
        if isinstance(error, requests.exceptions.ConnectionError | requests.exceptions.Timeout):
            raise InterruptedTransferError(_said(error)) from None
        raise MirrorError(_said(error)) from None  # an address of no known kind, too many redirections
    except HTTPError as error:
        raise InterruptedTransferError(_said(error)) from None


def _begin(response: requests.Response, address: str, part: PartFile, *, asked: bool) -> None:
    """Look at an answer before its body; leave the part file as it should be for that."""
    status, headers = response.status_code, response.headers
    if status in TRY_AGAIN:
        raise InterruptedTransferError(f"answer {status} {response.reason}", _asked_wait(response))
    if status == 416 and asked:
        part.clear()
        raise InterruptedTransferError("the file there has become shorter than what was fetched of it")
    if status not in (200, 206):
        raise MirrorError(f"answer {status} {response.reason}")
    if headers.get("Content-Encoding", "identity") != "identity":
        raise MirrorError(f"it is sent as {headers['Content-Encoding']}, which was not asked for")
    if headers.get("Content-Type", "").startswith("text/html"):
        raise MirrorError("it is an HTML page there, not the file")
    if status == 200:
        etag = headers.get("ETag")
        strong = etag if etag and not etag.startswith("W/") else None
        length = headers.get("Content-Length", "")
        whole = int(length) if length.isdigit() else None
        if whole is None and headers.get("Transfer-Encoding") != "chunked":
            raise MirrorError("it does not say how long the file is, so that a part could be taken for the whole")
        part.begin(Version(address, strong, headers.get("Last-Modified"), whole))
        return
    found = _RANGE.fullmatch(headers.get("Content-Range", ""))
    expected = part.version.size if part.version else None
    if (
        not asked
        or not found
        or int(found[1]) != part.size
        or (found[3] != "*" and (int(found[2]) != int(found[3]) - 1 or expected not in (None, int(found[3]))))
    ):
        part.clear()
        raise InterruptedTransferError(f"another range than was asked for ({headers.get('Content-Range')})")


def _receive(response: requests.Response, part: PartFile, whole: int | None) -> None:
    at = part.size
    with (
        tqdm(
            total=whole,
            initial=at,
            unit="B",
            unit_scale=True,
            unit_divisor=1024,
            desc=part.path.stem,
            disable=None,
            leave=False,
        ) as bar,
        part.path.open("ab") as file,
    ):
        for chunk in response.raw.stream(_CHUNK, decode_content=False):
            if at == 0 and _PAGE.match(chunk):
                file.close()
                part.clear()
                raise MirrorError("it is an HTML page there, not the file")
            try:
                file.write(chunk)
            except OSError as error:
                raise UserError(f"{part.path} cannot be written: {error.strerror}") from None
            at += len(chunk)
            bar.update(len(chunk))
    if whole is not None and at != whole:
        if at > whole:
            part.clear()
        raise InterruptedTransferError(f"{at:,} bytes came of {whole:,}")


def need_room(part: PartFile, wanted: int) -> None:
    """Refuse to begin what the disk has no room for.

    Raises
    ------
    UserError
        With what is needed and what there is.
    """
    folder = part.path.parent
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if wanted + SPARE_BYTES > free:
        raise UserError(
            f"{part.path.stem} needs {(wanted + SPARE_BYTES) / 1e6:,.0f} MB on the disk of {folder}, which has "
            f"{free / 1e6:,.0f} MB free; make room, or give another folder (--to)",
        )


def _asked_wait(response: requests.Response) -> float | None:
    text = response.headers.get("Retry-After")
    try:
        return Retry().parse_retry_after(text) if text else None
    except InvalidHeader:
        return None


def _said(error: Exception) -> str:
    # The innermost reason: the outer ones repeat addresses and object names.
    inner: BaseException = error
    while following := inner.__cause__ or inner.__context__:
        inner = following
    text = " ".join(str(inner).split()) or type(inner).__name__
    return text[:200]
