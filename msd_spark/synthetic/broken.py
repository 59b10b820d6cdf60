"""Damaged files with the names of song files."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from msd_spark.synthetic import names
from msd_spark.synthetic.catalogue import Catalogue
from msd_spark.synthetic.metadata import song_file
from msd_spark.synthetic.song_image import song_image

BROKEN_FOLDER = "broken"


def _empty() -> bytes:
    """Return an HDF5 file without groups."""
    with h5py.File("empty", "w", driver="core", backing_store=False, libver="earliest") as file:
        for name, value in (("CLASS", b"GROUP"), ("PYTABLES_FORMAT_VERSION", b"2.1"), ("TITLE", b"Test file")):
            file.attrs[name] = np.bytes_(value)
        file.flush()
        return bytes(file.id.get_file_image())


def _foreign() -> bytes:
    """Return an HDF5 file of another layout, with one dataset."""
    with h5py.File("foreign", "w", driver="core", backing_store=False, libver="earliest") as file:
        file.create_dataset("default", data=np.sin(np.arange(1000.0) ** 2))
        file.flush()
        return bytes(file.id.get_file_image())


def write_broken(catalogue: Catalogue, output: Path) -> dict[str, int]:
    """Write damaged HDF5 files, a truncated song, plain text and empty files."""
    settings = catalogue.settings
    song = song_image(song_file(catalogue, 0))
    contents = (_empty(), _foreign(), song[: len(song) // 2], b"not a song file\n", b"")
    for number in range(settings.broken):
        # Ids beyond the largest catalogue, which no song has.
        path = output / BROKEN_FOLDER / f"{names.track_id(settings.seed, 2**27 + number)}.h5"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents[number % len(contents)])
    return {"broken files": settings.broken}
