"""Units of work: songs that are ingested together, all of them or none. Pure functions."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple


class SongInput(NamedTuple):
    """A file with one song or many.

    The size is in bytes, -1 if unknown; the time of the last change in nanoseconds since 1970, 0 if unknown.
    """

    source: str
    size: int
    modified: int


class Part(NamedTuple):
    """Consecutive rows of a file, from `start` to before `stop`.

    `mark` is the place of the rows: byte and line before them in a CSV file, row id before them and of the last one in
    a database, empty in other files.
    """

    start: int
    stop: int
    mark: tuple[int, ...] = ()


class Kind(StrEnum):
    """Packaging of a unit's songs; `METADATA` is rows of songs without segments."""

    FILES = "files"
    TAR = "tar"
    ZIP = "zip"
    AGGREGATE = "aggregate"
    METADATA = "metadata"
    SUMMARY = "summary"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Unit:
    """Inputs that are ingested together.

    `location` is the one named by the command, under which the inputs were found. The inputs are compressed because the
    driver holds those of a million files; `size` is their sum in bytes, 0 if unknown. `start`, `stop` and `mark` are
    the rows of an aggregate file or a file of metadata, as in `Part`. `n_inputs` is the expected number of inputs; None
    for what has to be read to count them: an archive, and a file of metadata that is not split (`stop` is 0).
    """

    kind: Kind
    location: str
    packed: bytes
    size: int
    start: int = 0
    stop: int = 0
    mark: tuple[int, ...] = ()
    n_inputs: int | None = None

    @classmethod
    def of(
        cls,
        kind: Kind,
        location: str,
        inputs: Iterable[SongInput],
        start: int = 0,
        stop: int = 0,
        mark: tuple[int, ...] = (),
        size: int | None = None,
    ) -> Unit:
        """Return a unit of some inputs; `size` is that of its part of a file, None for whole files."""
        listed = list(inputs)
        by_kind = {Kind.FILES: len(listed), Kind.SKIPPED: len(listed), Kind.TAR: None, Kind.ZIP: None}
        n_inputs = by_kind.get(kind, stop - start)
        if kind is Kind.METADATA and not stop:
            n_inputs = None
        size = sum(max(item.size, 0) for item in listed) if size is None else size
        return cls(kind, location, zlib.compress(json.dumps(listed).encode(), 1), size, start, stop, mark, n_inputs)

    @property
    def inputs(self) -> list[SongInput]:
        """The unit's files."""
        return [SongInput(*item) for item in json.loads(zlib.decompress(self.packed))]

    @cached_property
    def name(self) -> str:
        """Hash of the inputs' paths, sizes, times and rows; a known unit is not read again."""
        # Earlier versions did not count all members of a tar, so it is read again.
        version = [2] if self.kind is Kind.TAR else []
        content = (self.kind.value, self.inputs, self.start, self.stop, *self.mark, *version)
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]


def split_into_units(
    location: str, inputs: Iterable[SongInput], inputs_per_unit: int, kind: Kind = Kind.FILES
) -> list[Unit]:
    """Split loose files into units of about `inputs_per_unit`, by a hash of the file names.

    A unit ends after a name whose hash is in a fixed share of all hashes, so that a new or removed file changes only
    the unit that it is in. Units have between half and twice `inputs_per_unit` files; the last one may have fewer.
    """
    least, most = max(1, inputs_per_unit // 2), 2 * inputs_per_unit
    units: list[Unit] = []
    group: list[SongInput] = []
    for item in sorted(inputs):
        group.append(item)
        name = item.source.rsplit("/", 1)[-1].encode(errors="surrogateescape")
        ends_here = len(group) >= least and zlib.crc32(name) % least == 0
        if ends_here or len(group) == most:
            units.append(Unit.of(kind, location, group))
            group = []
    if group:
        units.append(Unit.of(kind, location, group))
    return units


def limit_units(units: Iterable[Unit], limit: int) -> list[Unit]:
    """Return the first units, with `limit` songs; archives are kept whole and not counted."""
    chosen: list[Unit] = []
    remaining = limit
    for unit in units:
        if remaining <= 0:
            break
        if unit.kind is Kind.SKIPPED:
            chosen.append(unit)
            continue
        if unit.n_inputs is not None and unit.n_inputs > remaining:
            if unit.kind is Kind.FILES:
                unit = Unit.of(unit.kind, unit.location, unit.inputs[:remaining])
            else:
                place = unit.start, unit.start + remaining, unit.mark
                unit = Unit.of(unit.kind, unit.location, unit.inputs, *place, size=unit.size)
        chosen.append(unit)
        remaining -= unit.n_inputs or 0
    return chosen
