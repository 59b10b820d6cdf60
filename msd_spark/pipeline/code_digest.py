"""Which code a stage runs: a digest of every module of ours that its script imports, directly or not."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

PACKAGES = ("msd_spark", "training")


def code_digest(repository: Path, script: str, assets: Iterable[str] = ()) -> str:
    """Return a digest of a script, the modules behind it and other files that it reads.

    Imports within functions count. What is imported by a name that is made at run time is not seen; nothing is.

    Parameters
    ----------
    repository : Path
    script : str
        Its path within the repository.
    assets : iterable of str
        Folders of other files.
    """
    paths = {repository / script}
    waiting = list(paths)
    while waiting:
        for path in _imported(repository, waiting.pop()):
            if path not in paths:
                paths.add(path)
                waiting.append(path)
    for folder in assets:
        paths |= {path for path in (repository / folder).rglob("*") if path.is_file() and path.suffix != ".pyc"}
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(f"{path.relative_to(repository)}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def _imported(repository: Path, path: Path) -> set[Path]:
    return {found for name in _names(path, path.stat().st_mtime_ns) if (found := _module(repository, name))}


@lru_cache(maxsize=1024)
def _names(path: Path, modified: int) -> frozenset[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(name for name in names if name.split(".")[0] in PACKAGES)


def _module(repository: Path, name: str) -> Path | None:
    place = repository.joinpath(*name.split("."))
    for path in (place.with_suffix(".py"), place / "__init__.py"):
        if path.is_file():
            return path
    return None
