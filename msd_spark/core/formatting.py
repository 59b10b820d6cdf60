"""Format metrics with three decimals and their interval."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_FORMULA_MARKS = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"[+-]?[0-9]*\.?[0-9]+([eE][+-]?[0-9]+)?")


def number(value: float | None) -> str:
    """Return a number with three decimals and without a leading zero; a dash for None.

    Examples
    --------
    >>> number(0.6264), number(1.0), number(-0.05), number(-0.0001), number(None)
    ('.626', '1.000', '-.050', '.000', '–')
    """
    if value is None:
        return "–"
    text = f"{value:z.3f}"
    return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text


def csv_cell(value: Any) -> Any:
    """Return a value for a CSV cell, with an apostrophe before text that is read as a formula.

    Spreadsheets read text that begins with ``= + - @``, a tab or a carriage return as a formula. Numbers are not
    changed.

    Examples
    --------
    >>> csv_cell("=HYPERLINK(1)"), csv_cell("-.050"), csv_cell("a=b"), csv_cell(-1)
    ("'=HYPERLINK(1)", '-.050', 'a=b', -1)
    """
    is_formula = isinstance(value, str) and value.startswith(_FORMULA_MARKS) and not _NUMBER.fullmatch(value)
    return f"'{value}" if is_formula else value


def with_interval(figures: Mapping[str, Any], name: str) -> str:
    """Return a metric of a candidate, with its interval if it has one.

    Examples
    --------
    >>> with_interval({"accuracy": 0.626, "intervals": {"accuracy": [0.571, 0.672]}}, "accuracy")
    '.626 [.571, .672]'
    """
    value, interval = figures.get(name), figures.get("intervals", {}).get(name)
    if value is None or interval is None:
        return number(value)
    return f"{number(value)} [{number(interval[0])}, {number(interval[1])}]"


def mean_with_interval(metric: Mapping[str, Any]) -> str:
    """Return the ``mean`` of a metric, with its ``interval`` if it has one."""
    return with_interval({"mean": metric["mean"], "intervals": {"mean": metric["interval"]}}, "mean")
