"""Pack the code: jobs, packages, and the requirements that a GPU worker installs."""

from __future__ import annotations

import subprocess
from pathlib import Path

from msd_spark.core.errors import UserError
from tools.deployment.archive import named_by_contents, write_archive

STAGE = "package"
PARTS = (
    "jobs",
    "msd_spark",
    "tools",
    "training",
    "pyproject.toml",
    "README.md",
    "requirements/gpu.txt",
    "requirements/horovod.txt",
)
"""Files and folders of the repository that nodes need."""


def code_files(repository: Path) -> list[str]:
    """Return the files of `PARTS` that git tracks, or would track, sorted.

    Raises
    ------
    UserError
        Outside a git checkout, where the files of the code cannot be distinguished from others.
    """
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", *PARTS]
    listed = subprocess.run(command, cwd=repository, capture_output=True, text=True)
    if listed.returncode:
        raise UserError(f"{repository} is not a git checkout ({listed.stderr.strip()}); run make package in one")
    return sorted(name for name in set(listed.stdout.split("\0")) if name and (repository / name).is_file())


def pack_code(repository: Path, folder: Path) -> Path:
    """Write ``code-CHECKSUM.tar.gz`` to `folder` and return its path."""
    archive = folder / "code.tar.gz"
    write_archive(archive, ((name, repository / name) for name in code_files(repository)))
    return named_by_contents(archive)
