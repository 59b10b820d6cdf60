"""One run: the catalogue cut into jobs, the jobs spread over processes, the outcome counted.

Every job writes files of its own and depends on the settings alone, so neither the number of
processes nor their order shows in the output.
"""

from __future__ import annotations

import multiprocessing
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from tqdm import tqdm

from msd_spark.synthetic import labels, lastfm, listens, lyrics, tracks
from msd_spark.synthetic.broken import BROKEN_FOLDER, write_broken
from msd_spark.synthetic.catalogue import Catalogue, make_catalogue
from msd_spark.synthetic.metadata import song_files
from msd_spark.synthetic.packaging import (
    AGGREGATE_FOLDER,
    FILES_FOLDER,
    SUMMARY_FOLDER,
    TAR_FOLDER,
    shard_tracks,
    write_files,
    write_many,
    write_tar,
)
from msd_spark.synthetic.settings import Summary, SyntheticError, SyntheticSettings

_SONGS_A_JOB = 50
_WRITTEN = (
    FILES_FOLDER, TAR_FOLDER, AGGREGATE_FOLDER, SUMMARY_FOLDER, BROKEN_FOLDER,
    "musixmatch", "tagtraum", "magd", "tasteprofile", "lastfm", "additional", tracks.TRUTH,
)  # fmt: skip
"""All that a run may leave in the output folder."""


class Kind(Enum):
    """What a job writes."""

    FILES = "files"
    TAR = "tar"
    AGGREGATE = "aggregate"
    SUMMARY = "summary"
    BROKEN = "broken"
    LYRICS = "lyrics"
    LABELS = "labels"
    LISTENS = "listens"
    LASTFM = "lastfm"
    TRACKS = "tracks"


@dataclass(frozen=True)
class Job:
    """A part of the run.

    Attributes
    ----------
    kind : Kind
        What to write.
    name : str
        Path of the file, relative to the output folder; empty where the kind has paths of its own.
    tracks : range or list of int
        Tracks to write; empty for the files beside the songs, which cover all of them.
    """

    kind: Kind
    name: str = ""
    tracks: range | list[int] = range(0)


def plan(catalogue: Catalogue) -> Iterator[Job]:
    """Cut a run into jobs: the longest single ones first, so that no process ends up alone with one."""
    for kind in (Kind.LYRICS, Kind.LASTFM, Kind.LISTENS, Kind.LABELS, Kind.TRACKS, Kind.BROKEN):
        yield Job(kind)
    settings = catalogue.settings
    everyone = range(settings.songs)
    for packaging in dict.fromkeys(settings.packaging):
        if packaging == "files":
            for first in everyone[::_SONGS_A_JOB]:
                yield Job(Kind.FILES, "", everyone[first : first + _SONGS_A_JOB])
        elif packaging in ("aggregate", "summary"):
            step = settings.songs_per_aggregate
            folder = AGGREGATE_FOLDER if packaging == "aggregate" else SUMMARY_FOLDER
            for number, first in enumerate(everyone[::step]):
                name = f"{folder}/{packaging}-{number:03d}.h5"
                yield Job(Kind(packaging), name, everyone[first : first + step])
        else:
            for letter, members in shard_tracks(catalogue).items():
                yield Job(Kind.TAR, f"{TAR_FOLDER}/{letter}.{packaging}", members)


@dataclass(frozen=True)
class Outcome:
    """What a job wrote: songs, and lines or files by name."""

    songs: int
    counts: dict[str, int]


