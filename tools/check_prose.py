"""Reject the phrases of ``tools/prose.txt``: ``python -m tools.check_prose``."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

PHRASES = Path(__file__).with_name("prose.txt")
SUFFIXES = {".py", ".md", ".html", ".js", ".sh", ".tf", ".toml"}
SKIPPED = ("tests/", "requirements/")


def phrases() -> list[tuple[re.Pattern[str], str]]:
    """Return each rejected phrase with its replacement."""
    lines = [line for line in PHRASES.read_text().splitlines() if line and not line.startswith("#")]
    pairs = (line.split("\t") for line in lines)
    return [(re.compile(pattern, re.IGNORECASE), instead) for pattern, instead in pairs]


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines that people read, with their numbers.

    Of Python, these are comments and strings alone.
    """
    text = path.read_text()
    if path.suffix != ".py":
        yield from enumerate(text.splitlines(), 1)
        return
    kinds = {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in kinds:
            yield from enumerate(token.string.splitlines(), token.start[0])


def problems(path: Path, rejected: list[tuple[re.Pattern[str], str]]) -> Iterator[str]:
    """Yield one line per rejected phrase of a file."""
    for number, line in prose(path):
        for pattern, instead in rejected:
            match = pattern.search(line)
            if match:
                yield f"{path}:{number}: {match[0]!r}; write: {instead}"


def main() -> None:
    """Print the problems of all tracked files; exit with status 1 if there are any."""
    listed = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True).stdout.splitlines()
    paths = [Path(name) for name in listed if Path(name).suffix in SUFFIXES and not name.startswith(SKIPPED)]
    rejected = phrases()
    lines = [line for path in paths if path.exists() for line in problems(path, rejected)]
    print("\n".join(lines) if lines else f"prose: {len(paths)} files, no rejected phrase")
    sys.exit(1 if lines else 0)


if __name__ == "__main__":
    main()
