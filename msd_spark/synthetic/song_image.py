"""Song files as bytes: a template with the layout, followed by the chunks of the song.

The template, written by the HDF5 library, has every group, dataset and attribute and no data. This module adds the
lengths of the datasets, the chunks and, for each dataset, their index: a B-tree of one leaf. Writing whole files with
the library takes two and a half times as long, mostly for opening datasets.

References
----------
.. [1] HDF5 File Format Specification 3.0: II.A superblock version 0, III.A.1 version 1 B-trees,
   IV.A.2.b dataspace message, IV.A.2.i data layout message.
"""

from __future__ import annotations

import struct
from functools import cache

import h5py
import numpy as np
from h5py import h5o
from isal import isal_zlib

from msd_spark.core.song_layout import ARRAYS, TABLES, Array, Table
from msd_spark.songfile.direct.skeleton import row_shape
from msd_spark.synthetic.draws import AnyArray
from msd_spark.synthetic.metadata import SongFile
from msd_spark.synthetic.template import DEFLATE, create_layout, set_row_count

_END_OF_FILE = 40  # offset of the file size in superblock 0
_UNDEFINED = b"\xff" * 8  # a missing address
_MOST_CHUNKS = 64  # entries of a leaf: twice the default rank of a superblock 0 file
_MARK = 0x5EED << 40  # a length that no dataset has, to find the offsets of the lengths
_CHUNKED_LAYOUT = b"\x03\x02"  # version and class of the data layout message


@cache
def _template() -> tuple[bytes, list[tuple[Table | Array, int, int]]]:
    """Return a file without rows, and the offsets of each dataset's length and index address."""
    items: list[Table | Array] = [*TABLES, *ARRAYS]
    with h5py.File("template", "w", driver="core", backing_store=False, libver=("earliest", "latest")) as file:
        create_layout(file)
        set_row_count(file, 1)
        for number, item in enumerate(items):
            file[item.path].id.set_extent((_MARK + number, *row_shape(item)))
        file.flush()
        image = bytearray(file.id.get_file_image())
        headers = [h5o.get_info(file[item.path].id).addr for item in items]
    slots = []
    for number, (item, header) in enumerate(zip(items, headers, strict=True)):
        length_at = image.index(struct.pack("<Q", _MARK + number))
        dimensions = 2 + len(row_shape(item))  # the element counts as one
        index_at = image.index(_CHUNKED_LAYOUT + bytes([dimensions]) + _UNDEFINED, header) + 3
        image[length_at : length_at + 8] = bytes(8)
        slots.append((item, length_at, index_at))
    return bytes(image), slots


def compressed_chunks(values: AnyArray, rows: int) -> list[bytes]:
    """Split an array into chunks of `rows` rows, shuffle their bytes and deflate them.

    The last chunk is padded with zeros. ISA-L deflates several times as fast as the library behind HDF5.
    """
    count = -(-len(values) // rows)
    padded = np.zeros((count * rows, *values.shape[1:]), values.dtype)
    padded[: len(values)] = values
    # HDF5 shuffles by element; a row of a two-dimensional array has several.
    octets = padded.view(np.uint8).reshape(count, -1, values.dtype.itemsize)
    shuffled = np.ascontiguousarray(octets.transpose(0, 2, 1))
    return [isal_zlib.compress(chunk, DEFLATE) for chunk in shuffled]


def _leaf_size(width: tuple[int, ...]) -> int:
    """Return the bytes of a leaf for 64 chunks: a header, and keys around addresses."""
    key, address = 24 + 8 * len(width), 8
    return 24 + _MOST_CHUNKS * (key + address) + key


def _index(chunks: list[bytes], rows: int, width: tuple[int, ...], first: int) -> bytes:
    """Return the B-tree leaf for chunks of `rows` rows stored from the address `first`."""
    if len(chunks) > _MOST_CHUNKS:
        raise ValueError(f"{len(chunks)} chunks do not fit into one leaf of {_MOST_CHUNKS}")
    rest = b"\0" * (8 * (len(width) + 1))  # the chunk's other offsets, and the element's
    leaf = [b"TREE", struct.pack("<BBH", 1, 0, len(chunks)), _UNDEFINED, _UNDEFINED]
    for number, chunk in enumerate(chunks):
        leaf += [struct.pack("<IIQ", len(chunk), 0, number * rows), rest, struct.pack("<Q", first)]
        first += len(chunk)
    leaf += [struct.pack("<IIQ", 0, 0, len(chunks) * rows), rest]
    return b"".join(leaf).ljust(_leaf_size(width), b"\0")


def song_image(song: SongFile) -> bytes:
    """Return the bytes of a song file with at most 5,440 segments and 65,536 beats (64 chunks)."""
    image, slots = _template()
    head = bytearray(image)
    parts: list[bytes] = [b""]
    end = len(head)
    for item, length_at, index_at in slots:
        values = song.rows[item.group] if isinstance(item, Table) else song.arrays.get(item.path)
        if values is None or not len(values):
            continue
        chunks = compressed_chunks(np.asarray(values), item.chunk)
        width = row_shape(item)
        first = end + _leaf_size(width)
        parts += [_index(chunks, item.chunk, width, first), *chunks]
        struct.pack_into("<Q", head, length_at, len(values))
        struct.pack_into("<Q", head, index_at, end)
        end = first + sum(map(len, chunks))
    struct.pack_into("<Q", head, _END_OF_FILE, end)
    parts[0] = bytes(head)
    return b"".join(parts)
