"""Damaged and hostile files: each ends as the song that h5py reads, or is refused; none takes the process down.

MSD_SPARK_MUTATIONS is the number of damaged files (2,000 by default), MSD_SPARK_MUTATION_SEED the random seed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = int(os.environ.get("MSD_SPARK_MUTATIONS", "2000"))
SEED = int(os.environ.get("MSD_SPARK_MUTATION_SEED", "7"))
PROCESSES = 2
ROOT = Path(__file__).parents[2]
MEMORY = 200  # MiB


@pytest.mark.timeout(120 + EXAMPLES)
def test_a_damaged_file_is_h5pys_song_or_refused(made_files: list[Path], tmp_path: Path) -> None:
    by_size = sorted(made_files, key=lambda path: path.stat().st_size)
    for path in (by_size[0], by_size[1], by_size[len(by_size) // 2]):
        shutil.copy(path, tmp_path)
    workers = []
    for first in range(PROCESSES):
        with (tmp_path / f"{first}.out").open("wb") as output, (tmp_path / f"{first}.err").open("wb") as errors:
            numbers = map(str, (SEED, first, PROCESSES, EXAMPLES))
            command = [sys.executable, "-m", "tests.support.mutations", str(tmp_path), *numbers]
            workers.append(subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=errors))
    try:
        for worker in workers:
            worker.wait(timeout=100 + EXAMPLES)
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    seen: dict[str, int] = {}
    for first, worker in enumerate(workers):
        lines = (tmp_path / f"{first}.out").read_text().splitlines()
        errors_seen = (tmp_path / f"{first}.err").read_text()[-2000:]
        assert worker.returncode == 0, f"{lines[-1] if lines else 'start'} ended the process:\n{errors_seen}"
        summary = json.loads(lines[-1])
        assert not summary["wrong"]
        assert summary["grown"] < MEMORY
        seen = {name: seen.get(name, 0) + summary["seen"].get(name, 0) for name in {*seen, *summary["seen"]}}
    assert sum(seen.values()) == EXAMPLES
    if EXAMPLES >= 1000:  # the mutations still reach what they are meant for
        assert {"song", "truncated", "wrong_layout", "unreadable_data", "implausible_size", "not_one_song"} <= set(seen)
