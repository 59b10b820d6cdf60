"""What a table of the page is: texts for people, and the same figures unrounded as CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

LONG = 40
"""Characters that a figure with its interval never has."""


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes
    ----------
    name : str
        Of its CSV file.
    title : str
        A caption.
    heads : tuple of str
    rows : tuple
        Of texts and numbers, a row as long as `heads`.
    shown : int
        Rows on the page; all are in the CSV file.
    texts : int
        Columns from the left that hold texts and stand flush left.
    folded : bool
        Whether the page shows it only when it is asked for.
    """

    name: str
    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    shown: int = 40
    texts: int = 1
    folded: bool = False

    def cells(self) -> list[list[str]]:
        """Return what the page shows."""
        return [[cell(value) for value in row] for row in self.rows[: self.shown]]

    def text_columns(self) -> set[int]:
        """Return the places of columns that hold a long text, which may need several lines."""
        return {
            place
            for row in self.rows[: self.shown]
            for place, value in enumerate(row)
            if isinstance(value, str) and len(value) > LONG
        }

    def classes(self) -> list[str]:
        """Return how each column stands: a long ``text``, ``flush`` left, or as a number."""
        long, shown = self.text_columns(), self.rows[: self.shown]
        worded = {
            place for row in shown for place, value in enumerate(row) if isinstance(value, str) and is_worded(value)
        }
        return [
            "text" if place in long else "flush" if place < self.texts or place in worded else "figure"
            for place in range(len(self.heads))
        ]

    def as_csv(self) -> bytes:
        """Return the table as CSV in UTF-8."""
        return as_csv(self.heads, self.rows)


def rows_of(table: pd.DataFrame, columns: Sequence[str]) -> tuple[tuple[Any, ...], ...]:
    """Return a data frame's rows; None for what is null."""
    lists = (table[name].astype(object).tolist() for name in columns)
    rows = zip(*lists, strict=True)
    return tuple(tuple(None if is_null(value) else value for value in row) for row in rows)


def is_worded(text: str) -> bool:
    """Return whether a text has letters: figures with intervals have none.

    Examples
    --------
    >>> is_worded("Rap"), is_worded(".565 [.429, .708]")
    (True, False)
    """
    return any(letter.isalpha() for letter in text)


def is_null(value: Any) -> bool:
    """Return whether a value is None, NaN or pandas' own null."""
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def cell(value: Any) -> str:
    """Return a value as people read it.

    Examples
    --------
    >>> cell(None), cell(12345), cell(0.6264), cell(1234.5), cell("Rap")
    ('–', '12,345', '0.626', '1,234', 'Rap')
    """
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 100 else f"{value:,.0f}"
    return str(value)


def as_csv(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    """Return rows as CSV in UTF-8, lines ended as RFC 4180 says."""
    sink = io.StringIO(newline="")
    writer = csv.writer(sink)
    writer.writerow(heads)
    writer.writerows(rows)
    return sink.getvalue().encode("utf-8", "replace")
