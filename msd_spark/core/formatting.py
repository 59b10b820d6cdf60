"""Figures of ``metrics.json`` as people read them: three decimals, and the interval behind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def number(value: float | None) -> str:
    """Return a figure with three decimals, without the zero before the point; a dash where it is not defined.

    Examples
    --------
    >>> number(0.6264), number(1.0), number(-0.05), number(-0.0001), number(None)
    ('.626', '1.000', '-.050', '.000', '–')
    """
    if value is None:
        return "–"
    text = f"{value:z.3f}"
    return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text


def with_interval(figures: Mapping[str, Any], name: str) -> str:
    """Return a figure of a candidate with its interval, where it has one.

    Examples
    --------
    >>> with_interval({"accuracy": 0.626, "intervals": {"accuracy": [0.571, 0.672]}}, "accuracy")
    '.626 [.571, .672]'
    """
    value, interval = figures.get(name), figures.get("intervals", {}).get(name)
    if value is None or interval is None:
        return number(value)
    return f"{number(value)} [{number(interval[0])}, {number(interval[1])}]"
