"""The published files, as listed in ``sources.toml`` with their addresses."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

GROUPS = ("subset", "lyrics", "genres", "tags", "listens", "lists", "metadata", "artists")
"""Names on the command line, in the order in which their files are fetched."""


class Contents(StrEnum):
    """Kind of content, which determines how `msd_spark.fetch.contents` checks it."""

    SONGS = "songs"
    BAGS = "bags of words"
    STEMS = "stems"
    LABELS = "labels"
    TAGS = "tracks"
    TRIPLETS = "triplets"
    MISMATCHES = "mismatches"
    TRACKS = "tracks of the catalogue"
    DUPLICATES = "lines of duplicates"
    METADATA = "rows of metadata"
    SUMMARY = "rows of the summary"
    ARTISTS = "artists"
    ARTIST_TERMS = "artists with terms"
    SIMILAR_ARTISTS = "artists with similar ones"


class MirrorError(Exception):
    """One mirror does not have the file of a source; another one may."""


@dataclass(frozen=True)
class Terms:
    """Terms of use in short, and the address of their full text."""

    of: str
    gist: str
    address: str


@dataclass(frozen=True)
class MemberRule:
    """Members of an archive to extract, and their paths in the data folder.

    `pattern` matches the complete name of a member, and its groups match no separator. `target` has ``{0}``, ``{1}``
    for the groups, so that a member's name never becomes a path.
    """

    pattern: str
    target: str


@dataclass(frozen=True)
class Source:
    """A published file; None means unknown.

    `groups` are from `GROUPS`, and `mirrors` are tried in turn. `size` and `sha256` are those of the download. `target`
    is the path in the data folder of the file or, for an archive, of its main file or folder; `target_sha256` is the
    checksum at that path. `count` is the exact number of rows, `published` the number on the web page.

    `members` are extracted from an archive; if empty, the file stays as published, compressed or not. An archive with
    more than `most_unpacked` bytes is refused; `unpacked` is the approximate size of the extracted files, for the check
    of the disk space.
    """

    name: str
    groups: tuple[str, ...]
    mirrors: tuple[str, ...]
    what: str
    terms: Terms
    target: str
    contents: Contents
    size: int | None = None
    sha256: str | None = None
    target_sha256: str | None = None
    count: int | None = None
    published: int | None = None
    members: tuple[MemberRule, ...] = ()
    most_unpacked: int = 0
    unpacked: int = 0

    @property
    def file_name(self) -> str:
        """Name of the published file."""
        return self.mirrors[0].rpartition("/")[2]


def _read_sources() -> tuple[Source, ...]:
    content = tomllib.loads(Path(__file__).with_name("sources.toml").read_text())
    terms = {name: Terms(**entry) for name, entry in content["terms"].items()}
    return tuple(
        Source(
            **entry
            | {
                "groups": tuple(entry["groups"]),
                "mirrors": tuple(entry["mirrors"]),
                "terms": terms[entry["terms"]],
                "contents": Contents(entry["contents"]),
                "members": tuple(MemberRule(**rule) for rule in entry.get("members", ())),
            }
        )
        for entry in content["source"]
    )


SOURCES = _read_sources()
"""All sources, in the order in which they are fetched."""
