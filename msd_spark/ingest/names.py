"""Kind of content of a file or archive member, by its name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from msd_spark.core.track_ids import SONG_FILE
from msd_spark.io.folders import is_system_file

_TAR = re.compile(r"\.(tar(\.(gz|bz2|xz))?|tgz|tbz2?|txz)\Z", re.IGNORECASE)
_ZIP = re.compile(r"\.zip\Z", re.IGNORECASE)
_UNSUPPORTED = re.compile(r"\.(7z|rar|zst|zstd|lz4|lz|lzma|lzo|z|br)\Z", re.IGNORECASE)


class Content(Enum):
    """Kind of content."""

    SONG = "song"
    TAR = "tar"
    ZIP = "zip"
    OTHER = "other"


def content_of(name: str) -> Content:
    """Return the kind of content by a file name, ignoring letter case.

    Examples
    --------
    >>> content_of("a/songs.TAR.GZ"), content_of("x.hdf5"), content_of("a/._x.h5")
    (<Content.TAR: 'tar'>, <Content.SONG: 'song'>, <Content.OTHER: 'other'>)
    """
    if is_system_file(name):
        return Content.OTHER
    forms = ((SONG_FILE, Content.SONG), (_TAR, Content.TAR), (_ZIP, Content.ZIP))
    return next((content for form, content in forms if form.search(name)), Content.OTHER)


@dataclass(frozen=True)
class Skipped:
    """A file, or a member or row of one, that is not read.

    Attributes
    ----------
    reason : str
        ``noise``, ``other_file``, ``unsupported_compression``, ``nested_too_deep``, ``empty_archive`` or, of metadata,
        ``empty_table`` or ``superseded``.
    """

    source: str
    reason: str
    member: str | None = None

    @property
    def place(self) -> str:
        """Source and member."""
        return f"{self.source} {self.member}" if self.member else self.source


def skip_reason(name: str) -> str:
    """Return why a file whose name is that of no song and no archive is not read."""
    if is_system_file(name):
        return "noise"
    return "unsupported_compression" if _UNSUPPORTED.search(name) else "other_file"
