"""UMAP, as an alternative to t-SNE; needs umap-learn.

References
----------
.. [1] L. McInnes, J. Healy, J. Melville, "UMAP: Uniform Manifold Approximation and Projection for dimension
   reduction", 2018.
"""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from typing import Any

import numpy as np

from msd_spark.core.errors import UserError

NEIGHBOURS = 15
"""UMAP's own default."""


def _fitted(vectors: np.ndarray, seed: int) -> Any:
    if importlib.util.find_spec("umap") is None:
        raise UserError(
            "--method umap needs umap-learn, which is not installed; run pip install umap-learn, or use --method tsne"
        )
    umap = importlib.import_module("umap")
    n_neighbours = min(NEIGHBOURS, len(vectors) - 1)
    # There is no spectral initialisation for few songs.
    start = "spectral" if len(vectors) > 4 * NEIGHBOURS else "random"
    with warnings.catch_warnings():
        # It warns that a seed implies one thread.
        warnings.filterwarnings("ignore", message="n_jobs value")
        return umap.UMAP(n_neighbors=n_neighbours, metric="cosine", random_state=seed, init=start).fit(vectors)


def fit_umap(vectors: np.ndarray, seed: int) -> np.ndarray:
    """Fit a map to songs ``(n, size)``: ``(n, 2)``, float32, its bounding box centred at 0."""
    places = np.asarray(_fitted(vectors, seed).embedding_, np.float64)
    return (places - (places.min(axis=0) + places.max(axis=0)) / 2).astype(np.float32)


class UmapPlacer:
    """Places songs into a map, given the fitted songs and their places.

    UMAP can save its state only as a pickle, which is unsafe to load. Therefore the model is fitted again to the fitted
    songs with the same seed, and their stored places replace the new ones.
    """

    def __init__(self, vectors: np.ndarray, places: np.ndarray, seed: int) -> None:
        self._map = _fitted(vectors, seed)
        self._map.embedding_ = places.astype(np.float32)

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """Return the places of songs ``(m, size)``: shape ``(m, 2)``, float32."""
        return np.asarray(self._map.transform(vectors), np.float32)
