"""The generated song files have the layout of the real ones, down to the storage of strings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from h5py import h5t

from msd_spark.core.song_layout import ARRAYS, TABLES


def describe_type(kind: h5t.TypeID) -> Any:
    """Describe a stored type: class, size, order, padding and character set, and columns with offsets."""
    if isinstance(kind, h5t.TypeCompoundID):
        return [
            (kind.get_member_name(place), kind.get_member_offset(place), describe_type(kind.get_member_type(place)))
            for place in range(kind.get_nmembers())
        ] + [kind.get_size()]
    if isinstance(kind, h5t.TypeStringID):
        return "string", kind.get_size(), kind.get_cset(), kind.get_strpad()
    return type(kind).__name__, kind.get_size(), kind.get_order()


def describe_attributes(node: h5py.HLObject) -> dict[str, Any]:
    """Describe attributes: stored type, shape and value; of PyTables' object counter only type and shape."""
    described = {}
    for name in node.attrs:
        attribute = node.attrs.get_id(name)
        value = None if name == "EXTDIM" else np.asarray(node.attrs[name]).tolist()
        described[name] = describe_type(attribute.get_type()), attribute.shape, value
    return described


def describe_dataset(dataset: h5py.Dataset) -> dict[str, Any]:
    """Describe all of a dataset but its data and its number of rows."""
    creation = dataset.id.get_create_plist()
    return {
        "row": dataset.shape[1:],
        "maxshape": dataset.maxshape,
        "type": describe_type(dataset.id.get_type()),
        "chunks": dataset.chunks,
        "filters": [creation.get_filter(place) for place in range(creation.get_nfilters())],
        "fill": (creation.fill_value_defined(), creation.get_fill_time(), creation.get_alloc_time()),
    }


def describe_layout(file: h5py.File) -> dict[str, Any]:
    """Describe everything of a file but its data."""
    layout: dict[str, Any] = {"/": describe_attributes(file), "userblock": file.userblock_size}

    def visit(name: str, node: h5py.HLObject) -> None:
        kind = describe_dataset(node) if isinstance(node, h5py.Dataset) else "group"
        layout[name] = kind, describe_attributes(node)

    file.visititems(visit)
    return layout


def first_song(folder: Path) -> Path:
    """Return the first song file of a folder."""
    return next(iter(sorted(folder.glob("songs/*/*/*/*.h5"))))


def test_layout_is_that_of_a_real_file(folder: Path, sample: Path) -> None:
    with h5py.File(first_song(sample)) as real, h5py.File(first_song(folder)) as generated:
        expected, actual = describe_layout(real), describe_layout(generated)
    assert actual.keys() == expected.keys()
    for name in expected:
        assert actual[name] == expected[name], name


def test_superblock_is_the_oldest_as_in_the_real_files(folder: Path) -> None:
    assert first_song(folder).read_bytes()[:9] == b"\x89HDF\r\n\x1a\n\x00"


def test_all_files_have_one_layout(folder: Path) -> None:
    paths = sorted(folder.glob("songs/*/*/*/*.h5"))
    with h5py.File(paths[0]) as first:
        expected = describe_layout(first)
    for path in paths[1::20]:
        with h5py.File(path) as file:
            assert describe_layout(file) == expected


def test_layout_has_the_datasets_of_the_layout_module(folder: Path) -> None:
    with h5py.File(first_song(folder)) as file:
        actual: set[str] = set()
        file.visititems(lambda name, node: actual.add(name) if isinstance(node, h5py.Dataset) else None)
        assert actual == {item.path for item in (*TABLES, *ARRAYS)}
        for array in ARRAYS:
            assert file[array.path].dtype == np.dtype(array.dtype)
        for table in TABLES:
            assert file[table.path].dtype == table.columns
            assert file[table.path].shape == (1,)


@pytest.mark.parametrize("packaging", ["aggregate", "summary"])
def test_files_of_many_songs_have_the_layout_too(packed: Path, packaging: str) -> None:
    def without_row_counts(layout: dict[str, Any]) -> dict[str, Any]:
        for entry in layout.values():
            if isinstance(entry, tuple):
                entry[1].pop("NROWS", None)
        return layout

    with h5py.File(first_song(packed)) as song, h5py.File(packed / packaging / f"{packaging}-000.h5") as many:
        expected, actual = without_row_counts(describe_layout(song)), without_row_counts(describe_layout(many))
        rows = [many[table.path].attrs["NROWS"] for table in TABLES]
    arrays = {array.path for array in ARRAYS}
    if packaging == "summary":
        assert not actual.keys() & arrays
        expected = {name: entry for name, entry in expected.items() if name not in arrays}
    assert actual == expected
    assert rows == [20, 20, 20]
