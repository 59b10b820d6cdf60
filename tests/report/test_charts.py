"""The figures of the page: what they show, and that no name in them is taken for markup."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from msd_spark.report.draw import paper
from msd_spark.report.draw.charts import COLOURS, Bars, Chart, Curves, Heatmap, Intervals, Line, Matrix, Points, look
from msd_spark.report.draw.plotly_charts import plotly_figure
from msd_spark.report.sections.accounts import ledger_table
from msd_spark.report.sections.curves import precision_recall_curves, truth
from msd_spark.report.sections.examples import by_split, resampling
from msd_spark.report.sections.results import confusion
from msd_spark.report.sections.runs import comparison_table
from msd_spark.report.sections.studies import occlusion_charts
from msd_spark.report.sections.training import training_curves
from msd_spark.report.tables import Table

HOSTILE = "</script><img src=x onerror=alert(1)><b>&amp;$x_1$"
ESCAPED = "&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;&lt;b&gt;&amp;amp;$x_1$"

EVERY_CHART: tuple[Chart, ...] = (
    Curves("curves", HOSTILE, HOSTILE, HOSTILE, (Line(HOSTILE, [1, 2], [0.5, None]),), shares=True, markers=True),
    Bars("bars", HOSTILE, HOSTILE, HOSTILE, (HOSTILE,), {HOSTILE: (1.0,)}, horizontal=True),
    Intervals(
        "intervals", HOSTILE, HOSTILE, "", (HOSTILE,), {HOSTILE: ((0.5, 0.25, 0.75),), "b": ((None, None, None),)}
    ),
    Matrix("matrix", HOSTILE, HOSTILE, HOSTILE, (HOSTILE,), (HOSTILE,), ((1.0,),), ((HOSTILE,),)),
)


@pytest.mark.parametrize("chart", EVERY_CHART, ids=lambda chart: chart.name)
def test_hostile_names_are_shown_to_the_letter(chart: Chart) -> None:
    written = json.dumps(plotly_figure(chart))
    assert ESCAPED in written
    assert "<img" not in written


def test_many_series_look_different_from_each_other() -> None:
    looks = [look(number) for number in range(3 * len(COLOURS))]
    assert len(set(looks)) == len(looks)


def test_losses_and_shares_have_charts_of_their_own() -> None:
    history: list[dict[str, Any]] = [
        {"epoch": 1, "loss": 2.0, "learning_rate": 0.1, "validation_loss": 1.5, "validation_accuracy": 0.25},
        {"epoch": 2, "loss": 1.0, "learning_rate": 0.1, "validation_loss": 1.25, "validation_accuracy": None},
    ]
    loss, figures = training_curves(history)
    assert [(line.name, list(line.y)) for line in loss.lines] == [
        ("train", [2.0, 1.0]),
        ("validation loss", [1.5, 1.25]),
    ]
    assert [(line.name, list(line.x), list(line.y)) for line in figures.lines] == [("accuracy", [1, 2], [0.25, None])]


def test_the_confusion_matrix_has_counts_and_shares_of_the_true_class() -> None:
    metrics = {"confusion_matrix": [[3, 1, 0], [0, 2, 0], [0, 0, 0]], "by_class": {"A": {}, "B": {}, "C": {}}}
    counts, shares = confusion(metrics, "test")
    # Row A has 4 examples: 3/4, 1/4, 0. Class C has none, and no share.
    assert counts.values == shares.values == ((0.75, 0.25, 0), (0, 1, 0), (0, 0, 0))
    assert counts.texts == (("3", "1", ""), ("", "2", ""), ("", "", ""))
    assert shares.texts[0] == ("0.75", "0.25", "")
    assert plotly_figure(counts)["layout"]["yaxis"]["autorange"] == "reversed"


def test_genres_stand_by_size_before_and_after_resampling() -> None:
    tracks = {"Few": {"train": 1, "test": 0}, "Many": {"train": 5, "test": 4}}
    rows = {"Few": {"train": 3, "test": 0}, "Many": {"train": 3, "test": 4}}
    chart = resampling(tracks, rows)
    assert chart.categories == ("Many", "Few")
    assert list(chart.series.values()) == [(5, 1), (3, 3)]
    assert by_split(tracks).series == {"train": (5, 1), "test": (4, 0)}


def test_precision_and_recall_by_hand() -> None:
    # By falling score: B right, A wrong, B right. After 1: precision 1, recall 1/2; after 3: precision 2/3, recall 1.
    true = np.array([[False, True], [True, False], [False, True]])
    scores = np.array([[0.1, 0.9], [0.3, 0.7], [0.5, 0.5]])
    line = precision_recall_curves(true, scores, ["A", "B"])[1]
    assert (line.name, list(line.x), list(line.y)) == ("B", [0, 0.5, 1], [1, 0.6667, 0.6667])


@given(st.data())
def test_the_area_below_the_steps_is_the_average_precision(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 30))
    true = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))[:, None]
    scores = np.array(data.draw(st.lists(st.sampled_from([0.1, 0.2, 0.5, 0.9]), min_size=n, max_size=n)))[:, None]
    lines = precision_recall_curves(true, scores, ["A"])
    assert len(lines) == int(true.any())
    for line in lines:
        x, y = (np.array(values, float) for values in (line.x, line.y))
        area = (np.diff(x) * y[:-1]).sum()
        assert area == pytest.approx(average_precision_score(true[:, 0], scores[:, 0]), abs=2e-3)


def test_songs_have_one_class_or_several_or_none() -> None:
    probabilities = [[0.5, 0.5]] * 3
    true, scores = truth(pd.DataFrame({"true": ["B", None, "A"], "probabilities": probabilities}), ["A", "B"])
    assert true.tolist() == [[False, True], [True, False]]
    assert scores.shape == (2, 2)
    several = pd.DataFrame({"true": [["A", "B"], [], None], "probabilities": probabilities})
    assert truth(several, ["A", "B"])[0].tolist() == [[True, True], [False, False]]


def test_the_ledger_is_summed_by_location_and_says_whether_it_adds_up() -> None:
    names = ["kind", "location", "inputs", "songs", "rejected", "duplicates", "seconds"]
    rows = [("tar", "a", 5, 3, 1, 1, 1.0), ("tar", "a", 4, 4, 0, 0, 0.5), ("files", "b", 3, 1, 1, 0, 2.0)]
    table = ledger_table(pd.DataFrame(rows, columns=names))
    assert table.rows == (
        ("all", "2 locations", 3, 12, 8, 2, 1, False, 3.5),
        ("tar", "a", 2, 9, 7, 1, 1, True, 1.5),
        ("files", "b", 1, 3, 1, 1, 0, False, 2.0),
    )


def test_a_comparison_has_a_row_a_model_and_the_baselines_below() -> None:
    figure = {"mean": 0.5, "interval": [0.25, 0.75], "deviation": 0.125}
    lead = {"f1": {"mean": 0.25, "interval": None}}
    comparison = {
        "figures": ["f1", "accuracy"],
        "reference": "cnn",
        "rows": [
            {
                "model": "lstm",
                "inputs": "both",
                "figures": {"f1": figure, "accuracy": figure},
                "reference_minus_this": lead,
            }
        ],
        "baselines": {"majority": {"f1": 0.125, "accuracy": None}},
    }
    table = comparison_table("x", comparison)
    told = ("lstm", "both", ".500 [.250, .750]", ".125", ".500 [.250, .750]", ".250", None, None, None)
    assert table.rows == (told, ("majority", "", ".125", "", "–", "", None, None, None))


def test_occlusion_has_a_chart_a_figure_and_a_series_a_part() -> None:
    rows = [
        ("lyrics", "Rap", "f1", -0.25, -0.5, -0.125),
        ("audio", "Rap", "f1", -0.5, None, None),
        ("lyrics", None, "f1", 9, 9, 9),
    ]
    table = pd.DataFrame(rows, columns=["hidden", "genre", "figure", "change", "low", "high"], dtype=object)
    (chart,) = occlusion_charts(table)
    assert chart.categories == ("Rap",)
    assert chart.series == {"without lyrics": ((-0.25, -0.5, -0.125),), "without audio": ((-0.5, None, None),)}


def test_a_table_is_short_on_the_page_and_whole_as_csv() -> None:
    table = Table("t", "T", ("name", "value"), (("a,b", 1.23456), ('"', None), ("c" * 50, 12345)), shown=2)
    assert table.cells() == [["a,b", "1.235"], ['"', "–"]]
    assert table.as_csv().decode().splitlines() == ["name,value", '"a,b",1.23456', '"""",', f"{'c' * 50},12345"]
    assert table.classes() == ["flush", "figure"]  # the long text is not on the page


@pytest.mark.filterwarnings("ignore:constrained_layout not applied:UserWarning")  # for a name that long
def test_every_figure_is_drawn_for_papers_the_same_every_time_whatever_its_names() -> None:
    more = (
        Heatmap("heat", HOSTILE, "s", "", np.array([0.0, 1.0, 3.0]), ("a", "b"), np.eye(2)),
        Points("points", HOSTILE, "", "", {HOSTILE: np.zeros((2, 2)), "b": np.ones((1, 2))}, np.ones((1, 2))),
    )
    for chart in (*EVERY_CHART, *more):
        files = paper.files_of(chart)
        assert set(files) == {f"{chart.name}.svg", f"{chart.name}.png"}
        assert files[f"{chart.name}.png"].startswith(b"\x89PNG")
        drawn = files[f"{chart.name}.svg"].decode()
        assert not re.search(r"<(img|script)", drawn)
    assert paper.files_of(EVERY_CHART[0]) == paper.files_of(EVERY_CHART[0])
