"""Tables of the report: formatted for readers, and unrounded as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from msd_spark.core.formatting import csv_cell

LONG = 40
"""Maximum characters of a cell that is not wrapped; a metric with its interval has fewer."""


@dataclass(frozen=True)
class Table:
    """A table of texts and numbers."""

    name: str  # of the file, without suffix
    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    shown: int = 40  # rows in the report; the CSV file has all
    folded: bool = False  # collapsed at first

    def cells(self) -> list[list[str]]:
        """Return the formatted cells."""
        return [[cell(value) for value in row] for row in self.rows[: self.shown]]

    def classes(self) -> list[str]:
        """Return the style of each column: ``text`` (long), ``flush`` (left-aligned) or ``figure``."""
        styles = []
        for place in range(len(self.heads)):
            texts = [row[place] for row in self.rows[: self.shown] if isinstance(row[place], str)]
            if any(len(text) > LONG for text in texts):
                styles.append("text")
            else:
                styles.append("flush" if place == 0 or any(map(has_letters, texts)) else "figure")
        return styles

    def as_csv(self) -> bytes:
        """Return the table as CSV in UTF-8, with the line ends of RFC 4180."""
        sink = io.StringIO(newline="")
        csv.writer(sink).writerows([csv_cell(value) for value in row] for row in (self.heads, *self.rows))
        return sink.getvalue().encode("utf-8", "replace")


def rows_of(table: pd.DataFrame, columns: Sequence[str]) -> tuple[tuple[Any, ...], ...]:
    """Return the rows of a data frame, with None for null."""
    values = table[list(columns)].astype(object)
    none: Any = None
    return tuple(values.where(values.notna(), none).itertuples(index=False, name=None))


def has_letters(text: str) -> bool:
    """Return whether a text has letters; metrics with intervals have none.

    Examples
    --------
    >>> has_letters("Rap"), has_letters(".565 [.429, .708]")
    (True, False)
    """
    return any(letter.isalpha() for letter in text)


def cell(value: Any) -> str:
    """Return a value for readers.

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
