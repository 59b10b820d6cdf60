"""How fast the generator writes: whole catalogues on all cores, beside h5py writing the same songs' arrays."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import h5py

from benchmarks import publish
from msd_spark.synthetic.run import generate
from msd_spark.synthetic.settings import SyntheticSettings

SONGS = 2000
PEER_SONGS = 100


def rewrite_with_h5py(files: list[Path], folder: Path) -> float:
    """Write each file's datasets again through h5py's high level on one core; return songs per second.

    Reading them back is not counted.
    """
    spent = 0.0
    for number, path in enumerate(files):
        with h5py.File(path) as source:
            found: dict[str, h5py.Dataset] = {}
            source.visititems(
                lambda name, item, found=found: found.update({name: item}) if hasattr(item, "shape") else None
            )
            copies = {name: (item[...], item.chunks, item.maxshape) for name, item in found.items()}
        started = time.perf_counter()
        with h5py.File(folder / f"{number}.h5", "w", libver="earliest") as target:
            for name, (values, chunks, maxshape) in copies.items():
                target.create_dataset(
                    name,
                    data=values,
                    chunks=chunks,
                    maxshape=maxshape,
                    shuffle=True,
                    compression="gzip",
                    compression_opts=1,
                )
        spent += time.perf_counter() - started
    return len(files) / spent


def rate(settings: SyntheticSettings, folder: Path) -> float:
    """Generate a catalogue; return the songs per second."""
    start = time.perf_counter()
    generate(settings, folder)
    return settings.songs / (time.perf_counter() - start)


def main() -> None:
    """Measure and publish."""
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch, "data")
        all_cores = rate(SyntheticSettings(songs=SONGS, seed=7), data)
        one_core = rate(SyntheticSettings(songs=SONGS // 4, seed=7, workers=1), Path(scratch, "one"))
        (Path(scratch) / "peer").mkdir()
        peer = rewrite_with_h5py(sorted(data.rglob("songs/**/*.h5"))[:PEER_SONGS], Path(scratch, "peer"))
    rows = [
        (f"generator, {cores} cores, {SONGS:,} songs with all side files", all_cores),
        (f"generator, 1 core, {SONGS // 4:,} songs with all side files", one_core),
        ("h5py writing the same datasets without attributes, 1 core", peer),
    ]
    figures = {
        "generated_songs_per_second": all_cores,
        "generated_songs_per_second_one_core": one_core,
        "generator_over_h5py_one_core": one_core / peer,
    }
    publish("synthetic", ["writing song files", "songs/s"], rows, figures)


if __name__ == "__main__":
    main()
