"""Find a report, and decode the data that its scripts read."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import numpy as np

from msd_spark.core.warehouse import Warehouse
from msd_spark.report.scripts import LEVELS, PACKED_TYPES


def current_report(warehouse: Warehouse, run: str) -> Path:
    """Return the folder of a run's report, to which ``reports/RUN/index.html`` redirects."""
    folder = Path(warehouse.path("reports", run))
    page = (folder / "index.html").read_text()
    found = re.search(r'http-equiv="refresh" content="0; url=(\w+)/index.html"', page)
    assert found, page
    return folder / found[1]


def unpacked(content: dict[str, str]) -> np.ndarray:
    """Return the flat array that was packed."""
    return np.frombuffer(base64.b64decode(content["bytes"]), np.dtype(f"<{PACKED_TYPES[content['type']]}"))


def restored(content: dict[str, dict[str, str]]) -> np.ndarray:
    """Return quantised rows as float64; NaN for missing values."""
    low, high = (unpacked(content[name]).astype(np.float64)[:, None] for name in ("low", "high"))
    levels = unpacked(content["levels"]).reshape(len(low), -1)
    return np.where(levels > LEVELS, np.nan, low + levels / LEVELS * (high - low))
