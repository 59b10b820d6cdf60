"""The ingest job's driver with a million inputs: listed, planned, accounted for and committed, without their bytes.

The listing comes from a filesystem that generates keys, sizes and times, and workers return the outcomes of units
without reading them; each unit has one file, as small as a file can be. All else is the job: Spark, the ledger, the
commits and a second run that finds nothing to do. Each size has a process of its own, whose peak memory is that of
Python and of Spark's JVM together.
"""

from __future__ import annotations

import json
import re
import resource
import string
import subprocess
import sys
import tempfile
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from pyarrow import fs

from benchmarks import publish
from msd_spark.core.delta import DataFile, Destination
from msd_spark.core.rejections import Rejection
from msd_spark.core.track_ids import song_path, track_id_of
from msd_spark.ingest import job, listing
from msd_spark.ingest.settings import IngestSettings
from msd_spark.ingest.units import Unit
from msd_spark.ingest.work import Outcome
from msd_spark.spark.session import start_spark

SIZES = (10_000, 100_000, 1_000_000)
STEPS = ("plan_units", "work", "commit_units")
BUCKET, FOLDER = "million", "songs"
LETTERS = string.ascii_uppercase
INPUTS_PER_REJECTION = 500


class GeneratedKeys:
    """Songs in folders named after letters of their track ids, as `pyarrow.fs.FSSpecHandler` asks for them."""

    protocol = "generated"

    def __init__(self, n_songs: int) -> None:
        self.n_songs = n_songs

    def isdir(self, path: str) -> bool:
        """Return whether a path is a folder."""
        return not path.endswith(".h5")

    def info(self, path: str) -> dict[str, Any]:
        """Describe a folder."""
        return {"name": path, "type": "directory", "size": 0}

    def find(self, path: str, maxdepth: int | None, **_: bool) -> dict[str, dict[str, Any]]:
        """Return what is in a folder: the first letters at the top, and all songs below a first letter."""
        if path == f"{BUCKET}/{FOLDER}":
            return {f"{path}/{letter}": self.info(f"{path}/{letter}") for letter in LETTERS}
        found = {}
        for number in range(LETTERS.index(path[-1]), self.n_songs, len(LETTERS)):
            key = f"{BUCKET}/{FOLDER}/{song_path(track_id(number))}"
            size = 200_000 + number * 7_919 % 200_000
            found[key] = {"name": key, "type": "file", "size": size, "mtime": 1_296_000_000 + number % 86_400}
        return found


def track_id(number: int) -> str:
    """Return the track id of a song; its last digits are as varied as those of the real catalogue."""
    letters, rest = "", number
    for _ in range(5):
        rest, letter = divmod(rest, len(LETTERS))
        letters += LETTERS[letter]
    return f"TR{letters}128F{number * 2_654_435_761 % 16**7:07X}"


def listed_by_worker(n_songs: int) -> Callable[..., Iterator[Unit]]:
    """Return the function that a worker runs to list a part of the generated keys."""

    def units(settings: IngestSettings, task: listing.Task) -> Iterator[Unit]:
        use_generated_keys(n_songs)
        return listing._units(settings, task)

    return units


def use_generated_keys(n_songs: int) -> None:
    """Let this process list generated keys."""
    filesystem = fs.PyFileSystem(fs.FSSpecHandler(GeneratedKeys(n_songs)))
    listing.open_location = lambda location: (filesystem, location.removeprefix("s3://"), "s3://")


def account(unit: Unit, settings: IngestSettings, destination: Destination) -> Outcome:
    """Account for the inputs of a unit, and write an empty file."""
    outcome = Outcome(unit.name, unit.kind.value, unit.location, unit.inputs[0].source)
    for item in unit.inputs:
        if zlib.crc32(item.source.encode()) % INPUTS_PER_REJECTION:
            outcome.track_ids.append(track_id_of(item.source) or "")
        else:
            outcome.rejected.append(Rejection(item.source, "not_hdf5", "no HDF5 signature", None, unit.name))
    with destination.create(f"{unit.name}-0000") as file:
        file.sink.write(b"PAR1")
    outcome.files.append(DataFile(file.name, file.size, len(outcome.track_ids)))
    return outcome


@contextmanager
def accounted(n_songs: int) -> Iterator[None]:
    """Let ingests of this process list generated keys, and account for them without reading them."""
    own = listing.open_location, listing._units, job.do_unit
    use_generated_keys(n_songs)
    listing._units, job.do_unit = listed_by_worker(n_songs), account
    try:
        yield
    finally:
        listing.open_location, listing._units, job.do_unit = own


def timed(seconds: dict[str, float], name: str) -> None:
    """Add the time that a function of the job takes to `seconds`."""
    function = getattr(job, name)

    def call(*arguments: Any) -> Any:
        started = time.perf_counter()
        try:
            return function(*arguments)
        finally:
            seconds[name] += time.perf_counter() - started

    setattr(job, name, call)


def gibibytes() -> float:
    """Return the peak memory of this process and the JVM that it started."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    for child in psutil.Process().children():
        if "java" in child.name():
            status = Path(f"/proc/{child.pid}/status").read_text()
            peak += int(re.findall(r"VmHWM:\s+(\d+)", status)[0]) * 1024
    return peak / 2**30


def measure(n_songs: int) -> dict[str, float]:
    """Ingest generated inputs twice; return seconds by step, and the memory."""
    seconds: dict[str, float] = defaultdict(float)
    for name in STEPS:
        timed(seconds, name)
    session = start_spark("msd-spark benchmark")
    with accounted(n_songs), tempfile.TemporaryDirectory() as warehouse:
        settings = IngestSettings((f"s3://{BUCKET}/{FOLDER}",), warehouse=warehouse)
        started = time.perf_counter()
        facts = job.ingest(session, settings).facts
        found = {"all": time.perf_counter() - started, **seconds}
        found["files"] = len(list(Path(warehouse, "songs").glob("*.parquet")))
        assert facts["inputs"] == n_songs == facts["songs"] + facts["rejected"]
        started = time.perf_counter()
        assert job.ingest(session, settings).facts["units done before"] == facts["units"]
        found["again"] = time.perf_counter() - started
    found["gibibytes"] = gibibytes()
    session.stop()
    return found


def main() -> None:
    """Measure and publish; with a number, measure that size and print the result."""
    if len(sys.argv) > 1:
        print(json.dumps(measure(int(sys.argv[1]))))
        return
    rows, figures = [], {}
    for size in SIZES:
        command = [sys.executable, "-m", "benchmarks.driver", str(size)]
        result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        found = json.loads(result.splitlines()[-1])
        rows.append((f"{size:,}", *(found[name] for name in (*STEPS, "all", "again", "gibibytes", "files"))))
        figures |= {f"driver_seconds_{size // 1000}k": found["all"], f"driver_gib_{size // 1000}k": found["gibibytes"]}
    figures |= {
        "driver_seconds": found["all"],
        "driver_gib": found["gibibytes"],
        "driver_again_seconds": found["again"],
    }
    per_input = [figures[f"driver_seconds_{size // 1000}k"] / size for size in SIZES[-2:]]
    figures["seconds_per_input_1000k_over_100k"] = per_input[1] / per_input[0]
    headers = ["inputs", "list and plan, s", "work, s", "commit, s", "all, s", "again, s", "GiB", "files"]
    publish("driver", headers, rows, figures)


if __name__ == "__main__":
    main()
