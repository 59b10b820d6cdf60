"""Find exact neighbours: candidates by faiss in float32, proven complete, sorted in float64.

A query's candidates have the greatest float32 scores, a few more than k. The float32 score of every other song is at
most the floor, so its true score is at most the floor plus the rounding margin. If k allowed candidates lie above
that, they are the neighbours, sorted by float64 distance and then by track id. Queries without this proof (near ties,
many songs left out) get more candidates, and finally all songs, in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits

from msd_spark.core.schemas import NEIGHBOURS
from msd_spark.neighbours.exclusions import Exclusions
from msd_spark.neighbours.space import Space, unit

SPARE_CANDIDATES = 3
"""Candidates besides the k neighbours and the song itself."""

MORE = 4
"""Factor by which the candidates of an unproven query grow."""

MOST_CANDIDATES = 512

FEW_QUERIES = 4
"""Most queries for which faiss, which takes 0.2 s to load, would not be faster than numpy."""

QUERIES_AT_ONCE = 2048
VALUES_AT_ONCE = 1 << 23
"""float64 numbers in the largest array in memory: 64 MB."""

ROUNDING = 2.0**-51
"""Four times float64's unit roundoff."""

NONE = -1


@dataclass(frozen=True)
class Neighbours:
    """The neighbours of queries, nearest first; all arrays are of shape ``(m, k)``.

    `places` are numbers of songs, int64, `NONE` if empty; `distances` are float64, infinite for empty places.
    """

    places: np.ndarray
    distances: np.ndarray

    @classmethod
    def empty(cls, n_queries: int, k: int) -> Neighbours:
        """Return empty places for `n_queries`."""
        return cls(np.full((n_queries, k), NONE), np.full((n_queries, k), np.inf))

    def put(self, rows: np.ndarray, other: Neighbours) -> None:
        """Copy the neighbours of some queries from `other`."""
        self.places[rows], self.distances[rows] = other.places, other.distances

    def rows(self, track_ids: np.ndarray, first: int) -> pa.Table:
        """Return rows of ``neighbours/RUN``; the queries are consecutive songs from `first` on.

        `track_ids` has the ids of all songs, str or UTF-8 bytes.
        """
        filled = self.places != NONE
        query, rank = np.nonzero(filled)
        columns = {
            "track_id": pa.array(track_ids[first + query]),
            "rank": pa.array(rank + 1),
            "neighbour_id": pa.array(track_ids[self.places[filled]]),
            "distance": pa.array(self.distances[filled]),
        }
        return pa.table([columns[field.name].cast(field.type) for field in NEIGHBOURS], schema=NEIGHBOURS)


Search = Callable[[np.ndarray, int], tuple[Neighbours, np.ndarray]]
"""Maps rows of queries and a number of candidates to neighbours, and to which of the queries are finished."""


def nearest(space: Space, vectors: np.ndarray, own: np.ndarray, k: int, exclusions: Exclusions) -> Neighbours:
    """Return the k nearest songs of queries, `vectors` of shape ``(m, size)``.

    `own`, of shape ``(m,)``, has the number of each query's own song, which is left out; `NONE` for other queries.
    """

    def search(rows: np.ndarray, count: int) -> tuple[Neighbours, np.ndarray]:
        queries = vectors[rows]
        places, floor = greatest(space.queries(queries), space.scaled, count)
        neighbours = in_order(space, queries, own[rows], places, k, exclusions)
        last = space.scores(queries, neighbours.distances[:, -1:])[:, 0]
        return neighbours, (floor == -np.inf) | (last > floor + space.margin(queries))

    def search_all(rows: np.ndarray) -> Neighbours:
        return _among_all(space, vectors[rows], own[rows], k, exclusions)

    return widening(search, search_all, space, len(vectors), k)


