"""Charts and chart files; no name in them is read as markup."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from msd_spark.core.errors import UserError
from msd_spark.report.draw.charts import (
    COLOURS,
    Chart,
    Interval,
    Line,
    bars,
    confusion_matrix,
    curves,
    heatmap,
    intervals,
    look,
    points,
)
from msd_spark.report.draw.files import chart_files, find_browser, require_browser
from msd_spark.report.draw.model_diagram import depths, diagram, layers_of
from tests.support.report_run import keras_file

HOSTILE = "</script><img src=x onerror=alert(1)><b>&amp;$x_1$"
ESCAPED = "&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;&lt;b&gt;&amp;amp;$x_1$"

EVERY_CHART = (
    curves("curves", HOSTILE, HOSTILE, HOSTILE, [Line(HOSTILE, [1, 2], [0.5, None])], unit_y=True, markers=True),
    bars("bars", HOSTILE, HOSTILE, [HOSTILE], {HOSTILE: [1.0]}, horizontal=True),
    intervals(
        "intervals", HOSTILE, HOSTILE, [HOSTILE], {HOSTILE: [(0.5, 0.25, 0.75)], "b": [(None, None, None)]}, zero=True
    ),
    confusion_matrix("matrix", HOSTILE, [HOSTILE], np.ones((1, 1)), [["1"]]),
    points("points", HOSTILE, {HOSTILE: np.zeros((2, 2)), "b": np.ones((1, 2))}, np.ones((1, 2))),
)


@pytest.mark.parametrize("chart", EVERY_CHART, ids=lambda chart: chart.name)
def test_hostile_names_are_escaped(chart: Chart) -> None:
    content = json.dumps(chart.content)
    assert ESCAPED in content
    assert "<img" not in content


def test_many_series_look_different_from_each_other() -> None:
    looks = [look(number) for number in range(3 * len(COLOURS))]
    assert len(set(looks)) == len(looks)


def test_intervals_have_one_error_bar_per_defined_point() -> None:
    series: dict[str, list[Interval]] = {
        "a": [(0.5, 0.25, 0.875), (None, None, None)],
        "b": [(0.5, None, None), (1.0, 1.0, 1.0)],
    }
    first, second = intervals("i", "", "", ["x", "y"], series).content["data"]
    assert (first["x"], first["error_x"]["arrayminus"], first["error_x"]["array"]) == ([0.5], [0.25], [0.375])
    assert (second["x"], second["error_x"]["arrayminus"], second["error_x"]["array"]) == ([0.5, 1], [0, 0], [0, 0])
    assert first["y"][0] < 0 < second["y"][0]  # side by side


@pytest.mark.skipif(find_browser() is None, reason="browser: none is installed; apt-get install chromium")
def test_a_browser_saves_every_chart_as_svg_and_png() -> None:
    heat = heatmap("heat", HOSTILE, "", np.array([0.0, 1.0, 3.0]), ("a", "b"), np.eye(2))
    charts = (*EVERY_CHART, heat)
    files = chart_files(charts, require_browser())
    assert set(files) == {f"{chart.name}.{suffix}" for chart in charts for suffix in ("svg", "png")}
    for name, content in files.items():
        if name.endswith(".png"):
            assert content.startswith(b"\x89PNG")
            assert int.from_bytes(content[16:20], "big") == 2400
        else:
            assert not re.search(r"<(img|script)", content.decode())
            assert "rgb(255, 255, 255)" in content.decode()


def test_charts_are_not_saved_without_a_working_browser(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"saved no charts \(no output\); leave out --figures"):
        chart_files(EVERY_CHART[:1], "true")
    with pytest.raises(UserError, match="cannot save the charts"):
        chart_files(EVERY_CHART[:1], str(tmp_path / "missing"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("MSD_SPARK_BROWSER", raising=False)
    with pytest.raises(UserError, match="--figures needs a browser and there is none"):
        require_browser()


def test_the_diagram_omits_preparation_and_shows_where_streams_meet() -> None:
    layers = {layer.name: layer for layer in layers_of(keras_file())}
    assert list(layers) == ["chroma", "lyric_vector", "chroma_convolution", "together", "embedding", "genre"]
    assert layers["chroma_convolution"].inputs == ("chroma",)
    assert layers["together"].inputs == ("chroma_convolution", "lyric_vector")
    assert layers["chroma_convolution"].size == "16 filters of 4, relu"
    rows = depths(list(layers.values()))
    assert rows == {"chroma": 0, "chroma_convolution": 1, "lyric_vector": 1, "together": 2, "embedding": 3, "genre": 4}
    assert diagram(list(layers.values())).count("<rect") == 6
    with pytest.raises(ValueError, match="not a Keras model"):
        layers_of(b"PK no zip")
