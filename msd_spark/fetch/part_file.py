"""A download that is not finished: its bytes so far, and what is known of the file that they are the beginning of."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Version:
    """Which version of a file a server gives.

    Attributes
    ----------
    address : str
    etag : str or None
        Its entity tag, a strong one; a weak one does not say that two answers are alike byte by byte.
    modified : str or None
        ``Last-Modified``, as it came.
    size : int or None
        Bytes of the whole file.
    """

    address: str
    etag: str | None = None
    modified: str | None = None
    size: int | None = None


class PartFile:
    """``NAME.part``, and ``NAME.part.json`` with its version.

    Parameters
    ----------
    path : Path
        Of the bytes.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._facts = path.with_name(f"{path.name}.json")
        self.version = self._read()

    def _read(self) -> Version | None:
        try:
            return Version(**json.loads(self._facts.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    @property
    def size(self) -> int:
        """Bytes that are there; 0 where it is not known of what."""
        return self.path.stat().st_size if self.version and self.path.is_file() else 0

    @property
    def is_whole(self) -> bool:
        """Whether all bytes are there, so that only the renaming is left."""
        return bool(self.version and self.version.size and self.size == self.version.size)

    def condition(self, address: str) -> str | None:
        """Return what goes into ``If-Range`` to go on from an address; None where one must begin anew.

        A mirror's entity tag says nothing to another one. Its time of change does, where mirrors are true copies;
        the sizes are compared, too.
        """
        if not self.version or not self.size:
            return None
        same = self.version.address == address
        return (self.version.etag if same else None) or self.version.modified

    def begin(self, version: Version) -> None:
        """Drop what there is, and note what comes."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # The bytes go first: with the facts of another version they would be taken for a part of it.
        self.path.write_bytes(b"")
        self._facts.write_text(json.dumps(asdict(version)))
        self.version = version

    def clear(self) -> None:
        """Drop it all."""
        self.path.unlink(missing_ok=True)
        self._facts.unlink(missing_ok=True)
        self.version = None

    def finish(self, target: Path) -> None:
        """Give the whole file its name."""
        with self.path.open("rb+") as file:
            os.fsync(file.fileno())
        target.parent.mkdir(parents=True, exist_ok=True)
        self.path.replace(target)
        self.clear()


def sha256_of(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
