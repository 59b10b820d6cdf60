"""Results of the original project of 2019, and runs under its protocol next to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from msd_spark.core.formatting import number

ORIGINAL = {
    "dense": ("≈ .40", ".44", ".42"),
    "lstm": ("≈ .30", ".32", ".48"),
    "cnn": (".50–.55", ".48", ".52"),
}
"""By model: accuracy, average precision and F1 as the original's text states them, on other songs."""

NOTE = (
    "The original states neither the split of its results nor the average over genres. It reports that the LSTM took "
    "20 times as long as the other models, and cites “CMU .36” without the metric."
)

HEADS = ("run", "split", "accuracy", "macro AP", "macro F1", "training s", "inference s")
METRICS = ("accuracy", "macro_average_precision", "macro_f1")


def beside_original(runs: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]]) -> list[tuple[str, ...]]:
    """Return the columns `HEADS`, one row per run and split and one per model of the original.

    `runs` has the metadata and metrics of each run by name. Validation metrics are those of the best epoch; the
    seconds of inference are those of all splits except train.
    """
    rows: list[tuple[str, ...]] = []
    for name, (metadata, metrics) in runs.items():
        seconds = metadata["arguments"].get("seconds", {})
        times = [f"{seconds[part]:.1f}" if part in seconds else "–" for part in ("training", "inference")]
        for split, of_split in metrics.items():
            rows.append((name, split, *(number(of_split["model"].get(metric)) for metric in METRICS), *times))
            times = ["", ""]
    return rows + [(f"{model}, original", "", *values, "", "") for model, values in ORIGINAL.items()]


def confused_pairs(matrix: Sequence[Sequence[int]], labels: Sequence[str], n_pairs: int = 5) -> list[str]:
    """Return the most frequent confusions of a confusion matrix, one row per true class.

    Examples
    --------
    >>> confused_pairs([[9, 4, 0], [1, 5, 0], [0, 2, 7]], ["Rock", "Pop", "Rap"], 2)
    ['Rock → Pop 4', 'Rap → Pop 2']
    """
    wrong = np.array(matrix)
    np.fill_diagonal(wrong, 0)
    places = np.argwhere(wrong)
    largest = sorted(places.tolist(), key=lambda place: -wrong[tuple(place)])[:n_pairs]
    return [f"{labels[true]} → {labels[predicted]} {wrong[true, predicted]}" for true, predicted in largest]
