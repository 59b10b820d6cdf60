"""The loss of implicit ALS, and one half-step: factors of rows for given factors of columns.

With confidences ``c = 1 + alpha log(1 + plays / epsilon)`` and preferences ``p`` of 1 for pairs with plays and 0 for
others, ALS minimises ``sum c (p - x·y)² + lambda (sum n_u |x_u|² + sum n_i |y_i|²)`` over all pairs [1]_, where n
counts the listens of a user or track. Scaling lambda by n is the weighted-lambda regularisation of [2]_; Spark ML's ALS
does so for implicit feedback too and has no option to change it [3]_.

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
    """Return ``log(1 + plays / epsilon)``: the ratings that Spark's ALS multiplies by alpha."""
    return np.log1p(np.asarray(plays, np.float64) / epsilon).astype(np.float32)


def fit_rows(plays: sparse.csr_matrix, factors: np.ndarray, parameters: AlsParameters) -> np.ndarray:
    """Return the factors of rows that minimise the loss for given factors of columns.

    Given track factors this folds in users; given user factors and the transposed matrix, tracks. Plays ``(m, n)`` and
    factors ``(n, rank)`` return ``(m, rank)``, float32, computed in float64; zero for a row without plays.
    """
    factors = np.asarray(factors, np.float64)
    rank = factors.shape[1]
    ratings = log_scaled(plays.data, parameters.epsilon)
    gram = factors.T @ factors
    fitted = np.zeros((plays.shape[0], rank), np.float32)
    for start in range(0, plays.shape[0], ROWS_AT_ONCE):
        stop = min(start + ROWS_AT_ONCE, plays.shape[0])
        left = np.tile(gram, (stop - start, 1, 1))
        right = np.zeros((stop - start, rank))
        for at, row in enumerate(range(start, stop)):
            inside = slice(plays.indptr[row], plays.indptr[row + 1])
            columns = factors[plays.indices[inside]]
            beyond_one = parameters.alpha * ratings[inside].astype(np.float64)
            left[at] += (columns.T * beyond_one) @ columns
            # A row without plays has the solution zero for any penalty.
            left[at].flat[:: rank + 1] += parameters.regularisation * max(len(columns), 1)
            right[at] = (1 + beyond_one) @ columns
        fitted[start:stop] = np.linalg.solve(left, right[..., None])[..., 0]
    return fitted
