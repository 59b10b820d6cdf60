"""The list of mutations, and their application to a file."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

LIST = Path(__file__).with_name("mutations.toml")


@dataclass(frozen=True)
class Mutation:
    """A change of a file that at least one of the tests must notice; `old` occurs in the file exactly once."""

    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.file}: {first_difference(self.old, self.new)}"

    def mutated(self, text: str) -> str:
        """Return the text of the file after the change; `ValueError` unless `old` occurs in it exactly once."""
        if (n_places := text.count(self.old)) != 1:
            raise ValueError(f"{LIST.name} is stale: {self.old!r} occurs {n_places} times in {self.file}, not once")
        return text.replace(self.old, self.new)


def first_difference(old: str, new: str) -> str:
    """Return the first line of `old` that is not in `new`, or the first line of `new` that is not in `old`."""
    lines = [line.strip() for line in old.splitlines()], [line.strip() for line in new.splitlines()]
    pairs = (lines, lines[::-1])
    return next((line for these, others in pairs for line in these if line not in others), lines[0][0])


def read_mutations() -> list[Mutation]:
    """Return the mutations of the list."""
    entries = tomllib.loads(LIST.read_text())["mutation"]
    return [Mutation(**entry | {"tests": tuple(entry["tests"])}) for entry in entries]
