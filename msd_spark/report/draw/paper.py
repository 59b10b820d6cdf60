"""Figures as papers want them: SVG and PNG by Matplotlib, on white, the same bytes for the same figure."""

from __future__ import annotations

import io
from functools import singledispatch
from typing import Any

import numpy as np

from msd_spark.report.draw.charts import NEUTRAL, Bars, Chart, Curves, Heatmap, Intervals, Matrix, Points, look, marker

SETTINGS: dict[Any, Any] = {
    "text.parse_math": False,  # a dollar in a title is a dollar
    "svg.hashsalt": "msd-spark",  # ids in the SVG are else random
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}
DASHES = {"solid": "-", "dash": "--", "dot": ":"}
MARKERS = {"circle": "o", "diamond": "D", "square": "s", "triangle": "^", "cross": "P"}
DOTS_PER_INCH = 200


def files_of(chart: Chart) -> dict[str, bytes]:
    """Return a figure's files by name."""
    import matplotlib
    from matplotlib.figure import Figure

    files = {}
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=_size(chart), layout="constrained")
        axes = figure.subplots()
        axes.set_xlabel(chart.x_label)
        axes.set_ylabel(chart.y_label)
        draw(chart, axes)
        for suffix, metadata in (("svg", {"Date": None, "Creator": None}), ("png", {"Software": None})):
            sink = io.BytesIO()
            figure.savefig(sink, format=suffix, dpi=DOTS_PER_INCH, metadata=metadata)
            files[f"{chart.name}.{suffix}"] = sink.getvalue()
    return files


def _size(chart: Chart) -> tuple[float, float]:
    """Return width and height in inches."""
    if isinstance(chart, Matrix):
        return max(4.0, 1.5 + 0.42 * len(chart.columns)), max(3.2, 1.2 + 0.34 * len(chart.rows))
    if isinstance(chart, Intervals):
        return 6.5, max(2.6, 1 + (0.1 + 0.13 * len(chart.series)) * len(chart.categories))
    if isinstance(chart, Bars) and chart.horizontal:
        return 6.5, max(2.6, 1 + 0.25 * len(chart.categories))
    return (7.0, 5.2) if isinstance(chart, Points) else (6.5, 3.6)


def _legend(axes: Any, n: int) -> None:
    if n > 1:
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0)


@singledispatch
def draw(chart: Chart, axes: Any) -> None:
    """Draw a figure into Matplotlib's axes."""
    raise TypeError(f"papers have no {type(chart).__name__}")


@draw.register
def _(chart: Curves, axes: Any) -> None:
    for number, line in enumerate(chart.lines):
        colour, dash, symbol = look(number)
        y = np.array([np.nan if value is None else value for value in line.y], float)
        style = {"color": colour, "linestyle": DASHES[dash], "label": line.name, "linewidth": 1.4}
        if chart.markers:
            style |= {"marker": MARKERS[symbol], "markersize": 3.5}
        axes.plot(line.x, y, drawstyle="steps-post" if chart.steps else "default", **style)
    if chart.diagonal:
        axes.plot([0, 1], [0, 1], color=NEUTRAL, linestyle=":", linewidth=1)
    if chart.shares:
        axes.set_ylim(-0.02, 1.02)
        if not chart.whole_x:
            axes.set_xlim(-0.02, 1.02)
    if chart.whole_x:
        axes.xaxis.get_major_locator().set_params(integer=True)
    _legend(axes, len(chart.lines))


@draw.register
def _(chart: Bars, axes: Any) -> None:
    places, width = np.arange(len(chart.categories)), 0.8 / len(chart.series)
    for number, (name, heights) in enumerate(chart.series.items()):
        at = places - 0.4 + width * (number + 0.5)
        if chart.horizontal:
            axes.barh(at, heights, width, color=look(number)[0], label=name)
        else:
            axes.bar(at, heights, width, color=look(number)[0], label=name)
    if chart.horizontal:
        axes.set_yticks(places, chart.categories)
        axes.invert_yaxis()
    else:
        axes.set_xticks(places, chart.categories, rotation=40, ha="right")
    _legend(axes, len(chart.series))


@draw.register
def _(chart: Intervals, axes: Any) -> None:
    rows = np.arange(len(chart.categories))
    for number, (name, points) in enumerate(chart.series.items()):
        colour = look(number)[0]
        offset = 0.5 * ((number + 0.5) / len(chart.series) - 0.5)
        known = [(row + offset, *point) for row, point in zip(rows, points, strict=True) if point[0] is not None]
        values = np.array([(v, v if low is None else low, v if high is None else high) for _, v, low, high in known])
        if not len(values):
            continue
        errors = np.maximum(np.abs(values[:, 1:] - values[:, :1]).T, 0)
        at = [row for row, _, _, _ in known]
        axes.errorbar(
            values[:, 0], at, xerr=errors, fmt=MARKERS[marker(number)], color=colour, label=name, markersize=4
        )
    axes.set_yticks(rows, chart.categories)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    if chart.zero:
        axes.axvline(0, color=NEUTRAL, linewidth=1)
    _legend(axes, len(chart.series))


@draw.register
def _(chart: Matrix, axes: Any) -> None:
    axes.imshow(np.array(chart.values, float), cmap="cividis", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(len(chart.columns)), chart.columns, rotation=40, ha="right")
    axes.set_yticks(range(len(chart.rows)), chart.rows)
    axes.spines[:].set_visible(False)
    for row, texts in enumerate(chart.texts):
        for column, cell in enumerate(texts):
            colour = "black" if chart.values[row][column] > 0.55 else "white"
            axes.text(column, row, cell, ha="center", va="center", color=colour, fontsize=7)


@draw.register
def _(chart: Heatmap, axes: Any) -> None:
    heat = axes.pcolormesh(
        chart.edges, np.arange(len(chart.rows) + 1) - 0.5, chart.values, cmap="cividis", rasterized=True
    )
    axes.set_yticks(range(len(chart.rows)), chart.rows)
    axes.figure.colorbar(heat, ax=axes)


@draw.register
def _(chart: Points, axes: Any) -> None:
    n = len(chart.others) + sum(map(len, chart.groups.values()))
    looks = [(name, places, *look(number)) for number, (name, places) in enumerate(chart.groups.items())]
    if len(chart.others):
        looks.insert(0, ("not known", chart.others, NEUTRAL, "solid", "circle"))
    for name, places, colour, _dash, symbol in looks:
        style = {"s": 8 if n < 2000 else 2, "c": colour, "marker": MARKERS[symbol], "linewidths": 0, "alpha": 0.7}
        axes.scatter(places[:, 0], places[:, 1], label=name, rasterized=True, **style)
    axes.set_axis_off()
    if len(looks) > 1:
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0, markerscale=2)
