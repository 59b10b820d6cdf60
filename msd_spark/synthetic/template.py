"""HDF5 files without rows: groups, datasets and attributes as PyTables wrote them."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5p, h5s, h5t

from msd_spark.core.song_layout import ARRAYS, GROUP_TITLES, TABLES, Array, Table
from msd_spark.songfile.direct.skeleton import hdf5_type

_FILE_TITLE = "H5 Song File"
_PYTABLES_FILTERS = 65793  # PyTables' code for zlib at level 1 with shuffle
DEFLATE = 1
"""Compression level."""


def _text_attribute(owner: h5py.HLObject, name: str, text: str, spare: int) -> None:
    """Write a fixed-length ASCII attribute as PyTables does, `spare` bytes longer than its text."""
    kind = h5t.C_S1.copy()
    kind.set_size(max(len(text) + spare, 1))
    attribute = h5a.create(owner.id, name.encode(), kind, h5s.create(h5s.SCALAR))
    attribute.write(np.array(text.encode(), dtype=f"S{kind.get_size()}"), mtype=kind)


def _group_attributes(group: h5py.Group, title: str) -> None:
    _text_attribute(group, "CLASS", "GROUP", 0)
    _text_attribute(group, "TITLE", title, 0)
    _text_attribute(group, "VERSION", "1.0", 0)
    group.attrs["FILTERS"] = np.int64(_PYTABLES_FILTERS)


def _dataset(file: h5py.File, item: Table | Array, dtype: np.dtype[Any], row_shape: tuple[int, ...]) -> h5py.Dataset:
    """Create a dataset without rows, chunked, with shuffle and deflate."""
    creation = h5p.create(h5p.DATASET_CREATE)
    creation.set_chunk((item.chunk, *row_shape))
    creation.set_shuffle()
    creation.set_deflate(DEFLATE)
    creation.set_fill_time(h5d.FILL_TIME_ALLOC)
    creation.set_obj_track_times(False)  # otherwise the file would contain the time of writing
    space = h5s.create_simple((0, *row_shape), (h5s.UNLIMITED, *row_shape))
    name = item.path.rsplit("/", 1)[1].encode()
    return h5py.Dataset(h5d.create(file[item.group].id, name, hdf5_type(dtype), space, creation))


def _table_attributes(dataset: h5py.Dataset, table: Table) -> None:
    _text_attribute(dataset, "CLASS", "TABLE", 1)
    _text_attribute(dataset, "VERSION", "2.6", 1)
    _text_attribute(dataset, "TITLE", table.title, 1)
    for place, name in enumerate(table.columns.names or ()):
        _text_attribute(dataset, f"FIELD_{place}_NAME", name, 1)
        kind = table.columns[name]
        if kind.kind == "S":
            _text_attribute(dataset, f"FIELD_{place}_FILL", "", 1)
        else:
            dataset.attrs[f"FIELD_{place}_FILL"] = kind.type(0)
    dataset.attrs["NROWS"] = np.int64(0)


def create_layout(file: h5py.File, with_arrays: bool = True) -> None:
    """Create all groups, datasets and attributes in an empty ``libver="earliest"`` file."""
    _group_attributes(file, _FILE_TITLE)
    _text_attribute(file, "PYTABLES_FORMAT_VERSION", "2.0", 0)
    for group, title in GROUP_TITLES.items():
        _group_attributes(file.create_group(group), title)
    for table in TABLES:
        _table_attributes(_dataset(file, table, table.columns, ()), table)
    for counter, array in enumerate(ARRAYS if with_arrays else ()):
        dataset = _dataset(file, array, np.dtype(array.dtype), array.row_shape)
        _text_attribute(dataset, "CLASS", "EARRAY", 1)
        _text_attribute(dataset, "VERSION", "1.0", 1)
        _text_attribute(dataset, "TITLE", array.title, 1)
        # In the real files, the number of objects that the writer had created so far.
        dataset.attrs["EXTDIM"] = np.int32(counter)


def set_row_count(file: h5py.File, rows: int) -> None:
    """Set the row counts, which PyTables reads from attributes of the tables."""
    for table in TABLES:
        h5a.open(file[table.path].id, b"NROWS").write(np.array(rows, dtype=np.int64))
