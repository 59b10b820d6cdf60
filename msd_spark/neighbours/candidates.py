"""The rows with the greatest scores for many queries, through BLAS, in memory that does not grow with the rows.

Scores come in tiles of rows by queries that fit in the processor's cache. Picking the greatest
ones costs more than computing them if each is looked at (sorting, or numpy's `argpartition`), so a
tile is first folded into the maxima of groups of 16 rows, which numpy does at memory speed, and
only groups above a query's floor are looked into. The floor is the least of its greatest scores
so far, and rises at row 2,048, 4,096, 8,192 and so on, so that only some ten groups a query are
looked into each time. The first floor comes from the first tiles' maxima: of count groups each
holds one score that is not less.

Measured with one BLAS thread in CPU seconds on a busy machine (100,000 x 50, 14 candidates, numpy's OpenBLAS
with AVX-512): the bare products took 0.25 s for 2,048 queries, this 0.35 s; folding and looking for maxima
above the floor are the smaller part of that, looking into groups and merging the greater. Merging whole tiles by
`argpartition` took twice the products' time and more, faiss's ``IndexFlatIP`` 1.4 to 1.6 times.
`python -m benchmarks.neighbours` measures it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

TILE_ROWS, TILE_QUERIES = 2048, 512
"""A tile of scores takes 4 MiB."""

GROUP = 16
GROUPS = TILE_ROWS // GROUP

FEW_ROWS = 4 * TILE_ROWS
"""So few rows are not worth folding."""

PENDING = 64
"""Scores above the floor a query, about, that are held before they are merged."""

LARGEST_BLOCK = 1 << 24
"""Scores at a time where all of them are looked at."""


def greatest(queries: np.ndarray, rows: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the rows with the greatest scores ``rows @ query`` of each query.

    Parameters
    ----------
    queries, rows : numpy.ndarray
        Shapes ``(m, size)`` and ``(n, size)``, float32.
    count : int
        At most `n` are returned.

    Returns
    -------
    scores, places : numpy.ndarray
        Shape ``(m, min(count, n))``, float32 and int64, in no order.
    floor : numpy.ndarray
        Shape ``(m,)``: no row that is not returned has a greater score; minus infinity where all are.
    """
    count = min(count, len(rows))
    scores = np.empty((len(queries), count), np.float32)
    places = np.empty((len(queries), count), np.int64)
    floor = np.full(len(queries), -np.inf, np.float32)
    if len(rows) <= FEW_ROWS or count * GROUP * 2 > len(rows):
        step = max(1, LARGEST_BLOCK // max(1, len(rows)))
        for start in range(0, len(queries), step):
            part = slice(start, start + step)
            scores[part], places[part] = _all_scores(queries[part], rows, count)
    else:
        tile = Tile.empty(rows)
        for start in range(0, len(queries), TILE_QUERIES):
            part = slice(start, start + TILE_QUERIES)
            scores[part], places[part] = _tiled(queries[part], tile, count)
    if count < len(rows):
        floor = scores.min(axis=1)
    return scores, places, floor


def _all_scores(queries: np.ndarray, rows: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    scores = queries @ rows.T
    if count == len(rows):
        return scores, np.broadcast_to(np.arange(count), scores.shape)
    places = np.argpartition(scores, len(rows) - count, axis=1)[:, len(rows) - count :]
    return np.take_along_axis(scores, places, axis=1), places


@dataclass
class Tile:
    """Room for the scores of some rows and up to `TILE_QUERIES` queries, and their maxima by group.

    Attributes
    ----------
    rows : numpy.ndarray
        Shape ``(n, size)``: all rows.
    scores : numpy.ndarray
        Shape ``(TILE_ROWS, TILE_QUERIES)``; a group is every `GROUPS`-th row of it.
    maxima : numpy.ndarray
        Shape ``(GROUPS, TILE_QUERIES)``.
    above : numpy.ndarray
        Shape ``(GROUPS, TILE_QUERIES)``: which maxima are above the floor.
    """

    rows: np.ndarray
    scores: np.ndarray
    maxima: np.ndarray
    above: np.ndarray

    @classmethod
    def empty(cls, rows: np.ndarray, n_queries: int = TILE_QUERIES) -> Tile:
        """Make room for `n_queries`."""
        folded = (GROUPS, n_queries)
        return cls(
            rows, np.empty((TILE_ROWS, n_queries), np.float32), np.empty(folded, np.float32), np.empty(folded, bool)
        )

    def __len__(self) -> int:
        return -(-len(self.rows) // TILE_ROWS)

    def fill(self, number: int, queries: np.ndarray) -> None:
        """Compute the scores of a tile and fold them.

        Parameters
        ----------
        number : int
            Which rows: from ``number * TILE_ROWS`` on.
        queries : numpy.ndarray
            Shape ``(size, n_queries)``.
        """
        rows = self.rows[number * TILE_ROWS : (number + 1) * TILE_ROWS]
        np.matmul(rows, queries, out=self.scores[: len(rows)])
        self.scores[len(rows) :] = -np.inf
        folded = self.scores.reshape(GROUP, GROUPS, -1)
        np.maximum(folded[0], folded[1], out=self.maxima)
        for part in folded[2:]:
            np.maximum(self.maxima, part, out=self.maxima)

    def look_into(self, floor: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the scores above each query's floor: their values, rows within the tile, and queries."""
        n_queries = self.maxima.shape[1]
        np.greater(self.maxima, floor, out=self.above)
        groups = np.flatnonzero(self.above)
        # `take` and one flat index are several times as fast as indexing by arrays and two.
        values = self.scores.reshape(GROUP, -1).take(groups, axis=1)
        query = groups % n_queries
        above = np.flatnonzero(values > floor.take(query))
        inner, hit = np.divmod(above, max(1, len(groups)))
        return values.ravel().take(above), inner * GROUPS + groups.take(hit) // n_queries, query.take(hit)


@dataclass
class Best:
    """The greatest scores so far, and those above the floor that are not merged yet.

    Attributes
    ----------
    floor : numpy.ndarray
        Shape ``(m,)``: what a score must be above.
    scores, places : numpy.ndarray
        Shape ``(m, count)``.
    """

    floor: np.ndarray
    scores: np.ndarray
    places: np.ndarray
    pending: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = field(default_factory=list)
    n_pending: int = 0

    def add(self, values: np.ndarray, places: np.ndarray, queries: np.ndarray) -> None:
        """Note some scores, their rows and their queries; each of shape ``(hits,)``."""
        self.pending.append((values, places, queries))
        self.n_pending += len(values)

    def merge(self) -> None:
        """Keep the greatest of what is kept and pending, and raise the floor to the least of them."""
        if not self.n_pending:
            return
        n_queries, count = self.scores.shape
        values, places, queries = (np.concatenate(column) for column in zip(*self.pending, strict=True))
        self.pending, self.n_pending = [], 0
        order = np.argsort(queries.astype(np.int16), kind="stable")  # of 16 bits: a radix sort
        values, places, queries = values[order], places[order], queries[order]
        hits = np.bincount(queries, minlength=n_queries)
        column = count + np.arange(len(queries)) - (np.cumsum(hits) - hits)[queries]
        shape = n_queries, count + int(hits.max())
        all_scores, all_places = np.full(shape, -np.inf, np.float32), np.zeros(shape, np.int64)
        all_scores[:, :count], all_places[:, :count] = self.scores, self.places
        all_scores[queries, column], all_places[queries, column] = values, places
        kept = np.argpartition(all_scores, shape[1] - count, axis=1)[:, shape[1] - count :]
        self.scores = np.take_along_axis(all_scores, kept, axis=1)
        self.places = np.take_along_axis(all_places, kept, axis=1)
        self.floor = np.maximum(self.floor, self.scores.min(axis=1))


def _tiled(queries: np.ndarray, tile: Tile, count: int) -> tuple[np.ndarray, np.ndarray]:
    if len(queries) != tile.maxima.shape[1]:
        tile = Tile.empty(tile.rows, len(queries))
    across = np.ascontiguousarray(queries.T)
    n_first = -(-2 * count // GROUPS)
    shape = len(queries), count
    best = Best(_first_floor(across, tile, n_first, count), np.full(shape, -np.inf, np.float32), np.zeros(shape, int))
    for number in range(len(tile)):
        if number or n_first > 1:  # else the tile holds them already
            tile.fill(number, across)
        values, rows, hit = tile.look_into(best.floor)
        best.add(values, rows + number * TILE_ROWS, hit)
        if number & (number + 1) == 0 or best.n_pending > PENDING * len(queries):
            best.merge()
    best.merge()
    return best.scores, best.places


def _first_floor(queries: np.ndarray, tile: Tile, n_tiles: int, count: int) -> np.ndarray:
    """Return what at least `count` scores of each query are above."""
    maxima = []
    for number in range(n_tiles):
        tile.fill(number, queries)
        maxima.append(tile.maxima.copy())
    together = np.concatenate(maxima)
    place = len(together) - count
    # Just below it, so that the score itself is above.
    return np.nextafter(np.partition(together, place, axis=0)[place], np.float32(-np.inf))
