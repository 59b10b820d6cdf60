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

    Attributes
    ----------
    source : str
        Its path or address.
    size : int
        Bytes; -1 where it was not asked for.
    modified : int
        Time of its last change, in nanoseconds since 1970; 0 where it was not asked for.
    """

    source: str
    size: int
    modified: int


class Kind(StrEnum):
    """How a unit's songs are packed."""

    FILES = "files"
    TAR = "tar"
    AGGREGATE = "aggregate"
    SUMMARY = "summary"


@dataclass(frozen=True)
class Unit:
    """Inputs that are ingested together.

    Attributes
    ----------
    kind : Kind
    location : str
        What the command named, under which the inputs were found.
    packed : bytes
        The inputs, compressed: the driver holds those of a million files. See `of` and `inputs`.
    size : int
        Bytes of the inputs, 0 where they were not asked for.
    start, stop : int
        Rows of an aggregate or summary file.
    n_inputs : int or None
        Songs that are expected; None where only reading will tell (a tar).
    """

    kind: Kind
    location: str
    packed: bytes
    size: int
    start: int = 0
    stop: int = 0
    n_inputs: int | None = None

    @classmethod
    def of(cls, kind: Kind, location: str, inputs: Iterable[SongInput], start: int = 0, stop: int = 0) -> Unit:
        """Return a unit of some inputs."""
        listed = list(inputs)
        n_inputs = {Kind.FILES: len(listed), Kind.TAR: None}.get(kind, stop - start)
        size = sum(max(item.size, 0) for item in listed)
        return cls(kind, location, zlib.compress(json.dumps(listed).encode(), 1), size, start, stop, n_inputs)

    @property
    def inputs(self) -> list[SongInput]:
        """The unit's files."""
        return [SongInput(*item) for item in json.loads(zlib.decompress(self.packed))]

    @cached_property
    def name(self) -> str:
        """A name for the unit's inputs as they are now: paths, sizes, times of change, rows.

        A unit whose name was seen before needs no second reading.
        """
        facts = (self.kind.value, self.inputs, self.start, self.stop)
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


def cut_into_units(location: str, inputs: Iterable[SongInput], inputs_per_unit: int) -> list[Unit]:
    """Cut loose files into units of about `inputs_per_unit`, where the files' names say so.

    A unit ends behind a name whose hash falls into a fixed part of all hashes, so a file that
    comes or goes changes the unit that it is in and leaves the others as they are. Units have
    between half of `inputs_per_unit` and twice as many files; the last one may have fewer.

    Parameters
    ----------
    location : str
    inputs : iterable of SongInput
    inputs_per_unit : int

    Raises
    ------
    ValueError
        When a unit is to have no input.
    """
    if inputs_per_unit < 1:
        raise ValueError(f"a unit has at least 1 input, not {inputs_per_unit}")
    least, most, one_in = max(1, inputs_per_unit // 2), 2 * inputs_per_unit, max(1, inputs_per_unit // 2)
    units: list[Unit] = []
    held: list[SongInput] = []
    for item in sorted(inputs):
        held.append(item)
        name = item.source.rsplit("/", 1)[-1].encode(errors="surrogateescape")
        ends_here = len(held) >= least and zlib.crc32(name) % one_in == 0
        if ends_here or len(held) == most:
            units.append(Unit.of(Kind.FILES, location, held))
            held = []
    if held:
        units.append(Unit.of(Kind.FILES, location, held))
    return units


def limit_units(units: Iterable[Unit], most: int) -> list[Unit]:
    """Return units with `most` songs at most, for a try: the first ones, the last of them cut.

    A tar is left whole, as only reading tells what is in it.
    """
    chosen: list[Unit] = []
    remaining = most
    for unit in units:
        if remaining <= 0:
            break
        if unit.n_inputs is not None and unit.n_inputs > remaining:
            if unit.kind is Kind.FILES:
                unit = Unit.of(unit.kind, unit.location, unit.inputs[:remaining])
            else:
                unit = Unit.of(unit.kind, unit.location, unit.inputs, unit.start, unit.start + remaining)
        chosen.append(unit)
        remaining -= unit.n_inputs or 0
    return chosen
