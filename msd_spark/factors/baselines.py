"""Baseline recommenders: chance, popularity, item-kNN and EASE.

They use which tracks were heard, not how often.

References
----------
.. [1] H. Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019, algorithm 1.
.. [2] F. Ricci, L. Rokach, B. Shapira (editors), "Recommender Systems Handbook", 2nd edition 2015, chapter 2: item
   neighbourhoods, cosine and shrinkage.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.linalg import lapack

from msd_spark.core.errors import UserError
from msd_spark.factors.ranking import Recommender

COLUMNS_AT_ONCE = 512


def heard(plays: sparse.csr_matrix) -> sparse.csr_matrix:
    """Return plays as binary values, float32."""
    return sparse.csr_matrix((np.ones(plays.nnz, np.float32), plays.indices, plays.indptr), shape=plays.shape)


def chance(seed: int) -> Recommender:
    """Return a recommender with independent random scores per user."""
    generator = np.random.default_rng(seed)
    return lambda history: generator.random(history.shape, np.float32)


def popularity(train: sparse.csr_matrix) -> Recommender:
    """Return a recommender that scores each track by its number of listeners."""
    listeners = np.bincount(train.indices, minlength=train.shape[1]).astype(np.float32)
    return lambda history: np.tile(listeners, (history.shape[0], 1))


def similar_tracks(train: sparse.csr_matrix, neighbours: int, shrinkage: float) -> sparse.csr_matrix:
    """Return the shrunk cosine between each track and its nearest tracks [2]_.

    It is ``n_ij / (sqrt(n_i n_j) + shrinkage)``, with n_ij the number of shared listeners. Each row of the
    ``(tracks, tracks)`` matrix has the `neighbours` nearest of its track, without the track itself.
    """
    ones = heard(train)
    across = ones.T.tocsr()
    lengths = np.sqrt(np.diff(across.indptr)).astype(np.float32)
    blocks = []
    for start in range(0, ones.shape[1], COLUMNS_AT_ONCE):
        stop = min(start + COLUMNS_AT_ONCE, ones.shape[1])
        shared = (across[start:stop] @ ones).toarray()
        shared /= lengths[start:stop, None] * lengths + np.float32(shrinkage)
        shared[np.arange(stop - start), np.arange(start, stop)] = 0
        if neighbours < shared.shape[1]:
            smallest = np.partition(shared, -neighbours, axis=1)[:, -neighbours]
            shared[shared < smallest[:, None]] = 0
        blocks.append(sparse.csr_matrix(shared))
    return sparse.vstack(blocks, "csr")


def item_knn(train: sparse.csr_matrix, neighbours: int, shrinkage: float) -> Recommender:
    """Return a recommender that sums a track's similarities to the tracks of the history."""
    across = similar_tracks(train, neighbours, shrinkage).T.tocsr()
    return lambda history: np.asarray((heard(history) @ across).toarray(), np.float32)


def ease_weights(train: sparse.csr_matrix, regularisation: float) -> np.ndarray:
    """Return EASE's exact weights [1]_: shape ``(tracks, tracks)``, zero on the diagonal.

    With ``P = (X'X + lambda I)^-1`` they are ``-P_ij / P_jj``. One float32 matrix is inverted in place by its Cholesky
    factor: 1.6 GB for 20,000 tracks.
    """
    ones = heard(train)
    across = ones.T.tocsr()
    n_tracks = ones.shape[1]
    gram = np.empty((n_tracks, n_tracks), np.float32, order="F")
    for start in range(0, n_tracks, COLUMNS_AT_ONCE):
        columns = slice(start, min(start + COLUMNS_AT_ONCE, n_tracks))
        gram[:, columns] = (across[columns] @ ones).toarray().T
    gram.ravel("K")[:: n_tracks + 1] += np.float32(regularisation)
    for step in (lapack.spotrf, lapack.spotri):
        gram, failed = step(gram, lower=1, **{"overwrite_a" if step is lapack.spotrf else "overwrite_c": 1})
        if failed:
            raise UserError(f"EASE's matrix is singular in float32; raise --ease-regularisation ({regularisation:g})")
    for start in range(0, n_tracks, COLUMNS_AT_ONCE):  # LAPACK fills the lower triangle only
        stop = min(start + COLUMNS_AT_ONCE, n_tracks)
        corner = np.tril(gram[start:stop, start:stop])
        gram[start:stop, start:stop] = corner + np.tril(corner, -1).T
        gram[start:stop, stop:] = gram[stop:, start:stop].T
    # The matrix is symmetric; its transposed view is in C order, which a sparse history multiplies without a copy.
    weights = gram.T
    weights /= -weights.diagonal()
    weights.ravel("K")[:: n_tracks + 1] = 0
    return np.asarray(weights)


def ease(train: sparse.csr_matrix, regularisation: float) -> Recommender:
    """Return a recommender that sums EASE's weights from the tracks of the history."""
    across = ease_weights(train, regularisation)
    return lambda history: np.asarray(heard(history) @ across, np.float32)
