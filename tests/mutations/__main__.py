"""Apply each mutation to a copy of the working tree, and require a failure of its tests: ``make test-mutations``."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from tabulate import tabulate
from tqdm import tqdm

from tests.mutations.mutation import Mutation, read_mutations

REPOSITORY = Path(__file__).resolve().parents[2]
FAILED_TESTS = 1
"""Exit status of pytest if tests failed; others mean that it could not run them."""

LIMIT = 300
"""Seconds per test: a mutation may cause an endless loop, which fails the test."""


def copy_tree(folder: Path) -> Path:
    """Copy the tracked files, and new ones that are not ignored, to a folder; return its path there."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout
    copy = folder / "repository"
    for name in filter(None, listed.split("\0")):
        if (REPOSITORY / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, copy / name)
    if (shared := REPOSITORY.parent / "shared").is_dir():
        (folder / "shared").symlink_to(shared)
    return copy


def run_tests(copy: Path, tests: Sequence[str]) -> tuple[int, str]:
    """Run tests in a copy until one fails; return the exit status and the output."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "--no-header",
        "-p",
        "no:cacheprovider",
        f"--timeout={LIMIT}",
        *tests,
    ]
    outcome = subprocess.run(
        command, cwd=copy, env=os.environ | {"PYTHONPATH": str(copy), "CI": "true"}, capture_output=True, text=True
    )
    return outcome.returncode, outcome.stdout + outcome.stderr


def try_mutation(copy: Path, number: int, mutation: Mutation) -> str:
    """Return ``caught``, ``survived`` or why the tests could not run."""
    path = copy / mutation.file
    original, status = path.read_text(), path.stat()
    path.write_text(mutation.mutated(original))
    os.utime(path, (number, number))  # Python takes a file of the same time and size as unchanged
    try:
        code, output = run_tests(copy, mutation.tests)
    finally:
        path.write_text(original)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    if code == FAILED_TESTS:
        return "caught"
    return "survived" if code == 0 else f"pytest ended with status {code}: {output.strip().splitlines()[-1][:80]}"


def main() -> None:
    """Run ``make test-mutations``."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m tests.mutations")
    parser.add_argument("--jobs", type=int, default=min(4, os.cpu_count() or 1), help="mutations to test in parallel")
    parser.add_argument("words", nargs="*", help="test only mutations of files whose paths contain one of these")
    arguments = parser.parse_args()
    mutations = [
        item
        for item in enumerate(read_mutations(), 1)
        if not arguments.words or any(word in item[1].file for word in arguments.words)
    ]
    for _, mutation in mutations:
        mutation.mutated((REPOSITORY / mutation.file).read_text())  # an error if the list is stale
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(arguments.jobs) as pool:
        copies: SimpleQueue[Path] = SimpleQueue()
        for number in range(arguments.jobs):
            copies.put(copy_tree(Path(scratch, str(number))))
        copy = copies.get()
        code, output = run_tests(copy, sorted({name for _, item in mutations for name in item.tests}))
        copies.put(copy)
        if code:
            sys.exit(f"{output}\nthe tests fail without a mutation")

        def outcome_of(item: tuple[int, Mutation]) -> tuple[int, str, str, float]:
            free, started = copies.get(), time.monotonic()
            try:
                return item[0], str(item[1]), try_mutation(free, *item), time.monotonic() - started
            finally:
                copies.put(free)

        rows = list(tqdm(pool.map(outcome_of, mutations), "mutations", len(mutations), disable=None))
    print(tabulate(rows, headers=("", "mutation", "result", "seconds"), floatfmt=".0f"))
    missed = [str(row[0]) for row in rows if row[2] != "caught"]
    if missed:
        sys.exit(f"{len(missed)} of {len(rows)} mutations are not caught: {', '.join(missed)}")


if __name__ == "__main__":
    try:
        main()
    except ValueError as stale:
        sys.exit(str(stale))
