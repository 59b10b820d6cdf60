"""Features of the official baselines: 12 means and 78 covariances of timbre.

References
----------
.. [1] T. Bertin-Mahieux, "YearPredictionMSD", UCI Machine Learning Repository, 2011: "We take the average and
   covariance over all 'segments', each segment being described by a 12-dimensional timbre vector."
.. [2] T. Bertin-Mahieux, ``MSongsDB/Tasks_Demos/YearPrediction/ismir11/create_vw_dataset.py``: the covariance is that
   of ``numpy.cov`` (divided by n - 1), written diagonal by diagonal.
"""

from __future__ import annotations

import numpy as np

from msd_spark.core.schemas import GEOMETRY

N_TIMBRE = GEOMETRY.n_pitches
"""Numbers per segment."""

SIZE = N_TIMBRE + N_TIMBRE * (N_TIMBRE + 1) // 2
"""Features of a song: 90."""


def timbre_moments(timbre: np.ndarray) -> np.ndarray:
    """Return the means and covariances of a song's timbre, in the order of UCI's columns.

    The result has shape ``(90,)``, float64: 12 means, then the covariance matrix diagonal by diagonal, first its 12
    variances, then the 11 covariances of neighbouring numbers, and so on. `timbre` has shape ``(n_segments * 12,)`` or
    ``(n_segments, 12)``, with at least two segments.

    Examples
    --------
    >>> two = np.zeros((2, 12))
    >>> two[1, :2] = 2, 4
    >>> moments = timbre_moments(two)
    >>> moments[[0, 1, 12, 13, 24]].tolist()  # means, variances, covariance of the first two numbers
    [1.0, 2.0, 2.0, 8.0, 4.0]
    """
    rows = np.asarray(timbre, np.float64).reshape(-1, N_TIMBRE)
    if len(rows) < 2:
        raise ValueError(f"a covariance needs 2 segments, not {len(rows)}")
    covariance = np.cov(rows, rowvar=False)
    return np.concatenate([rows.mean(axis=0), *(np.diagonal(covariance, place) for place in range(N_TIMBRE))])
