"""Exact neighbours: candidates by float32, put in order in float64, with proof that none is missing.

A query's candidates are its greatest float32 scores, a few more than wanted. What is no candidate has
a float32 score of at most the floor, hence a true score of at most the floor and the rounding
margin. So when k allowed candidates lie above that, they are the neighbours, in the order of
float64 distances and, among equal ones, of track ids. Queries without such proof (near ties, or many songs that
are left out) get more candidates, and in the end all songs, in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from msd_spark.neighbours.candidates import TILE_QUERIES, greatest
from msd_spark.neighbours.exclusions import Exclusions
from msd_spark.neighbours.space import Space, unit

SPARE_CANDIDATES = 3
"""Candidates besides the k neighbours and the song itself."""

MORE = 4
"""How many times as many candidates a query gets that needs more."""

MOST_CANDIDATES = 512

SCORES_AT_ONCE = 1 << 23
"""float64 scores at a time where all songs are looked at."""

ROUNDING = 2.0**-51
"""Four times float64's unit roundoff."""

NONE = -1

FindCandidates = Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Neighbours:
    """The neighbours of some queries, nearest first.

    Attributes
    ----------
    places : numpy.ndarray
        Shape ``(m, k)``, int64: numbers of songs; `NONE` where there are no more.
    distances : numpy.ndarray
        Shape ``(m, k)``, float64; infinity where there are no more.
    """

    places: np.ndarray
    distances: np.ndarray

    @classmethod
    def empty(cls, n_queries: int, k: int) -> Neighbours:
        """Make room for the neighbours of `n_queries`."""
        return cls(np.full((n_queries, k), NONE), np.full((n_queries, k), np.inf))

    def put(self, rows: np.ndarray, other: Neighbours) -> None:
        """Take over the neighbours of some of the queries."""
        self.places[rows], self.distances[rows] = other.places, other.distances


def nearest(space: Space, vectors: np.ndarray, own: np.ndarray, k: int, exclusions: Exclusions) -> Neighbours:
    """Return the k nearest songs of queries.

    Parameters
    ----------
    space : Space
    vectors : numpy.ndarray
        Shape ``(m, size)``: the queries.
    own : numpy.ndarray
        Shape ``(m,)``: which of the songs each query is, and so none of its neighbours; `NONE` where it is another.
    k : int
    exclusions : Exclusions
    """
    found = Neighbours.empty(len(vectors), k)
    waiting = np.arange(len(vectors))
    count = k + 1 + SPARE_CANDIDATES
    while len(waiting) and count <= MOST_CANDIDATES:
        _, places, floor = greatest(space.queries(vectors[waiting]), space.scaled, count)
        ordered = in_order(space, vectors[waiting], own[waiting], places, k, exclusions)
        last = space.scores(vectors[waiting], ordered.distances[:, -1:])[:, 0]
        proved = (floor == -np.inf) | (last > floor + space.margin(vectors[waiting]))
        found.put(waiting[proved], Neighbours(ordered.places[proved], ordered.distances[proved]))
        waiting = waiting[~proved]
        count *= MORE
    step = max(1, SCORES_AT_ONCE // max(1, len(space)))
    for start in range(0, len(waiting), step):
        part = waiting[start : start + step]
        found.put(part, _among_all(space, vectors[part], own[part], k, exclusions))
    return found


def in_order(
    space: Space, vectors: np.ndarray, own: np.ndarray, places: np.ndarray, k: int, exclusions: Exclusions
) -> Neighbours:
    """Return the k nearest of each query's candidates, of shape ``(m, count)``; below 0 stands for none."""
    distances = space.distances(vectors, places)
    distances[~exclusions.allowed(own, places)] = np.inf
    order = np.lexsort((places, distances), axis=1)[:, :k]
    result = Neighbours.empty(len(vectors), k)
    width = order.shape[1]
    result.distances[:, :width] = np.take_along_axis(distances, order, axis=1)
    result.places[:, :width] = np.take_along_axis(places, order, axis=1)
    result.places[np.isinf(result.distances)] = NONE
    return result


def _among_all(space: Space, vectors: np.ndarray, own: np.ndarray, k: int, exclusions: Exclusions) -> Neighbours:
    """Look at all songs in float64; those that may be among the k nearest are put in order."""
    everyone = np.arange(len(space))
    if space.metric == "cosine":
        scores = unit(vectors) @ unit(space.vectors).T
        margin = np.full(len(vectors), vectors.shape[1] * ROUNDING)
    else:
        centred, queries = space.vectors - space.centre, np.asarray(vectors, np.float64) - space.centre
        scores = queries @ centred.T - np.einsum("nd,nd->n", centred, centred) / 2
        lengths = np.linalg.norm(queries, axis=1) * space.reach + space.reach**2
        margin = (vectors.shape[1] + 2) * ROUNDING * lengths
    scores[~exclusions.allowed(own, everyone)] = -np.inf
    found = Neighbours.empty(len(vectors), k)
    place = max(0, len(space) - k)
    for row, values in enumerate(scores):
        least = np.partition(values, place)[place] - 2 * margin[row]
        among = np.flatnonzero((values >= least) & (values > -np.inf))
        one = slice(row, row + 1)
        found.put(np.array([row]), in_order(space, vectors[one], own[one], among[None], k, exclusions))
    return found


def nearest_of_all(space: Space, k: int, exclusions: Exclusions, rows: np.ndarray, threads: int = 1) -> Neighbours:
    """Return the neighbours of some of the songs themselves, with several threads of one BLAS thread each.

    Parameters
    ----------
    space : Space
    k : int
    exclusions : Exclusions
    rows : numpy.ndarray
        Shape ``(m,)``: numbers of songs.
    threads : int
    """
    found = Neighbours.empty(len(rows), k)
    size = 4 * TILE_QUERIES

    def search(start: int) -> None:
        part = np.arange(start, min(start + size, len(rows)))
        found.put(part, nearest(space, space.vectors[rows[part]], rows[part], k, exclusions))

    with threadpool_limits(1), ThreadPoolExecutor(threads) as pool:
        list(pool.map(search, range(0, len(rows), size)))
    return found
