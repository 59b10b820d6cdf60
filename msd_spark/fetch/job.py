"""Fetch sources into a folder of data: what is there stays, what is not is downloaded, checked and put in place."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import requests

from msd_spark.core.errors import UserError
from msd_spark.fetch.contents import check_contents
from msd_spark.fetch.failures import MirrorError
from msd_spark.fetch.lock_file import LOCK_FILE, Entry, LockFile, Seen, is_there, only_one, see
from msd_spark.fetch.part_file import PartFile, sha256_of
from msd_spark.fetch.sources import Source
from msd_spark.fetch.transfer import TransferSettings, download
from msd_spark.fetch.unpack import unpack

TERMS_FILE = "terms-of-use.txt"


@dataclass(frozen=True)
class FetchSettings:
    """What is fetched, and where to.

    Attributes
    ----------
    sources : tuple of Source
    folder : Path
        Of the data.
    mirrors : tuple of str
        Addresses under which a source's file is looked for first, by its own name.
    accept : frozenset of str
        Names of sources whose new version is taken for the first one seen.
    check : bool
        Whether what is there is read again and compared with its checksum.
    transfer : TransferSettings
    """

    sources: tuple[Source, ...]
    folder: Path
    mirrors: tuple[str, ...] = ()
    accept: frozenset[str] = frozenset()
    check: bool = False
    transfer: TransferSettings = field(default_factory=TransferSettings)


@dataclass(frozen=True)
class Outcome:
    """What became of a source: ``fetched``, ``there already`` or ``found there``."""

    source: Source
    how: str
    entry: Entry
    seconds: float

    @property
    def note(self) -> str:
        """What a reader should know: a count that is not the published one."""
        published = self.source.published
        return "" if published in (None, self.entry.count) else f"published: {published:,}"


def fetch(settings: FetchSettings) -> list[Outcome]:
    """Fetch what is not there yet.

    Raises
    ------
    UserError
        When no mirror gives a source as it should be. What was fetched before stays.
    """
    settings.folder.mkdir(parents=True, exist_ok=True)
    outcomes = []
    with only_one(settings.folder) as scratch, requests.Session() as session:
        session.max_redirects = 8
        lock = LockFile(settings.folder)
        show_terms(settings.sources, settings.folder)
        for source in settings.sources:
            started = time.monotonic()
            how = _fetch_one(session, source, settings, lock, scratch)
            outcome = Outcome(source, how, lock.entries[source.name], time.monotonic() - started)
            print(f"{source.name}: {how}, {outcome.entry.count:,} {source.contents}", flush=True)
            outcomes.append(outcome)
    return outcomes


def show_terms(sources: Sequence[Source], folder: Path) -> None:
    """Print the terms of use that this folder does not have yet, and keep them in it."""
    path = folder / TERMS_FILE
    known = path.read_text() if path.exists() else ""
    terms = dict.fromkeys(source.terms for source in sources)
    new = [f"{one.of}\n  {one.gist}\n  {one.address}\n" for one in terms if f"{one.of}\n" not in known]
    if new:
        print("Terms of use (kept in", f"{path}):\n\n" + "\n".join(new), flush=True)
        path.write_text(known + ("\n" if known else "") + "\n".join(new))


def _fetch_one(
    session: requests.Session, source: Source, settings: FetchSettings, lock: LockFile, scratch: Path
) -> str:
    folder, entry = settings.folder, lock.entries.get(source.name)
    if entry and all(not (folder / place).exists() for place in entry.places):
        pass  # removed, to be fetched again
    elif entry and source.name not in settings.accept:
        for place, seen in entry.places.items():
            path = folder / place
            if not is_there(path, seen) or (settings.check and see(path) != seen):
                raise UserError(
                    f"{path} is not what was fetched ({LOCK_FILE}: {seen.files:,} files, {seen.size:,} bytes); "
                    f"remove all of {', '.join(entry.places)} to fetch it again",
                )
        return "there already, checked" if settings.check else "there already"
    elif (target := folder / source.target).exists() and not entry:
        return _adopt(source, target, lock)
    return _download_one(session, source, settings, lock, scratch)


def _adopt(source: Source, target: Path, lock: LockFile) -> str:
    """Take up a file that was put there by other means, if it is what it should be."""
    try:
        count = check_contents(source, target)
        seen = see(target)
        _compare(target.name, seen.sha256, source.target_sha256, "the known one's")
    except MirrorError as error:
        raise UserError(f"{target} was there before and is not it: {error}; move it away") from None
    lock.put(source.name, Entry(None, None, None, count, {source.target: seen}))
    return "found there"


def _download_one(
    session: requests.Session, source: Source, settings: FetchSettings, lock: LockFile, scratch: Path
) -> str:
    part = PartFile(scratch / f"{source.file_name}.part")
    addresses = [f"{base.rstrip('/')}/{source.file_name}" for base in settings.mirrors]
    seen_there: list[str] = []
    for address in [*addresses, *source.mirrors]:
        print(f"{source.name}: {address}" + (f", from byte {part.size:,} on" if part.size else ""), flush=True)
        try:
            download(session, address, part, settings.transfer, size=source.size, spare=source.unpacked)
            try:
                _put_in_place(source, settings, lock, part, address, scratch)
            except MirrorError:
                part.clear()  # whole, and not the file: nothing to go on from
                raise
            return "fetched"
        except MirrorError as error:
            print(f"{source.name}: not from there: {error}", flush=True)
            seen_there.append(f"{address}: {error}")
    raise UserError(f"{source.name} could not be fetched.\n  " + "\n  ".join(seen_there))


def _put_in_place(
    source: Source, settings: FetchSettings, lock: LockFile, part: PartFile, address: str, scratch: Path
) -> None:
    folder, entry = settings.folder, lock.entries.get(source.name)
    checksum, size = sha256_of(part.path), part.path.stat().st_size
    _compare("it", checksum, source.sha256, "the known one's")
    if source.name not in settings.accept and entry:
        _compare("it", checksum, entry.sha256, f"the first one's ({LOCK_FILE}; --accept {source.name} takes the new)")
    try:
        if source.members:
            count, places = _unpack_in_place(source, part.path, folder, scratch / f"{source.name}.unpacking")
        else:
            count, places = check_contents(source, part.path), {source.target: see(part.path)}
            part.finish(folder / source.target)
    except OSError as error:
        raise UserError(f"{source.name} cannot be put into {folder}: {error}") from None
    lock.put(source.name, Entry(address, checksum, size, count, places))
    part.clear()


def _unpack_in_place(source: Source, archive: Path, folder: Path, staging: Path) -> tuple[int, dict[str, Seen]]:
    """Unpack aside, check, and move what came of it; return its rows and what it is."""
    shutil.rmtree(staging, ignore_errors=True)
    try:
        unpack(archive, source, staging)
        count = check_contents(source, staging / source.target)
        seen = {place: see(staging / place) for place in _places(source, staging)}
        _compare(source.target, seen[source.target].sha256, source.target_sha256, "the known one's")
        for place in seen:
            _replace(staging / place, folder / place)
        return count, seen
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _places(source: Source, staging: Path) -> list[str]:
    """Return what is moved as one: the target first, be it a file or a folder, then other files."""
    files = (path.relative_to(staging).as_posix() for path in sorted(staging.rglob("*")) if path.is_file())
    return [source.target, *(f for f in files if f != source.target and not f.startswith(f"{source.target}/"))]


def _replace(made: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir():
        # Only a folder that fetch itself made comes here: one that it did not make is taken up or refused before.
        old = made.with_name(f"{made.name}.old")
        target.replace(old)
    made.replace(target)


def _compare(what: str, found: str, wanted: str | None, whose: str) -> None:
    if wanted is not None and found != wanted:
        raise MirrorError(f"{what} has the SHA-256 {found}, which is not {whose}, {wanted}")