def execute(catalogue: Catalogue, output: Path, job: Job) -> Outcome:
    """Do one job."""
    counts: dict[str, int] = {}
    match job.kind:
        case Kind.FILES:
            write_files(catalogue, job.tracks, output)
        case Kind.TAR:
            write_tar(catalogue, job.tracks, output / job.name)
            counts["tar shards"] = 1
        case Kind.AGGREGATE | Kind.SUMMARY:
            with_arrays = job.kind is Kind.AGGREGATE
            write_many(song_files(catalogue, job.tracks), output / job.name, with_arrays)
            counts[f"{job.kind.value} files"] = 1
        case Kind.BROKEN:
            counts["broken files"] = write_broken(catalogue, output)
        case Kind.LYRICS:
            counts |= lyrics.write_lyrics(catalogue, output)
        case Kind.LABELS:
            counts |= labels.write_labels(catalogue, output)
        case Kind.LISTENS:
            counts |= listens.write_listens(catalogue, output)
        case Kind.LASTFM:
            counts |= lastfm.write_lastfm(catalogue, output)
        case Kind.TRACKS:
            counts["unique tracks"] = tracks.write_unique_tracks(catalogue, output)
            counts["sid mismatches"] = tracks.write_mismatches(catalogue, output)
    return Outcome(len(job.tracks), counts)


_process: tuple[Catalogue, Path] | None = None  # what a worker process works on, set once when it starts


def _start_worker(settings: SyntheticSettings, output: Path) -> None:
    global _process
    _process = make_catalogue(settings), output


def _work(job: Job) -> Outcome:
    assert _process is not None, "the process was not started by _start_worker"
    return execute(*_process, job)


def _outcomes(catalogue: Catalogue, output: Path) -> Iterator[Outcome]:
    """Do all jobs, here or on several processes, and give their outcomes as they come."""
    settings = catalogue.settings
    if settings.worker_count == 1:
        for job in plan(catalogue):
            yield execute(catalogue, output, job)
        return
    # A fresh interpreter each: a fork of a process that runs Spark or TensorFlow can hang.
    with ProcessPoolExecutor(
        settings.worker_count,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
        initargs=(settings, output),
    ) as pool:
        futures = [pool.submit(_work, job) for job in plan(catalogue)]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool as error:
            raise SyntheticError("a process died, for want of memory perhaps; try fewer --workers") from error
        finally:
            pool.shutdown(cancel_futures=True)  # of a failed run, what has not begun


def prepare(output: Path, overwrite: bool) -> None:
    """Make the output folder ready.

    Parameters
    ----------
    output : Path
        Made if it is not there.
    overwrite : bool
        Delete what an earlier run wrote; anything else in the folder stays.

    Raises
    ------
    SyntheticError
        If the folder has something in it and `overwrite` is false, or if it cannot be one.
    """
    if output.exists() and not output.is_dir():
        raise SyntheticError(f"output {output} is a file; give a folder")
    if output.is_dir() and any(output.iterdir()):
        if not overwrite:
            raise SyntheticError(f"output {output} is not empty; give another folder or --overwrite")
        for name in _WRITTEN:
            path = output / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SyntheticError(f"output {output} cannot be made: {error.strerror}") from error


def generate(settings: SyntheticSettings, output: Path) -> Summary:
    """Write a catalogue.

    With more than one process, a script that calls this needs the ``if __name__ == "__main__"``
    that `multiprocessing` asks for.

    Parameters
    ----------
    settings : SyntheticSettings
        What to write.
    output : Path
        The folder to write it into; empty or not there, unless ``settings.overwrite``.

    Returns
    -------
    Summary
        What was written. `truth.tsv` is written last: where it stands, the run is complete.

    Raises
    ------
    SyntheticError
        If the output folder cannot be used, or if a process dies.
    OSError
        If the disk is full, say.
    """
    began = time.perf_counter()
    prepare(output, settings.overwrite)
    catalogue = make_catalogue(settings)
    counts: Counter[str] = Counter()
    total = settings.songs * len(set(settings.packaging))
    with tqdm(total=total, unit="song", disable=not settings.progress, desc="synthetic") as bar:
        for outcome in _outcomes(catalogue, output):
            counts.update(outcome.counts)
            bar.update(outcome.songs)
    tracks.write_truth(catalogue, output)
    seconds = time.perf_counter() - began
    written = sum(path.stat().st_size for name in _WRITTEN for path in _files(output / name))
    return Summary(settings.songs, written, dict(counts), seconds)


def _files(path: Path) -> Iterator[Path]:
    """Give a file itself, or all files below a folder."""
    if path.is_file():
        yield path
    else:
        yield from (file for file in path.rglob("*") if file.is_file())
