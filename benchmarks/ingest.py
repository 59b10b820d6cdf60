"""Compare parsers on one core, and the ingest job with parsing and writing on all cores."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import tempfile
import threading
import time
from collections import deque
from functools import partial
from pathlib import Path

import psutil
from pyspark.sql import SparkSession

from benchmarks import parse, publish
from msd_spark.ingest.job import ingest
from msd_spark.ingest.settings import IngestSettings
from msd_spark.songfile.parse import parse_song
from msd_spark.spark.session import start_spark
from msd_spark.synthetic.run import generate
from msd_spark.synthetic.settings import SyntheticSettings

SIZES = (1_000, 5_000, 20_000)
PACKAGINGS = {"loose": "songs", "tar": "tar"}
PARSED_ALONE = 400


class PeakMemory:
    """The most memory that Python workers held at one time, watched from a thread.

    Each worker is watched by itself: Spark forks them from one process, whose pages they share.
    """

    def __init__(self) -> None:
        self.mebibytes = 0.0
        self._stop = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._watcher.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.2):
            held = [0]
            for child in psutil.Process().children(recursive=True):
                try:
                    if "python" in child.name():
                        held.append(child.memory_info().rss)
                except psutil.Error:
                    continue
            self.mebibytes = max(self.mebibytes, max(held) / 2**20)


def core_rate(files: list[Path], written: bool = False) -> float:
    """Return songs per second of one core that reads and parses files, in its best round.

    If `written`, it also writes Parquet, and has only one round, as the job has.
    """

    def run() -> None:
        songs = ({**parse_song(path.read_bytes(), path.stem), "source": path.name, "member": None} for path in files)
        if written:
            with tempfile.NamedTemporaryFile() as file:
                parse.write_songs(songs, Path(file.name))
        else:
            deque(songs, maxlen=0)

    return parse.best_rates({"ours": run}, len(files), 1 if written else parse.ROUNDS)["ours"]


def all_cores_rate(files: list[Path], cores: int, written: bool = False) -> float:
    """Return songs per second of `core_rate` on all cores together."""
    with multiprocessing.get_context("spawn").Pool(cores) as pool:
        shares = [files[core::cores] for core in range(cores)]
        pool.map(core_rate, [share[:20] for share in shares], chunksize=1)  # imports, and the skeletons of the files
        return sum(pool.map(partial(core_rate, written=written), shares, chunksize=1))


def job_rate(session: SparkSession, source: Path, warehouse: Path) -> tuple[float, float]:
    """Ingest a folder into a new warehouse; return songs per second and the largest worker's MiB."""
    with PeakMemory() as peak:
        started = time.perf_counter()
        summary = ingest(session, IngestSettings((str(source),), warehouse=str(warehouse)))
        spent = time.perf_counter() - started
    shutil.rmtree(warehouse)
    return summary.facts["songs"] / spent, peak.mebibytes


def main() -> None:
    """Measure and publish."""
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        rows: list[tuple[str, float, float | str]] = []
        parsed, figures = parse.measure(scratch)
        rows += [(f"one core: {what}", rate, "") for what, rate, _ in parsed]
        session = start_spark("msd-spark benchmark")
        for size in SIZES:
            data = scratch / "data"
            generate(SyntheticSettings(songs=size, seed=7, packaging=("files", "tar")), data)
            if size == SIZES[0]:
                # The first job of a session pays for what Spark loads once.
                job_rate(session, data / "songs", scratch / "warehouse")
                parsed_alone = sorted(data.glob("songs/**/*.h5"))[:PARSED_ALONE]
                figures["job_parse_songs_per_second"] = core_rate(parsed_alone)
                figures["all_cores_parse_songs_per_second"] = all_cores_rate(parsed_alone, cores)
                generated = "the generated files of the job"
                rows.append((f"one core: parse {generated}", figures["job_parse_songs_per_second"], ""))
                rows.append((f"{cores} cores: parse", figures["all_cores_parse_songs_per_second"], ""))
            parse_and_write_rate = all_cores_rate(sorted(data.glob("songs/**/*.h5")), cores, True)
            figures["all_cores_parse_and_write_songs_per_second"] = parse_and_write_rate
            rows.append((f"{cores} cores: parse and write Parquet, {size:,} songs", parse_and_write_rate, ""))
            for packaging, folder in PACKAGINGS.items():
                rate, memory = job_rate(session, data / folder, scratch / "warehouse")
                rows.append((f"whole job, {cores} cores: {size:,} songs, {packaging}", rate, memory))
                figures[f"job_songs_per_second_{size // 1000}k_{packaging}"] = rate
                figures[f"job_worker_mebibytes_{size // 1000}k_{packaging}"] = memory
            shutil.rmtree(data)
        session.stop()
    for packaging in PACKAGINGS:
        largest, smallest = (
            figures[f"job_songs_per_second_{size // 1000}k_{packaging}"] for size in (SIZES[-1], SIZES[0])
        )
        suffix = "" if packaging == "loose" else f"_{packaging}"
        figures[f"rate_20k_over_1k{suffix}"] = largest / smallest
        figures[f"job_over_two_cores{suffix}"] = largest / (cores * figures["job_parse_songs_per_second"])
        # What all cores do together is the limit of the job: they share memory, and have less of it than one alone.
        figures[f"job_over_h5py_on_all_cores{suffix}"] = largest / (cores * figures["songs_per_second_h5py"])
        figures[f"job_over_parse_and_write{suffix}"] = largest / parse_and_write_rate
        figures[f"job_over_parsing_on_all_cores{suffix}"] = largest / figures["all_cores_parse_songs_per_second"]
    publish("ingest", ["every field", "songs/s", "MiB per worker"], rows, figures)


if __name__ == "__main__":
    main()
