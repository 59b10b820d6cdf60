"""t-SNE by openTSNE: a map of a sample, and songs placed into a map that is there.

Two songs are as far apart as the cosine says, as in ``neighbours/RUN``: vectors are scaled to length 1, and the
Euclidean distance of these is ``sqrt(2 (1 - cosine))``. Neighbours are exact. A song that is placed sees the
fitted songs alone, so where it comes to lie depends neither on the songs placed with it nor on when.

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
"""How songs are placed, as openTSNE does by itself: from the median of three times so many neighbours."""

GREATEST_STEP = 0.2
"""How far a song goes in one iteration, at most. With `ITERATIONS` it bounds how far a song gets from where it
starts, amid the fitted songs: openTSNE reads beyond its grid of interpolation, and crashes, where a song leaves it."""

STEPS_BETWEEN_REPORTS = 25


class ExactIndex(KNNIndex):  # type: ignore[misc]  # openTSNE has no types
    """The fitted songs' exact neighbours, for openTSNE.

    Parameters
    ----------
    space : Space
        Of the cosine.
    k : int
        Neighbours of each fitted song.
    threads : int
    """

    VALID_METRICS = (METRIC,)

    def __init__(self, space: Space, k: int, threads: int) -> None:
        super().__init__(space.vectors, k, metric=METRIC, n_jobs=threads)
        self.space = space
        self._nobody = Exclusions(np.empty((0, len(space)), np.int32))

    def build(self) -> tuple[np.ndarray, np.ndarray]:
        """Return numbers and distances of the fitted songs' neighbours, each of shape ``(n, k)``."""
        everyone = np.arange(len(self.space))
        return _euclidean(nearest_of_all(self.space, self.k, self._nobody, everyone, self.n_jobs))

    def query(self, query: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return numbers and distances of other songs' neighbours among the fitted ones, each of shape ``(m, k)``."""
        return _euclidean(nearest(self.space, query, np.full(len(query), NONE), k, self._nobody))


def _euclidean(found: Neighbours) -> tuple[np.ndarray, np.ndarray]:
    """Return distances on the sphere's chord for those that are 1 less the cosine."""
    return found.places, np.sqrt(2 * np.maximum(found.distances, 0))


def _affinities(vectors: np.ndarray, perplexity: float, threads: int) -> PerplexityBasedNN:
    space = Space.of(vectors, METRIC)
    k = max(1, min(len(space) - 1, int(3 * perplexity)))
    return PerplexityBasedNN(knn_index=ExactIndex(space, k, threads), perplexity=perplexity, n_jobs=threads)


def fit_tsne(
    vectors: np.ndarray, perplexity: float, seed: int, threads: int = 1, report: Callable[[int], object] | None = None
) -> np.ndarray:
    """Make a map of songs.

    Parameters
    ----------
    vectors : numpy.ndarray
        Shape ``(n, size)``, float32, at least 4 songs.
    perplexity : float
        At most ``(n - 1) / 3``.
    seed : int
    threads : int
        The map does not depend on them.
    report : callable, optional
        Is told the iterations done since the last time.

    Returns
    -------
    numpy.ndarray
        Shape ``(n, 2)``, float32, its bounding box centred at 0.
    """

    def tell(*_: object) -> bool:
        if report is not None:
            report(STEPS_BETWEEN_REPORTS)
        return False  # go on

    affinities = _affinities(vectors, perplexity, threads)
    start = pca(affinities.knn_index.space.scaled.astype(np.float64), random_state=seed)
    model = TSNE(
        perplexity=perplexity,
        n_jobs=threads,
        random_state=seed,
        callbacks=[tell],
        callbacks_every_iters=STEPS_BETWEEN_REPORTS,
    )
    places = np.asarray(model.fit(affinities=affinities, initialization=start))
    return (places - (places.min(axis=0) + places.max(axis=0)) / 2).astype(np.float32)


FIT_ITERATIONS = TSNE().early_exaggeration_iter + TSNE().n_iter
"""Iterations of a fit."""


class TsnePlacer:
    """Places songs into a map.

    Parameters
    ----------
    vectors : numpy.ndarray
        Shape ``(n, size)``, float32: the fitted songs.
    places : numpy.ndarray
        Shape ``(n, 2)``, float32: where they lie, as `fit_tsne` gives it.
    perplexity : float
        That they were fitted with.
    threads : int
    """

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
        # The padding is a share of the extent, half of it on either side.
        self._map.prepare_interpolation_grid(padding=2.2 * ITERATIONS * GREATEST_STEP / extent)

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """Return where songs ``(m, size)`` come to lie: shape ``(m, 2)``, float32."""
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
