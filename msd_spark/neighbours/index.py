"""The index that approximates the search: faiss's inverted lists of whole vectors.

k-means parts the songs into about ``2 sqrt(n)`` lists, and a query looks into the few lists whose
centres are nearest to it. How many is found out by measuring: they are doubled until the index finds
the wanted share of the exact neighbours of a seeded sample.

Chosen by measuring at 100,000 and 1,000,000 x 50, on one core of a busy machine (CPU seconds; so the ratios
count), on Gaussian clusters of 1,000 and of 50,000 songs, against faiss's HNSW and voyager's, both
with 16 links and effort 80:

======================  ===========  =====================================  =====================
index, 100,000 songs    build        20 large clusters: recall, queries/s   1,000 clusters
======================  ===========  =====================================  =====================
inverted lists (512)    0.4 s        0.92: 23,000; 1.00: 13,900             0.999: 50,700
HNSW of faiss           11.2 s       0.94: 18,700; 0.98: 10,700             0.993: 40,600
HNSW of voyager         13.3 s       0.93: 14,200; 0.98: 8,200              0.994: 32,800
======================  ===========  =====================================  =====================

At 1,000,000 songs in 1,000 clusters the lists (2,048) took 9 s to build and found 0.9998 of the neighbours at
25,500 queries/s; faiss's HNSW with 16 links (effort 40) found 0.95 at 2,000. Lists build some twenty times as fast as
a graph, the same file comes out each time, they take little memory besides the vectors (163 MiB more than the process
held), and a query that looks into all of them is exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pyarrow import fs

from msd_spark.neighbours.exact import NONE, SPARE_CANDIDATES, Neighbours, in_order, nearest
from msd_spark.neighbours.exclusions import Exclusions
from msd_spark.neighbours.space import Space

if TYPE_CHECKING:
    import faiss

LISTS_PER_ROOT = 2
"""Lists for each unit of the square root of the number of songs, rounded to a power of two."""

FEWEST_IN_A_LIST = 39
"""Songs a list that faiss's k-means wants at least."""

ROUNDS = 10
SONGS_PER_LIST = 64
"""Rounds of k-means, and songs of the sample that it looks at for each list."""

MOST_CANDIDATES = 512
MORE = 4


def n_lists(n: int) -> int:
    """Return how many lists `n` songs are parted into."""
    wanted = 2 ** round(math.log2(LISTS_PER_ROOT * math.sqrt(max(1, n))))
    return max(1, min(wanted, n // FEWEST_IN_A_LIST))


def build_index(space: Space, seed: int, threads: int = 1) -> faiss.IndexIVFFlat:
    """Return an index of all songs of a space; the same one for the same songs and seed."""
    import faiss

    faiss.omp_set_num_threads(threads)
    size = space.vectors.shape[1]
    index = faiss.IndexIVFFlat(faiss.IndexFlatL2(size), size, n_lists(len(space)), faiss.METRIC_L2)
    index.cp.seed = seed + 1  # faiss takes 0 for the time of day
    index.cp.niter = ROUNDS
    index.cp.max_points_per_centroid = SONGS_PER_LIST
    vectors = np.ascontiguousarray(space.scaled[:, :size])
    index.train(vectors)
    index.add(vectors)
    return index


def nearest_by_index(
    space: Space, index: faiss.IndexIVFFlat, vectors: np.ndarray, own: np.ndarray, k: int, exclusions: Exclusions
) -> Neighbours:
    """Return about the k nearest songs of queries, in the order of their true distances.

    A query of which the index finds fewer than k gets more candidates, and the exact search in the end.

    Parameters
    ----------
    space : Space
    index : faiss.IndexIVFFlat
        Of that space.
    vectors, own, k, exclusions
        As for `msd_spark.neighbours.exact.nearest`.
    """
    found = Neighbours.empty(len(vectors), k)
    waiting = np.arange(len(vectors))
    count = k + 1 + SPARE_CANDIDATES
    while len(waiting) and count <= MOST_CANDIDATES:
        queries = np.ascontiguousarray(space.queries(vectors[waiting])[:, : space.vectors.shape[1]])
        _, places = index.search(queries, count)
        ordered = in_order(space, vectors[waiting], own[waiting], places, k, exclusions)
        enough = ordered.places[:, -1] != NONE
        found.put(waiting[enough], Neighbours(ordered.places[enough], ordered.distances[enough]))
        waiting = waiting[~enough]
        count *= MORE
    if len(waiting):
        found.put(waiting, nearest(space, vectors[waiting], own[waiting], k, exclusions))
    return found


def recall(found: Neighbours, exact: Neighbours) -> float:
    """Return the share of the exact neighbours that were found; 1 where there are none.

    A song as far away as the last exact neighbour counts as that one.
    """
    wanted = exact.places != NONE
    furthest = np.where(wanted, exact.distances, -np.inf).max(axis=1, keepdims=True)
    near = ((found.places != NONE) & (found.distances <= furthest)).sum()
    return float(near / wanted.sum()) if wanted.any() else 1.0


@dataclass(frozen=True)
class Tuning:
    """How an index was tuned.

    Attributes
    ----------
    lists_looked_into : int
        Of each query.
    recall : float
        On the songs that it was tuned by.
    """

    lists_looked_into: int
    recall: float


def tune(
    space: Space,
    index: faiss.IndexIVFFlat,
    rows: np.ndarray,
    exact: Neighbours,
    exclusions: Exclusions,
    wanted: float,
) -> Tuning:
    """Look into twice as many lists until the index finds the wanted share of neighbours.

    Parameters
    ----------
    space : Space
    index : faiss.IndexIVFFlat
        Its ``nprobe`` is set; it is part of the file.
    rows : numpy.ndarray
        Shape ``(m,)``: numbers of songs.
    exact : Neighbours
        Theirs.
    exclusions : Exclusions
    wanted : float
    """
    index.nprobe = 1
    while True:
        found = nearest_by_index(space, index, space.vectors[rows], rows, exact.places.shape[1], exclusions)
        reached = recall(found, exact)
        if reached >= wanted or index.nprobe >= index.nlist:
            return Tuning(int(index.nprobe), reached)
        index.nprobe = min(2 * index.nprobe, index.nlist)


def write_index(index: faiss.IndexIVFFlat, filesystem: fs.FileSystem, path: str) -> int:
    """Write an index through any filesystem; return its bytes."""
    import faiss

    content = faiss.serialize_index(index)
    with filesystem.open_output_stream(path) as sink:
        sink.write(pa.py_buffer(content))
    return len(content)


def read_index(filesystem: fs.FileSystem, path: str) -> faiss.IndexIVFFlat:
    """Read an index through any filesystem.

    Raises
    ------
    ValueError
        When the file holds no such index.
    """
    import faiss

    with filesystem.open_input_stream(path) as source:
        content = np.frombuffer(source.read(), np.uint8)
    try:
        index: Any = faiss.deserialize_index(content)
    except RuntimeError as error:
        raise ValueError(f"{path} is no index: {str(error).splitlines()[-1]}") from None
    return index
