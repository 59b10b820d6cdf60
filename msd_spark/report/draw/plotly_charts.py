"""Figures as the page draws them: plain data for Plotly, in which no text is taken for markup.

Colours of paper, ink and grid are the page's own (light or dark) and set by its scripts.
"""

from __future__ import annotations

from functools import singledispatch
from html import escape
from typing import Any

from msd_spark.report.draw.charts import NEUTRAL, Bars, Chart, Curves, Intervals, Matrix, look, marker

SYMBOLS = {"triangle": "triangle-up"}
ROW_PIXELS, LEAST_PIXELS = 26, 320
SHARE_AXIS = {"range": [-0.02, 1.02], "tickformat": ".1f"}


def text(value: object) -> str:
    """Return a text as Plotly shows it to the letter: it knows tags, and no entity for quotes."""
    return escape(str(value), quote=False)


def _axis(label: str, **more: Any) -> dict[str, Any]:
    return {"title": {"text": text(label), "standoff": 12}, "automargin": True, **more}


@singledispatch
def plotly_figure(chart: Chart) -> dict[str, Any]:
    """Return a figure's ``data`` and ``layout``."""
    raise TypeError(f"no figure of the page is a {type(chart).__name__}")


@plotly_figure.register
def _(chart: Curves) -> dict[str, Any]:
    data = []
    for number, line in enumerate(chart.lines):
        colour, dash, symbol = look(number)
        data.append(
            {
                "type": "scatter",
                "mode": "lines+markers" if chart.markers else "lines",
                "name": text(line.name),
                "x": list(line.x),
                "y": list(line.y),
                "line": {"color": colour, "dash": dash, "width": 2, "shape": "hv" if chart.steps else "linear"},
                "marker": {"symbol": SYMBOLS.get(symbol, symbol), "size": 6},
            }
        )
    layout: dict[str, Any] = {
        "xaxis": _axis(chart.x_label),
        "yaxis": _axis(chart.y_label, **(SHARE_AXIS if chart.shares else {})),
        "hovermode": "closest" if chart.shares and not chart.whole_x else "x unified",
        "height": 420,
    }
    if chart.whole_x:
        layout["xaxis"] |= {"tickformat": "d", "dtick": max(1, round(len(chart.lines[0].x) / 10))}
    elif chart.shares:
        layout["xaxis"] |= SHARE_AXIS
    if chart.diagonal:
        rising = {"type": "line", "x0": 0, "y0": 0, "x1": 1, "y1": 1, "line": {"color": NEUTRAL, "dash": "dot"}}
        layout["shapes"] = [rising]
    return {"data": data, "layout": layout}


@plotly_figure.register
def _(chart: Bars) -> dict[str, Any]:
    names = [text(category) for category in chart.categories]
    data = []
    for number, (name, heights) in enumerate(chart.series.items()):
        along, across = ("x", "y") if chart.horizontal else ("y", "x")
        data.append(
            {
                "type": "bar",
                "name": text(name),
                along: list(heights),
                across: names,
                "orientation": "h" if chart.horizontal else "v",
                "marker": {"color": look(number)[0]},
            }
        )
    layout: dict[str, Any] = {"barmode": "group", "bargap": 0.25, "height": 420}
    if chart.horizontal:
        layout |= {"yaxis": _axis(chart.y_label, autorange="reversed"), "xaxis": _axis(chart.x_label)}
        layout["height"] = max(LEAST_PIXELS, 110 + ROW_PIXELS * len(names))
    else:
        layout |= {"xaxis": _axis(chart.x_label), "yaxis": _axis(chart.y_label)}
    return {"data": data, "layout": layout}


@plotly_figure.register
def _(chart: Intervals) -> dict[str, Any]:
    data = []
    # Rows of one category stand beside each other: the axis is of numbers, its labels are the categories.
    offsets = [0.5 * ((place + 0.5) / len(chart.series) - 0.5) for place in range(len(chart.series))]
    for number, ((name, points), offset) in enumerate(zip(chart.series.items(), offsets, strict=True)):
        colour, symbol = look(number)[0], marker(number)
        known = [(row + offset, *point) for row, point in enumerate(points) if point[0] is not None]
        above = [0 if high is None else high - value for _, value, _, high in known]  # type: ignore[operator]
        below = [0 if low is None else value - low for _, value, low, _ in known]  # type: ignore[operator]
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": text(name),
                "x": [value for _, value, _, _ in known],
                "y": [row for row, _, _, _ in known],
                "marker": {"color": colour, "size": 9, "symbol": SYMBOLS.get(symbol, symbol)},
                "error_x": {
                    "type": "data",
                    "symmetric": False,
                    "array": above,
                    "arrayminus": below,
                    "color": colour,
                    "thickness": 1.5,
                    "width": 4,
                },
                "hovertemplate": "%{x:.3f}",
            }
        )
    rows = len(chart.categories)
    ticks = {"tickmode": "array", "tickvals": list(range(rows)), "ticktext": [text(name) for name in chart.categories]}
    layout: dict[str, Any] = {
        "xaxis": _axis(chart.x_label, **({"zeroline": True, "zerolinewidth": 2} if chart.zero else {})),
        "yaxis": _axis("", **ticks, range=[rows - 0.5, -0.5], zeroline=False),
        "height": max(LEAST_PIXELS, 130 + (14 + 12 * len(chart.series)) * rows),
    }
    return {"data": data, "layout": layout}


@plotly_figure.register
def _(chart: Matrix) -> dict[str, Any]:
    heat = {
        "type": "heatmap",
        "z": [list(row) for row in chart.values],
        "x": [text(name) for name in chart.columns],
        "y": [text(name) for name in chart.rows],
        "text": [[text(cell) for cell in row] for row in chart.texts],
        "texttemplate": "%{text}",
        "hovertemplate": "true %{y}<br>predicted %{x}<br>%{text}<extra></extra>",
        "colorscale": "Cividis",
        "zmin": 0,
        "zmax": 1,
        "xgap": 1,
        "ygap": 1,
        "showscale": False,
    }
    layout = {
        "xaxis": _axis(chart.x_label, tickangle=-40),
        "yaxis": _axis(chart.y_label, autorange="reversed"),
        "height": max(LEAST_PIXELS, 150 + ROW_PIXELS * len(chart.rows)),
    }
    return {"data": [heat], "layout": layout}
