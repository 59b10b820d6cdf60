"""Charts of the report, as Plotly figures.

Names in a chart may come from files (genres, titles); `literal` keeps Plotly from reading them as markup. The report's
scripts set the colours of text and grid, for light and dark mode.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
"""Palette of Okabe and Ito, safe for the colour-blind, without black and yellow [1]_.

Black is invisible in dark mode, yellow in light mode. More series than colours differ by dash or marker.

.. [1] M. Okabe, K. Ito, "Color Universal Design", 2008, https://jfly.uni-koeln.de/color/
"""

DASHES = ("solid", "dash", "dot")
MARKERS = ("circle", "diamond", "square", "triangle-up", "cross")
NEUTRAL = "#8A8A8A"
UNIT_AXIS = {"range": [-0.02, 1.02], "tickformat": ".1f"}
"""Axis of a metric between 0 and 1."""

Numbers = Sequence[float | None]
Interval = tuple[float | None, float | None, float | None]
"""Value, lower and upper end; None if not defined."""


@dataclass(frozen=True)
class Chart:
    """A chart with its caption."""

    name: str  # of the file, without suffix
    title: str
    figure: go.Figure

    @property
    def content(self) -> dict[str, Any]:
        """The figure as plain data for the report's scripts."""
        return self.figure.to_dict()


@dataclass(frozen=True)
class Line:
    """A line; None in `y` leaves a gap."""

    name: str
    x: Numbers
    y: Numbers


def literal(value: object) -> str:
    """Escape a text for Plotly, which reads tags but not the entity for quotes."""
    return escape(str(value), quote=False)


def look(number: int) -> tuple[str, str, str]:
    """Return colour, dash and marker of a series.

    Examples
    --------
    >>> look(0), look(7)
    (('#0072B2', 'solid', 'circle'), ('#E69F00', 'dash', 'diamond'))
    """
    turn = number // len(COLOURS)
    return COLOURS[number % len(COLOURS)], DASHES[turn % len(DASHES)], MARKERS[turn % len(MARKERS)]


def curves(
    name: str,
    title: str,
    x_label: str,
    y_label: str,
    lines: Sequence[Line],
    *,
    markers: bool = False,
    steps: bool = False,
    unit_y: bool = False,
    epochs: bool = False,
    diagonal: bool = False,
) -> Chart:
    """Return a chart of lines over a common x, which counts `epochs` or has the range of y.

    `steps` keeps the height constant from each x to the next, `unit_y` is for y between 0 and 1, and `diagonal` draws
    the line y = x.
    """
    traces = []
    for number, line in enumerate(lines):
        colour, dash, symbol = look(number)
        traces.append(
            go.Scatter(
                mode="lines+markers" if markers else "lines",
                name=literal(line.name),
                x=list(line.x),
                y=list(line.y),
                line={"color": colour, "dash": dash, "width": 2, "shape": "hv" if steps else "linear"},
                marker={"symbol": symbol, "size": 6},
            )
        )
    x_axis: dict[str, Any] = UNIT_AXIS if unit_y else {}
    if epochs:
        x_axis = {"tickformat": "d", "dtick": max(1, round(len(lines[0].x) / 10))}
    rising = {"type": "line", "x0": 0, "y0": 0, "x1": 1, "y1": 1, "line": {"color": NEUTRAL, "dash": "dot"}}
    return _chart(
        name, title, traces, x_label, y_label, x_axis, UNIT_AXIS if unit_y else {},
        hovermode="x unified" if epochs else "closest", shapes=[rising] if diagonal else [],
    )  # fmt: skip


def bars(
    name: str,
    title: str,
    label: str,
    categories: Sequence[str],
    series: Mapping[str, Sequence[float]],
    *,
    horizontal: bool = False,
) -> Chart:
    """Return a chart of grouped bars; `label` is the axis of their lengths."""
    names = [literal(category) for category in categories]
    traces = [
        go.Bar(
            name=literal(key),
            x=list(lengths) if horizontal else names,
            y=names if horizontal else list(lengths),
            orientation="h" if horizontal else "v",
            marker={"color": look(number)[0]},
        )
        for number, (key, lengths) in enumerate(series.items())
    ]
    labels = (label, "") if horizontal else ("", label)
    return _chart(
        name, title, traces, *labels, {}, {"autorange": "reversed"} if horizontal else {},
        height=max(320, 110 + 26 * len(names)) if horizontal else 420, barmode="group", bargap=0.25,
    )  # fmt: skip


