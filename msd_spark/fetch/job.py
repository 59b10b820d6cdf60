"""Fetch the missing files of a data folder: download, check, and move into place."""

from __future__ import annotations

import shlex
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import requests
from tabulate import tabulate

from msd_spark.core.errors import UserError
from msd_spark.core.filesystems import local_path
from msd_spark.fetch.contents import check_contents
from msd_spark.fetch.lock_file import LOCK_FILE, Entry, LockFile, Seen, exclusive, is_unchanged, see
from msd_spark.fetch.part_file import PartFile, sha256_of
from msd_spark.fetch.settings import ALL, FetchSettings
from msd_spark.fetch.sources import SOURCES, MirrorError, Source
from msd_spark.fetch.transfer import Patience, download
from msd_spark.fetch.unpack import unpack

TERMS_FILE = "terms-of-use.txt"


@dataclass(frozen=True)
class Outcome:
    """Action for a source: ``fetched``, ``present``, ``present, checked`` or ``adopted``."""

    source: Source
    action: str
    entry: Entry
    seconds: float


def run(settings: FetchSettings) -> None:
    """Run ``msd-spark fetch``."""
    if not settings.names:
        print(list_sources())
        return
    names = set(settings.names)
    sources = [source for source in SOURCES if ALL in names or names & set(source.groups)]
    print(f"\n{list_outcomes(fetch(settings, sources))}")
    print(f"\ndata folder: {settings.to}; next: msd-spark pipeline --data {shlex.quote(settings.to)}")


def list_sources() -> str:
    """Return a table of all sources."""
    rows = [
        (", ".join(source.groups), source.name, source.what, source.target, source.mirrors[0]) for source in SOURCES
    ]
    return tabulate(rows, headers=["name", "source", "contents", "in the data folder", "address"], tablefmt="simple")


def list_outcomes(outcomes: Sequence[Outcome]) -> str:
    """Return a table of the outcomes, with published counts that differ from the files."""
    rows = []
    for outcome in outcomes:
        source, entry = outcome.source, outcome.entry
        megabytes = sum(seen.size for seen in entry.places.values()) / 1e6
        note = "" if source.published in (None, entry.count) else f"published: {source.published:,}"
        count = f"{entry.count:,} {source.contents}"
        rows.append((source.name, outcome.action, count, f"{megabytes:,.1f}", f"{outcome.seconds:.1f}", note))
    headers = ["fetch", "", "rows", "MB", "seconds", ""]
    return tabulate(rows, headers=headers, tablefmt="simple", disable_numparse=True)


def fetch(settings: FetchSettings, sources: Sequence[Source], patience: Patience | None = None) -> list[Outcome]:
    """Fetch the sources that are not present; files fetched before an error stay."""
    folder = Path(local_path(settings.to))
    folder.mkdir(parents=True, exist_ok=True)
    outcomes = []
    with exclusive(folder) as scratch, requests.Session() as session:
        session.max_redirects = 8
        fetcher = _Fetcher(settings, folder, scratch, LockFile(folder), session, patience or Patience())
        show_terms(sources, folder)
        for source in sources:
            started = time.monotonic()
            action = fetcher.fetch(source)
            outcome = Outcome(source, action, fetcher.lock.entries[source.name], time.monotonic() - started)
            print(f"{source.name}: {action}, {outcome.entry.count:,} {source.contents}", flush=True)
            outcomes.append(outcome)
    return outcomes


def show_terms(sources: Sequence[Source], folder: Path) -> None:
    """Print the terms of use that were not shown for this folder before, and save them in it."""
    path = folder / TERMS_FILE
    known = path.read_text() if path.exists() else ""
    terms = dict.fromkeys(source.terms for source in sources)
    new = [f"{one.of}\n  {one.gist}\n  {one.address}\n" for one in terms if f"{one.of}\n" not in known]
    if new:
        print(f"Terms of use (saved in {path}):\n\n" + "\n".join(new), flush=True)
        path.write_text(known + ("\n" if known else "") + "\n".join(new))


