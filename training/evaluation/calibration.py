"""How far a classifier's confidence can be taken at its word."""

from __future__ import annotations

from typing import Any

import numpy as np

BINS = 15
"""As in Guo et al., whose figures one compares with."""


def calibration_metrics(true: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
    """Return the expected calibration error, and the table that a reliability diagram is drawn from.

    The confidence of a prediction is its highest probability. Confidences are cut into 15 bins of equal
    width, ``((b - 1) / 15, b / 15]``; the error is the mean over examples of the distance between their
    bin's accuracy and its mean confidence: ``sum_b n_b / n |accuracy_b - confidence_b|``.

    Parameters
    ----------
    true : numpy.ndarray
        Shape ``(n,)``: classes.
    probabilities : numpy.ndarray
        Shape ``(n, n_classes)``; each row adds up to 1.

    Returns
    -------
    dict
        ``expected_calibration_error``, and ``reliability``: a row a bin that is not empty.

    References
    ----------
    .. [1] C. Guo, G. Pleiss, Y. Sun, K. Weinberger, "On Calibration of Modern Neural Networks", ICML 2017,
       equations 2 to 5.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == true
    bins = np.clip(np.ceil(confidence * BINS).astype(int), 1, BINS)
    rows = []
    for number in np.unique(bins):
        inside = bins == number
        rows.append(
            {
                "above": (int(number) - 1) / BINS,
                "up_to": int(number) / BINS,
                "examples": int(inside.sum()),
                "accuracy": float(right[inside].mean()),
                "confidence": float(confidence[inside].mean()),
            }
        )
    error = sum(row["examples"] * abs(row["accuracy"] - row["confidence"]) for row in rows) / len(true)
    return {"expected_calibration_error": float(error), "reliability": rows}
