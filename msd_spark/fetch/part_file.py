"""A partial download: its bytes, and the version of the file that they belong to."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Version:
    """Version of a file on a server.

    `etag` is a strong entity tag, because a weak one does not imply equal bytes; `modified` is ``Last-Modified``,
    verbatim; `size` is in bytes of the complete file.
    """

    address: str
    etag: str | None = None
    modified: str | None = None
    size: int | None = None


class PartFile:
    """``NAME.part`` with the bytes, and ``NAME.part.json`` with the version."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._version_file = path.with_name(f"{path.name}.json")
        self.version: Version | None
        try:
            self.version = Version(**json.loads(self._version_file.read_text()))
        except (OSError, ValueError, TypeError):
            self.version = None

    @property
    def size(self) -> int:
        """Bytes received; 0 if their version is unknown."""
        return self.path.stat().st_size if self.version and self.path.is_file() else 0

    @property
    def is_complete(self) -> bool:
        """Whether all bytes were received, so that only the renaming is left."""
        return bool(self.version and self.version.size and self.size == self.version.size)

    def condition(self, address: str) -> str | None:
        """Return the ``If-Range`` value for resuming from an address; None to start again.

        An entity tag is valid on its own server only. ``Last-Modified`` also identifies the file on mirrors that are
        true copies; the sizes are compared as well.
        """
        if not self.version or not self.size:
            return None
        return (self.version.etag if self.version.address == address else None) or self.version.modified

    def begin(self, version: Version) -> None:
        """Empty the file and record the version of the bytes to come."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # The bytes are removed first: an interruption here must not leave them with the record of another version.
        self.path.write_bytes(b"")
        self._version_file.write_text(json.dumps(asdict(version)))
        self.version = version

    def clear(self) -> None:
        """Remove both files."""
        self.path.unlink(missing_ok=True)
        self._version_file.unlink(missing_ok=True)
        self.version = None

    def finish(self, target: Path) -> None:
        """Move the complete file to `target`."""
        with self.path.open("rb+") as file:
            os.fsync(file.fileno())
        target.parent.mkdir(parents=True, exist_ok=True)
        self.path.replace(target)
        self.clear()


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
