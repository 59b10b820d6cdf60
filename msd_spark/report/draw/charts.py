"""What a figure is, whoever draws it: `plotly_charts` for the page, `paper` for PNG and SVG.

Names in a figure may come from files (genres, titles): whoever draws them shows them to the letter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
"""Okabe and Ito's palette, safe for the colour-blind, without black and yellow, of which one cannot be seen on a dark
page and the other not on a light one [1]_. More series than colours differ by dash or marker.

.. [1] M. Okabe, K. Ito, "Color Universal Design", 2008, https://jfly.uni-koeln.de/color/
"""

DASHES = ("solid", "dash", "dot")
MARKERS = ("circle", "diamond", "square", "triangle", "cross")
NEUTRAL = "#8A8A8A"

Numbers = Sequence[float | None]


def marker(number: int) -> str:
    """Return the marker of a series of points: each of the first five has its own."""
    return MARKERS[number % len(MARKERS)]


def look(number: int) -> tuple[str, str, str]:
    """Return colour, dash and marker of a series.

    Examples
    --------
    >>> look(0), look(7)
    (('#0072B2', 'solid', 'circle'), ('#E69F00', 'dash', 'diamond'))
    """
    turn = number // len(COLOURS)
    return COLOURS[number % len(COLOURS)], DASHES[turn % len(DASHES)], MARKERS[turn % len(MARKERS)]


@dataclass(frozen=True)
class Line:
    """A series; a y that is None leaves a gap."""

    name: str
    x: Numbers
    y: Numbers


@dataclass(frozen=True)
class Chart:
    """What all figures have.

    Attributes
    ----------
    name : str
        Of its files.
    title : str
        What it shows, as a caption.
    x_label, y_label : str
    """

    name: str
    title: str
    x_label: str
    y_label: str


@dataclass(frozen=True)
class Curves(Chart):
    """Lines over a common x; `steps` goes from each x to the next at the height of the first."""

    lines: tuple[Line, ...]
    shares: bool = False
    steps: bool = False
    diagonal: bool = False
    markers: bool = False
    whole_x: bool = False


@dataclass(frozen=True)
class Bars(Chart):
    """Bars beside each other for each category."""

    categories: tuple[str, ...]
    series: Mapping[str, Sequence[float]]
    horizontal: bool = False


@dataclass(frozen=True)
class Intervals(Chart):
    """Points with intervals, a row of them for each category.

    Attributes
    ----------
    series : mapping
        By name, a (value, low, high) for each category; low and high may be None, and so may all three.
    """

    categories: tuple[str, ...]
    series: Mapping[str, Sequence[tuple[float | None, float | None, float | None]]]
    zero: bool = False


@dataclass(frozen=True)
class Matrix(Chart):
    """Cells in rows and columns, the first row on top; colour by value from 0 to 1, text as given."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]
    texts: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Heatmap(Chart):
    """A matrix against seconds.

    Attributes
    ----------
    edges : numpy.ndarray
        Shape ``(n + 1,)``, seconds.
    rows : tuple of str
        Names, the first one at the bottom.
    values : numpy.ndarray
        Shape ``(rows, n)``.
    """

    edges: np.ndarray = field(repr=False)
    rows: tuple[str, ...]
    values: np.ndarray = field(repr=False)


@dataclass(frozen=True)
class Points(Chart):
    """Places of songs, by group, and of those that are in none, in grey beneath."""

    groups: dict[str, np.ndarray] = field(repr=False)
    others: np.ndarray = field(repr=False)