@dataclass(frozen=True)
class _Fetcher:
    settings: FetchSettings
    folder: Path
    scratch: Path
    lock: LockFile
    session: requests.Session
    patience: Patience

    def fetch(self, source: Source) -> str:
        """Fetch a source unless it is present; return what was done."""
        entry = self.lock.entries.get(source.name)
        target = self.folder / source.target
        removed = entry and not any((self.folder / place).exists() for place in entry.places)
        if entry and not removed and source.name not in self.settings.accept:
            return self._verify(entry)
        if not entry and target.exists():
            return self._adopt(source, target)
        return self._download(source)

    def _verify(self, entry: Entry) -> str:
        for place, seen in entry.places.items():
            path = self.folder / place
            if not is_unchanged(path, seen) or (self.settings.check and see(path) != seen):
                raise UserError(
                    f"{path} was changed after it was fetched ({LOCK_FILE}: {seen.files:,} files, {seen.size:,} bytes);"
                    f" remove {', '.join(entry.places)} to fetch it again"
                )
        return "present, checked" if self.settings.check else "present"

    def _adopt(self, source: Source, target: Path) -> str:
        """Record a file that was put in its place by other means, if it is the right one."""
        try:
            count = check_contents(source, target)
            seen = see(target)
            _compare(target.name, seen.sha256, source.target_sha256, "the known checksum")
        except MirrorError as error:
            raise UserError(f"{target} exists and is not the published file: {error}; move it elsewhere") from None
        self.lock.put(source.name, Entry(None, None, None, count, {source.target: seen}))
        return "adopted"

    def _download(self, source: Source) -> str:
        part = PartFile(self.scratch / f"{source.file_name}.part")
        addresses = [f"{base.rstrip('/')}/{source.file_name}" for base in self.settings.mirror]
        failures: list[str] = []
        for address in [*addresses, *source.mirrors]:
            print(f"{source.name}: {address}" + (f", from byte {part.size:,}" if part.size else ""), flush=True)
            try:
                download(self.session, address, part, self.patience, size=source.size, spare=source.unpacked)
                try:
                    self._put_in_place(source, part, address)
                except MirrorError:
                    part.clear()  # complete, but the wrong file: nothing to resume
                    raise
                return "fetched"
            except MirrorError as error:
                print(f"{source.name}: skipped this address: {error}", flush=True)
                failures.append(f"{address}: {error}")
        raise UserError(
            f"{source.name} could not be fetched; run the command again, or give --mirror.\n  " + "\n  ".join(failures)
        )

    def _put_in_place(self, source: Source, part: PartFile, address: str) -> None:
        entry = self.lock.entries.get(source.name)
        checksum, size = sha256_of(part.path), part.path.stat().st_size
        _compare("the file", checksum, source.sha256, "the known checksum")
        if entry and source.name not in self.settings.accept:
            first = f"the checksum of the first download ({LOCK_FILE}; --accept {source.name} takes the new file)"
            _compare("the file", checksum, entry.sha256, first)
        try:
            if source.members:
                count, places = self._unpack(source, part.path)
            else:
                count, places = check_contents(source, part.path), {source.target: see(part.path)}
                part.finish(self.folder / source.target)
        except OSError as error:
            raise UserError(f"{source.name} cannot be written to {self.folder}: {error}") from None
        self.lock.put(source.name, Entry(address, checksum, size, count, places))
        part.clear()

    def _unpack(self, source: Source, archive: Path) -> tuple[int, dict[str, Seen]]:
        """Unpack, check, and move the files into place; return their rows and states."""
        staging = self.scratch / f"{source.name}.unpacking"
        shutil.rmtree(staging, ignore_errors=True)
        try:
            unpack(archive, source, staging)
            count = check_contents(source, staging / source.target)
            seen = {place: see(staging / place) for place in _places(source, staging)}
            _compare(source.target, seen[source.target].sha256, source.target_sha256, "the known checksum")
            for place in seen:
                _move(staging / place, self.folder / place)
            return count, seen
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def _places(source: Source, staging: Path) -> list[str]:
    """Return the paths to move: the target, a file or folder, and the files outside it."""
    files = (path.relative_to(staging).as_posix() for path in sorted(staging.rglob("*")) if path.is_file())
    return [source.target, *(f for f in files if f != source.target and not f.startswith(f"{source.target}/"))]


def _move(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir():
        # Only a folder that fetch itself wrote: others are adopted or refused before the download.
        target.replace(path.with_name(f"{path.name}.old"))
    path.replace(target)


def _compare(what: str, checksum: str, expected: str | None, name: str) -> None:
    if expected is not None and checksum != expected:
        raise MirrorError(f"{what} has the SHA-256 {checksum}, which is not {name}, {expected}")