def intervals(
    name: str,
    title: str,
    x_label: str,
    categories: Sequence[str],
    series: Mapping[str, Sequence[Interval]],
    *,
    zero: bool = False,
) -> Chart:
    """Return a chart with one row per category and one point with its interval per series.

    Each series has one `Interval` per category; `zero` emphasises the line x = 0.
    """
    traces = []
    # Points of one category are drawn side by side, so the axis is numeric and its labels are the categories.
    offsets = [0.5 * ((place + 0.5) / len(series) - 0.5) for place in range(len(series))]
    for number, ((key, points), offset) in enumerate(zip(series.items(), offsets, strict=True)):
        defined = [(row + offset, *point) for row, point in enumerate(points) if point[0] is not None]
        above = [0 if high is None else high - value for _, value, _, high in defined]  # type: ignore[operator]
        below = [0 if low is None else value - low for _, value, low, _ in defined]  # type: ignore[operator]
        error = {"type": "data", "symmetric": False, "array": above, "arrayminus": below, "thickness": 1.5, "width": 4}
        traces.append(
            go.Scatter(
                mode="markers",
                name=literal(key),
                x=[value for _, value, _, _ in defined],
                y=[row for row, _, _, _ in defined],
                marker={"color": look(number)[0], "size": 9, "symbol": MARKERS[number % len(MARKERS)]},
                error_x={**error, "color": look(number)[0]},
                hovertemplate="%{x:.3f}",
            )
        )
    rows = len(categories)
    ticks = {"tickmode": "array", "tickvals": list(range(rows)), "ticktext": list(map(literal, categories))}
    return _chart(
        name, title, traces, x_label, "", {"zeroline": True, "zerolinewidth": 2} if zero else {},
        {**ticks, "range": [rows - 0.5, -0.5], "zeroline": False},
        height=max(320, 130 + (14 + 12 * len(series)) * rows),
    )  # fmt: skip


def confusion_matrix(
    name: str, title: str, classes: Sequence[str], shares: np.ndarray, texts: Sequence[Sequence[str]]
) -> Chart:
    """Return a confusion matrix, true classes in rows, coloured by `shares`, with `texts`."""
    names = list(map(literal, classes))
    heat = go.Heatmap(
        z=shares.tolist(),
        x=names,
        y=names,
        text=[list(row) for row in texts],
        texttemplate="%{text}",
        hovertemplate="true %{y}<br>predicted %{x}<br>%{text}<extra></extra>",
        colorscale="Cividis",
        zmin=0,
        zmax=1,
        xgap=1,
        ygap=1,
        showscale=False,
    )
    return _chart(
        name, title, [heat], "predicted", "true", {"tickangle": -40}, {"autorange": "reversed"},
        height=max(320, 150 + 26 * len(names)),
    )  # fmt: skip


def heatmap(name: str, title: str, y_label: str, edges: np.ndarray, rows: Sequence[str], values: np.ndarray) -> Chart:
    """Return a matrix, shape ``(rows, n)``, against ``n + 1`` edges in seconds.

    The first row is at the bottom.
    """
    heat = go.Heatmap(x=edges.tolist(), y=list(rows), z=values.tolist(), colorscale="Cividis")
    return _chart(name, title, [heat], "seconds", y_label, {}, {"type": "category", "dtick": 1}, height=320)


def points(name: str, title: str, groups: Mapping[str, np.ndarray], others: np.ndarray) -> Chart:
    """Return a scatter plot of groups, shape ``(n, 2)`` each; `others` are grey and below."""
    n = len(others) + sum(map(len, groups.values()))
    size = 5 if n < 2000 else 3

    def trace(key: str, places: np.ndarray, colour: str, symbol: str) -> go.Scatter:
        x, y = places.astype(float).round(3).T.tolist()
        marker = {"color": colour, "symbol": symbol, "size": size, "opacity": 0.7}
        return go.Scatter(mode="markers", name=literal(key), x=x, y=y, marker=marker)

    traces = [trace("unknown", others, NEUTRAL, "circle")] if len(others) else []
    for number, (key, places) in enumerate(groups.items()):
        colour, _, symbol = look(number)
        traces.append(trace(key, places, colour, symbol))
    hidden = {"visible": False}
    return _chart(name, title, traces, "", "", hidden, {**hidden, "scaleanchor": "x"}, height=600)


def _chart(
    name: str,
    title: str,
    traces: Sequence[go.Bar | go.Heatmap | go.Scatter],
    x_label: str,
    y_label: str,
    x_axis: Mapping[str, Any],
    y_axis: Mapping[str, Any],
    *,
    height: int = 420,
    **layout: Any,
) -> Chart:
    def axis(label: str, more: Mapping[str, Any]) -> dict[str, Any]:
        return {"title": {"text": literal(label), "standoff": 12}, "automargin": True, **more}

    axes = {"xaxis": axis(x_label, x_axis), "yaxis": axis(y_label, y_axis)}
    # Plotly's default template would set colours that are wrong in dark mode.
    return Chart(name, title, go.Figure(list(traces), {"template": {}, "height": height, **axes, **layout}))
