"""Generate a catalogue: split the work into jobs and run them on several processes.

Every job writes its own files and depends on the settings alone, so the output does not depend on the number of
processes or their order.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from msd_spark.core.errors import UserError
from msd_spark.core.filesystems import local_path
from msd_spark.core.summary import Summary
from msd_spark.synthetic.catalogue import Catalogue, make_catalogue
from msd_spark.synthetic.labels import write_labels
from msd_spark.synthetic.lastfm import write_lastfm
from msd_spark.synthetic.listens import write_listens
from msd_spark.synthetic.lyrics import write_lyrics
from msd_spark.synthetic.packaging import FOLDERS, shard_tracks, write_broken, write_files, write_many, write_tar
from msd_spark.synthetic.settings import SyntheticSettings
from msd_spark.synthetic.tracks import TRUTH, write_tracks, write_truth

_SONGS_PER_JOB = 50
_WRITTEN = (*FOLDERS, "musixmatch", "tagtraum", "magd", "tasteprofile", "lastfm", "additional", TRUTH)
"""Files and folders of a catalogue; ``--overwrite`` removes only these."""

_DOWNLOADS = "fetch.lock.json"
"""File that ``msd-spark fetch`` writes to a folder of downloaded files."""


class Job(NamedTuple):
    """A function that writes files and returns counts, and the number of its songs."""

    write: Callable[[Catalogue, Path], Mapping[str, int]]
    songs: int = 0


def run(settings: SyntheticSettings) -> None:
    """Run ``msd-spark synthetic``."""
    output = Path(local_path(settings.output))
    try:
        summary = generate(dataclasses.replace(settings, progress=True), output)
    except OSError as error:
        raise UserError(f"cannot write to {output}: {error}; free some space or choose another --output") from error
    print(summary.table())


def generate(settings: SyntheticSettings, output: Path) -> Summary:
    """Write a catalogue to a folder, in place of ``settings.output``; return counts.

    The file `TRUTH` is written last, so a folder that has it is complete. A script that calls this with several
    workers needs ``if __name__ == "__main__"``, as `multiprocessing` does.
    """
    start = time.perf_counter()
    prepare(output, settings.overwrite)
    catalogue = make_catalogue(settings)
    counts: Counter[str] = Counter()
    total = settings.songs * len(set(settings.packaging))
    with tqdm(total=total, unit="song", disable=not settings.progress, desc="synthetic") as bar:
        for job, written in _results(catalogue, output):
            counts.update(written)
            bar.update(job.songs)
    write_truth(catalogue, output)
    seconds = time.perf_counter() - start
    files = (path for name in _WRITTEN for path in (output / name, *(output / name).rglob("*")))
    summary = Summary("synthetic", {"songs": settings.songs, **dict(sorted(counts.items()))})
    summary.facts |= {
        "bytes": sum(path.stat().st_size for path in files if path.is_file()),
        "seconds": round(seconds, 1),
        "songs per second": round(settings.songs / max(seconds, 1e-9)),
    }
    return summary


def prepare(output: Path, overwrite: bool) -> None:
    """Create the output folder; with `overwrite`, remove an earlier catalogue only."""
    if output.exists() and not output.is_dir():
        raise UserError(f"output {output} is a file; choose a folder by --output")
    if output.is_dir() and any(output.iterdir()):
        if not overwrite:
            raise UserError(f"output {output} is not empty; choose another --output, or replace it by --overwrite")
        if (output / _DOWNLOADS).exists():
            raise UserError(f"output {output} has downloaded files ({_DOWNLOADS}); choose another --output")
        foreign = [name for name in _WRITTEN if (output / name).exists()]
        if foreign and not (output / TRUTH).exists():
            raise UserError(
                f"output {output} has {foreign[0]}, which msd-spark synthetic did not write; choose another --output"
            )
        for name in _WRITTEN:
            path = output / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    try:
        output.mkdir(parents=True, exist_ok=True)
        (output / TRUTH).touch()  # marks the folder as generated, also if this run is interrupted
    except OSError as error:
        raise UserError(f"output {output} cannot be created: {error.strerror}; choose another --output") from error


def plan(catalogue: Catalogue) -> Iterator[Job]:
    """Yield all jobs, starting with the longest, so that no process is left alone with one."""
    for write in (write_lyrics, write_lastfm, write_listens, write_labels, write_tracks, write_broken):
        yield Job(write)
    settings = catalogue.settings
    tracks = range(settings.songs)
    for packaging in dict.fromkeys(settings.packaging):
        if packaging == "files":
            for first in tracks[::_SONGS_PER_JOB]:
                part = tracks[first : first + _SONGS_PER_JOB]
                yield Job(partial(write_files, tracks=part), len(part))
        elif packaging in ("aggregate", "summary"):
            step = settings.songs_per_aggregate
            for number, first in enumerate(tracks[::step]):
                part = tracks[first : first + step]
                name = f"{packaging}/{packaging}-{number:03d}.h5"
                write_file = partial(write_many, name=name, tracks=part, with_arrays=packaging == "aggregate")
                yield Job(write_file, len(part))
        else:
            for letter, members in shard_tracks(catalogue).items():
                yield Job(partial(write_tar, name=f"tar/{letter}.{packaging}", tracks=members), len(members))


_process: tuple[Catalogue, Path] | None = None  # the catalogue and output folder of a worker process


def _start_worker(settings: SyntheticSettings, output: Path) -> None:
    global _process
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it without a trace
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    _process = make_catalogue(settings), output


def _work(job: Job) -> Mapping[str, int]:
    assert _process is not None, "the process was not started by _start_worker"
    return job.write(*_process)


def _results(catalogue: Catalogue, output: Path) -> Iterator[tuple[Job, Mapping[str, int]]]:
    """Run all jobs and yield each with its counts as it finishes."""
    settings = catalogue.settings
    if settings.worker_count == 1:
        for job in plan(catalogue):
            yield job, job.write(catalogue, output)
        return
    # Start new interpreters: a fork of a process that runs Spark or TensorFlow can hang.
    with ProcessPoolExecutor(
        settings.worker_count,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
        initargs=(settings, output),
    ) as pool:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # until a worker, which inherits it, has started
        try:
            jobs = {pool.submit(_work, job): job for job in plan(catalogue)}
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
        try:
            for future in as_completed(jobs):
                yield jobs[future], future.result()
        except BrokenProcessPool as error:
            raise UserError("a process died, probably out of memory; use fewer --workers") from error
        finally:
            pool.shutdown(cancel_futures=True)  # after a failure, the jobs that have not started
