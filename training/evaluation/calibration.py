"""Calibration of a classifier's probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np

BINS = 15
"""As in Guo et al., so that values are comparable."""


def calibration_metrics(true: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
    """Return the expected calibration error and the rows of a reliability diagram [1]_.

    The confidence of a prediction is its highest probability. Confidences are grouped into 15 bins of equal width,
    ``((b - 1) / 15, b / 15]``; the error is ``sum_b n_b / n |accuracy_b - confidence_b|``.

    Parameters
    ----------
    true : numpy.ndarray
        Shape ``(n,)``: classes.
    probabilities : numpy.ndarray
        Shape ``(n, n_classes)``; each row sums to 1.

    Returns
    -------
    dict
        ``expected_calibration_error``, and ``reliability``: one row per bin that is not empty.

    References
    ----------
    .. [1] C. Guo, G. Pleiss, Y. Sun, K. Weinberger, "On Calibration of Modern Neural Networks", ICML 2017,
       equations 2 to 5.
    """
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == true
    bins = np.clip(np.ceil(confidence * BINS).astype(int), 1, BINS)
    rows = [
        {
            "above": (int(number) - 1) / BINS,
            "up_to": int(number) / BINS,
            "examples": int((bins == number).sum()),
            "accuracy": float(correct[bins == number].mean()),
            "confidence": float(confidence[bins == number].mean()),
        }
        for number in np.unique(bins)
    ]
    error = sum(row["examples"] * abs(row["accuracy"] - row["confidence"]) for row in rows) / len(true)
    return {"expected_calibration_error": float(error), "reliability": rows}
