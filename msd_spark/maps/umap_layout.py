"""UMAP, where umap-learn is installed: an option beside t-SNE.

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


def require_umap() -> None:
    """Check that umap-learn is there.

    Raises
    ------
    UserError
    """
    if importlib.util.find_spec("umap") is None:
        raise UserError(
            "--method umap needs umap-learn, which is not installed; pip install umap-learn, or --method tsne"
        )


def _fitted(vectors: np.ndarray, seed: int) -> Any:
    umap = importlib.import_module("umap")
    n_neighbours = min(NEIGHBOURS, len(vectors) - 1)
    # Of few songs there is no spectral layout to start from.
    start = "spectral" if len(vectors) > 4 * NEIGHBOURS else "random"
    with warnings.catch_warnings():
        # It says that a seed means one thread, which is what we want.
        warnings.filterwarnings("ignore", message="n_jobs value")
        return umap.UMAP(n_neighbors=n_neighbours, metric="cosine", random_state=seed, init=start).fit(vectors)


def fit_umap(vectors: np.ndarray, seed: int) -> np.ndarray:
    """Make a map of songs ``(n, size)``: shape ``(n, 2)``, float32, its bounding box centred at 0."""
    places = np.asarray(_fitted(vectors, seed).embedding_, np.float64)
    return (places - (places.min(axis=0) + places.max(axis=0)) / 2).astype(np.float32)


class UmapPlacer:
    """Places songs into a map.

    UMAP keeps its state in pickles alone, which this project reads none of. What it learned of the fitted songs is
    learned anew from them, with the seed of then, and their places are those that were kept.

    Parameters
    ----------
    vectors, places : numpy.ndarray
        Shapes ``(n, size)`` and ``(n, 2)``, float32: the fitted songs and where they lie.
    seed : int
    """

    def __init__(self, vectors: np.ndarray, places: np.ndarray, seed: int) -> None:
        self._map = _fitted(vectors, seed)
        self._map.embedding_ = places.astype(np.float32)

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """Return where songs ``(m, size)`` come to lie: shape ``(m, 2)``, float32."""
        return np.asarray(self._map.transform(vectors), np.float32)
