"""Write text files whose bytes do not depend on the platform."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def write_lines(path: Path, lines: Iterable[str]) -> int:
    """Write lines as UTF-8, each ended by a line feed; return their number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for line in lines:
            count += 1
            file.write(f"{line}\n")
    return count
