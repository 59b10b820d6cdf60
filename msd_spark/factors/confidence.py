"""What implicit ALS minimises, and one half-step of it in numpy: factors of rows given those of columns.

With confidences ``c = 1 + alpha log(1 + plays / epsilon)`` and preferences ``p`` of 1 where there are plays and 0
elsewhere, ALS minimises ``sum c (p - x·y)² + lambda (sum n_u |x_u|² + sum n_i |y_i|²)`` over all pairs [1]_, where n
is how many listens a user or track has. Scaling lambda by n is the weighted-lambda regularisation of [2]_. Spark ML's
ALS does so for implicit feedback too, says its guide, and has no option for it [3]_.

References
----------
.. [1] Y. Hu, Y. Koren, C. Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008, equations 3
   to 6.
.. [2] Y. Zhou, D. Wilkinson, R. Schreiber, R. Pan, "Large-scale Parallel Collaborative Filtering for the Netflix
   Prize", AAIM 2008.
.. [3] Spark MLlib guide, "Collaborative Filtering", scaling of the regularization parameter.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from msd_spark.factors.settings import AlsParameters

ROWS_AT_ONCE = 4096


def log_scaled(plays: np.ndarray, epsilon: float) -> np.ndarray:
    """Return ``log(1 + plays / epsilon)``, float32: what Spark's ALS takes as ratings and multiplies by alpha."""
    return np.log1p(np.asarray(plays, np.float64) / epsilon).astype(np.float32)


def ratings(plays: sparse.csr_matrix, epsilon: float) -> sparse.csr_matrix:
    """Return plays of shape ``(m, n)`` as ratings, see `log_scaled`."""
    return sparse.csr_matrix((log_scaled(plays.data, epsilon), plays.indices, plays.indptr), shape=plays.shape)


def fit_rows(plays: sparse.csr_matrix, factors: np.ndarray, parameters: AlsParameters) -> np.ndarray:
    """Return the factors of rows that minimise the loss for given factors of columns.

    With the tracks' factors this folds in users, with the users' (and the transposed matrix) tracks.

    Parameters
    ----------
    plays : scipy.sparse.csr_matrix
        Shape ``(m, n)``.
    factors : numpy.ndarray
        Shape ``(n, rank)``, of the columns.
    parameters : AlsParameters

    Returns
    -------
    numpy.ndarray
        Shape ``(m, rank)``, float32, computed in float64; zero for a row without plays.
    """
    factors = np.asarray(factors, np.float64)
    rank = factors.shape[1]
    rated = ratings(plays, parameters.epsilon)
    gram = factors.T @ factors
    found = np.zeros((plays.shape[0], rank), np.float32)
    for start in range(0, plays.shape[0], ROWS_AT_ONCE):
        stop = min(start + ROWS_AT_ONCE, plays.shape[0])
        left = np.tile(gram, (stop - start, 1, 1))
        right = np.zeros((stop - start, rank))
        for at, row in enumerate(range(start, stop)):
            inside = slice(rated.indptr[row], rated.indptr[row + 1])
            ours = factors[rated.indices[inside]]
            beyond = parameters.alpha * rated.data[inside].astype(np.float64)
            left[at] += (ours.T * beyond) @ ours
            # A row without plays has the answer zero, whatever stands on its diagonal.
            left[at].flat[:: rank + 1] += parameters.regularisation * max(len(ours), 1)
            right[at] = (1 + beyond) @ ours
        found[start:stop] = np.linalg.solve(left, right[..., None])[..., 0]
    return found
