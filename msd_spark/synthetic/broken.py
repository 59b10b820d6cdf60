"""Files that are named like songs and are none, as a few in the wild."""

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
    """HDF5 without groups."""
    with h5py.File("empty", "w", driver="core", backing_store=False, libver="earliest") as file:
        for name, value in (("CLASS", b"GROUP"), ("PYTABLES_FORMAT_VERSION", b"2.1"), ("TITLE", b"Test file")):
            file.attrs[name] = np.bytes_(value)
        file.flush()
        return bytes(file.id.get_file_image())


def _foreign() -> bytes:
    """HDF5 of someone else's: one dataset of random-looking numbers."""
    with h5py.File("foreign", "w", driver="core", backing_store=False, libver="earliest") as file:
        file.create_dataset("default", data=np.sin(np.arange(1000.0) ** 2))
        file.flush()
        return bytes(file.id.get_file_image())


def write_broken(catalogue: Catalogue, output: Path) -> int:
    """Write broken files: empty HDF5, foreign HDF5, a song cut short, plain text, no bytes at all, and again.

    Returns
    -------
    int
        How many.
    """
    settings = catalogue.settings
    song = song_image(song_file(catalogue, 0))
    kinds = (_empty(), _foreign(), song[: len(song) // 2], b"not a song file\n", b"")
    for number in range(settings.broken):
        # Ids beyond the largest catalogue: no song of any size has them.
        path = output / BROKEN_FOLDER / f"{names.track_id(settings.seed, 2**27 + number)}.h5"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(kinds[number % len(kinds)])
    return settings.broken
