"""t-SNE by openTSNE: fit a map to a sample, and place songs into an existing map.

Distances are cosine distances, as in ``neighbours/RUN``: vectors are scaled to length 1, so their Euclidean distance
is ``sqrt(2 (1 - cosine))``. Neighbours are exact. A placed song is attracted by the fitted songs alone, so its place
does not depend on other placed songs or on their order.

References
----------
.. [1] L. van der Maaten, G. Hinton, "Visualizing data using t-SNE", JMLR 9, 2008.
.. [2] P. Poličar, M. Stražar, B. Zupan, "Embedding to reference t-SNE space addresses batch effects in single-cell
   classification", Machine Learning 112, 2023: placing points into a map.
.. [3] G. Linderman et al., "Fast interpolation-based t-SNE for improved visualization of single-cell RNA-seq data",
   Nature Methods 16, 2019.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from openTSNE import TSNE, TSNEEmbedding
from openTSNE.affinity import PerplexityBasedNN
from openTSNE.initialization import pca
from openTSNE.nearest_neighbors import KNNIndex

from msd_spark.neighbours.exact import NONE, Neighbours, nearest, nearest_of_all
from msd_spark.neighbours.exclusions import Exclusions
from msd_spark.neighbours.space import Space

METRIC = "cosine"

ITERATIONS = 250
MOMENTUM, LEARNING_RATE, EXAGGERATION, GREATEST_GRADIENT = 0.8, 0.1, 1.5, 0.25
PERPLEXITY_OF_PLACING = 5.0
"""openTSNE's defaults for placing songs: from the median of three times as many neighbours as the perplexity."""

GREATEST_STEP = 0.2
"""Largest step per iteration. With `ITERATIONS` it bounds the distance of a song from its start among the fitted songs:
openTSNE reads beyond its interpolation grid, and crashes, if a song leaves it."""

STEPS_BETWEEN_REPORTS = 25


class ExactIndex(KNNIndex):  # type: ignore[misc]  # openTSNE has no types
    """The exact cosine neighbours of the fitted songs, for openTSNE."""

    VALID_METRICS = (METRIC,)

    def __init__(self, space: Space, k: int, threads: int) -> None:
        super().__init__(space.vectors, k, metric=METRIC, n_jobs=threads)
        self.space = space
        self._no_exclusions = Exclusions(np.empty((0, len(space)), np.int32))

    def build(self) -> tuple[np.ndarray, np.ndarray]:
        """Return numbers and distances of the neighbours of fitted songs, each of shape ``(n, k)``."""
        rows = np.arange(len(self.space))
        return _euclidean(nearest_of_all(self.space, self.k, self._no_exclusions, rows, self.n_jobs))

    def query(self, query: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return numbers and distances of the fitted neighbours of other songs, ``(m, k)`` each."""
        return _euclidean(nearest(self.space, query, np.full(len(query), NONE), k, self._no_exclusions))


def _euclidean(neighbours: Neighbours) -> tuple[np.ndarray, np.ndarray]:
    """Convert cosine distances to Euclidean distances of vectors of length 1."""
    return neighbours.places, np.sqrt(2 * np.maximum(neighbours.distances, 0))


def _affinities(vectors: np.ndarray, perplexity: float, threads: int) -> PerplexityBasedNN:
    space = Space.of(vectors, METRIC)
    k = max(1, min(len(space) - 1, int(3 * perplexity)))
    return PerplexityBasedNN(knn_index=ExactIndex(space, k, threads), perplexity=perplexity, n_jobs=threads)


def fit_tsne(
    vectors: np.ndarray, perplexity: float, seed: int, threads: int = 1, report: Callable[[int], object] | None = None
) -> np.ndarray:
    """Fit a map; it does not depend on the number of threads.

    `vectors` has at least 4 rows, `perplexity` is at most a third of the others, and `report` is called with the number
    of iterations since its last call. The map is float32, with its bounding box centred at 0.
    """

    def callback(*_: object) -> bool:
        if report is not None:
            report(STEPS_BETWEEN_REPORTS)
        return False  # continue

    affinities = _affinities(vectors, perplexity, threads)
    start = pca(affinities.knn_index.space.scaled.astype(np.float64), random_state=seed)
    model = TSNE(
        perplexity=perplexity,
        n_jobs=threads,
        random_state=seed,
        callbacks=[callback],
        callbacks_every_iters=STEPS_BETWEEN_REPORTS,
    )
    places = np.asarray(model.fit(affinities=affinities, initialization=start))
    return (places - (places.min(axis=0) + places.max(axis=0)) / 2).astype(np.float32)


FIT_ITERATIONS = TSNE().early_exaggeration_iter + TSNE().n_iter
"""Iterations per fit."""


class TsnePlacer:
    """Places songs into a map, given the fitted songs, their places and the perplexity."""

    def __init__(self, vectors: np.ndarray, places: np.ndarray, perplexity: float, threads: int = 1) -> None:
        self._perplexity = min(PERPLEXITY_OF_PLACING, perplexity)
        self._threads = threads
        self._map = TSNEEmbedding(
            places.astype(np.float64),
            _affinities(vectors, perplexity, threads),
            negative_gradient_method="fft",
            n_jobs=threads,
        )
        extent = max(float(np.ptp(places)), 1.0)
        # The padding is a share of the extent, half of it on each side.
        self._map.prepare_interpolation_grid(padding=2.2 * ITERATIONS * GREATEST_STEP / extent)

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """Return the places of songs ``(m, size)``: shape ``(m, 2)``, float32."""
        k = max(1, int(3 * self._perplexity))
        placed = self._map.prepare_partial(vectors, initialization="median", k=k, perplexity=self._perplexity)
        placed.optimize(
            n_iter=ITERATIONS,
            learning_rate=LEARNING_RATE,
            exaggeration=EXAGGERATION,
            momentum=MOMENTUM,
            max_grad_norm=GREATEST_GRADIENT,
            max_step_norm=GREATEST_STEP,
            n_jobs=self._threads,
            inplace=True,
        )
        return np.asarray(placed).astype(np.float32)