def greatest(queries: np.ndarray, rows: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows with the greatest scores ``rows @ query`` of each query, by faiss or, for few queries, by numpy.

    The numbers of rows are ``(m, min(count, n))``. The floor, ``(m,)``, is not exceeded by any other row's score; it is
    minus infinity if there is no other row.
    """
    if len(queries) > FEW_QUERIES:
        scores, places = _faiss().knn(queries, rows, min(count, len(rows)), metric=_faiss().METRIC_INNER_PRODUCT)
        return places, scores[:, -1] if count < len(rows) else np.full(len(queries), -np.inf)
    scores = queries @ rows.T
    count = min(count, len(rows))
    places = np.argpartition(scores, -count, axis=1)[:, -count:]
    places = np.take_along_axis(places, np.argsort(-np.take_along_axis(scores, places, axis=1), axis=1), axis=1)
    floor = np.take_along_axis(scores, places[:, -1:], axis=1)[:, 0]
    return places, floor if count < len(rows) else np.full(len(queries), -np.inf)


@cache
def _faiss() -> Any:
    """Load faiss."""
    import faiss

    # faiss multiplies matrices by BLAS only if numbers per block of queries exceed this; its default of 128,000 made
    # blocks of 1,024 queries of size 50 take 2.2 times as long.
    faiss.cvar.distance_compute_blas_threshold = 1_000
    return faiss


def widening(
    search: Search, fallback: Callable[[np.ndarray], Neighbours], space: Space, n_queries: int, k: int
) -> Neighbours:
    """Search with more candidates until all queries are finished; `fallback` takes the rest.

    The number of queries per call is limited so that their candidates fit in `VALUES_AT_ONCE` numbers.
    """
    neighbours = Neighbours.empty(n_queries, k)
    unproven = np.arange(n_queries)
    count = k + 1 + SPARE_CANDIDATES
    while len(unproven) and count <= MOST_CANDIDATES:
        unfinished = []
        for rows in _blocks(unproven, count * space.vectors.shape[1]):
            part, finished = search(rows, count)
            neighbours.put(rows[finished], Neighbours(part.places[finished], part.distances[finished]))
            unfinished.append(rows[~finished])
        unproven = np.concatenate(unfinished)
        count *= MORE
    for rows in _blocks(unproven, len(space)):
        neighbours.put(rows, fallback(rows))
    return neighbours


def _blocks(rows: np.ndarray, values_per_row: int) -> list[np.ndarray]:
    step = min(QUERIES_AT_ONCE, max(1, VALUES_AT_ONCE // max(1, values_per_row)))
    return [rows[start : start + step] for start in range(0, len(rows), step)]


def in_order(
    space: Space, vectors: np.ndarray, own: np.ndarray, places: np.ndarray, k: int, exclusions: Exclusions
) -> Neighbours:
    """Return the k nearest of candidate `places`, shape ``(m, count)``, negative for none."""
    distances = space.distances(vectors, places)
    distances[~exclusions.allowed(own, places)] = np.inf
    order = np.lexsort((places, distances), axis=1)[:, :k]
    neighbours = Neighbours.empty(len(vectors), k)
    width = order.shape[1]
    neighbours.distances[:, :width] = np.take_along_axis(distances, order, axis=1)
    neighbours.places[:, :width] = np.take_along_axis(places, order, axis=1)
    neighbours.places[np.isinf(neighbours.distances)] = NONE
    return neighbours


def _among_all(space: Space, vectors: np.ndarray, own: np.ndarray, k: int, exclusions: Exclusions) -> Neighbours:
    """Score all songs in float64, and sort those that may be among the k nearest."""
    if space.metric == "cosine":
        scores = unit(vectors) @ unit(space.vectors).T
        margin = np.full(len(vectors), vectors.shape[1] * ROUNDING)
    else:
        centred, queries = space.vectors - space.centre, np.asarray(vectors, np.float64) - space.centre
        scores = queries @ centred.T - np.einsum("nd,nd->n", centred, centred) / 2
        lengths = np.linalg.norm(queries, axis=1) * space.reach + space.reach**2
        margin = (vectors.shape[1] + 2) * ROUNDING * lengths
    scores[~exclusions.allowed(own, np.arange(len(space)))] = -np.inf
    neighbours = Neighbours.empty(len(vectors), k)
    place = max(0, len(space) - k)
    for row, values in enumerate(scores):
        least = np.partition(values, place)[place] - 2 * margin[row]
        candidates = np.flatnonzero((values >= least) & (values > -np.inf))
        one = slice(row, row + 1)
        neighbours.put(np.array([row]), in_order(space, vectors[one], own[one], candidates[None], k, exclusions))
    return neighbours


def nearest_of_all(space: Space, k: int, exclusions: Exclusions, rows: np.ndarray, threads: int = 1) -> Neighbours:
    """Return the neighbours of the songs with numbers `rows`, in several threads."""
    neighbours = Neighbours.empty(len(rows), k)

    def search(start: int) -> None:
        part = np.arange(start, min(start + QUERIES_AT_ONCE, len(rows)))
        neighbours.put(part, nearest(space, space.vectors[rows[part]], rows[part], k, exclusions))

    # OpenMP's number of threads is set per thread, so in each of the pool.
    pool = ThreadPoolExecutor(threads, initializer=_faiss().omp_set_num_threads, initargs=(1,))
    with threadpool_limits(1), pool:
        list(pool.map(search, range(0, len(rows), QUERIES_AT_ONCE)))
    return neighbours
