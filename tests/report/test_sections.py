"""Sections of the report: tables and charts from known numbers."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from msd_spark.core.runs import METADATA, RUNS, run_file
from msd_spark.report.data.sources import Sources
from msd_spark.report.draw.charts import Chart
from msd_spark.report.section import NoContentError
from msd_spark.report.sections.accounts import examples_section, ledger_table
from msd_spark.report.sections.curves import precision_recall_curves, truth
from msd_spark.report.sections.overview import overview
from msd_spark.report.sections.results import confusion_charts, results_section
from msd_spark.report.sections.runs import comparison_chart, comparison_table, protocol_section
from msd_spark.report.sections.studies import occlusion_charts, occlusion_section
from msd_spark.report.sections.training import training_curves
from msd_spark.report.tables import Table
from tests.support.embedded_songs import GENRES
from tests.support.report_run import RUN, write_report_run


def series(chart: Chart, axis: str = "y") -> dict[str, list[Any]]:
    """Return the values of each trace of a chart."""
    return {trace.name: list(trace[axis]) for trace in chart.figure.data}


def test_losses_and_metrics_have_separate_charts() -> None:
    history: list[dict[str, Any]] = [
        {"epoch": 1, "loss": 2.0, "learning_rate": 0.1, "validation_loss": 1.5, "validation_accuracy": 0.25},
        {"epoch": 2, "loss": 1.0, "learning_rate": 0.1, "validation_loss": 1.25, "validation_accuracy": None},
    ]
    loss, metrics = training_curves(history)
    assert series(loss) == {"train": [2.0, 1.0], "validation loss": [1.5, 1.25]}
    assert series(metrics) == {"accuracy": [0.25, None]}
    assert series(metrics, "x") == {"accuracy": [1, 2]}


def test_the_confusion_matrix_has_counts_and_shares_of_the_true_class() -> None:
    counts, shares = confusion_charts(["A", "B", "C"], [[3, 1, 0], [0, 2, 0], [0, 0, 0]], "test")
    # Row A has 4 examples: 3/4, 1/4, 0. Class C has none, and no share.
    heats = [chart.content["data"][0] for chart in (counts, shares)]
    assert heats[0]["z"] == heats[1]["z"] == [[0.75, 0.25, 0], [0, 1, 0], [0, 0, 0]]
    assert heats[0]["text"] == [["3", "1", ""], ["", "2", ""], ["", "", ""]]
    assert heats[1]["text"][0] == ["0.75", "0.25", ""]
    assert counts.content["layout"]["yaxis"]["autorange"] == "reversed"


def test_genres_are_sorted_by_size_before_and_after_resampling() -> None:
    dataset = {
        "tracks_by_genre": {"Few": {"train": 1, "test": 0}, "Many": {"train": 5, "test": 4}},
        "examples_by_genre": {"Few": {"train": 3, "test": 0}, "Many": {"train": 3, "test": 4}},
    }
    section = examples_section(cast(Sources, SimpleNamespace(dataset=dataset)))
    resampling, by_split = section.charts
    assert list(resampling.figure.data[0].x) == ["Many", "Few"]
    assert list(series(resampling).values()) == [[5, 1], [3, 3]]
    assert series(by_split) == {"train": [5, 1], "test": [4, 0]}
    assert section.tables[0].rows == (("Few", 1, 0, 3), ("Many", 5, 4, 3))


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


def test_the_ledger_is_summed_by_location_with_whether_it_adds_up() -> None:
    names = ["kind", "location", "inputs", "songs", "rejected", "duplicates", "skipped", "seconds"]
    rows = [("tar", "a", 7, 3, 1, 1, 2, 1.0), ("tar", "a", 4, 4, 0, 0, 0, 0.5), ("files", "b", 3, 1, 1, 0, 0, 2.0)]
    table = ledger_table(pd.DataFrame(rows, columns=names))
    assert table.rows == (
        ("all", "2 locations", 3, 14, 8, 2, 1, 2, False, 3.5),
        ("tar", "a", 2, 11, 7, 1, 1, 2, True, 1.5),
        ("files", "b", 1, 3, 1, 1, 0, 0, False, 2.0),
    )
    older = ledger_table(pd.DataFrame(rows[1:], columns=names).drop(columns="skipped"))
    assert older.rows[1] == ("tar", "a", 1, 4, 4, 0, 0, 0, True, 0.5)


def test_a_comparison_has_one_row_per_model_and_the_baselines_below() -> None:
    metric = {"mean": 0.5, "interval": [0.25, 0.75], "standard_deviation": 0.125}
    lead = {"f1": {"mean": 0.25, "interval": None}}
    metrics = {"f1": metric, "accuracy": metric}
    comparison = {
        "figures": ["f1", "accuracy"],
        "reference": "cnn",
        "rows": [
            {
                "model": "lstm",
                "inputs": "both",
                "figures": metrics,
                "reference_minus_this": lead,
                "minus_best_baseline": {"f1": {"mean": -0.5, "interval": [-1.0, 0.0]}},
            }
        ],
        "baselines": {"majority": {"f1": 0.125, "accuracy": None}},
    }
    table = comparison_table("x", comparison)
    row = ("lstm", "both", ".500 [.250, .750]", ".125", ".500 [.250, .750]", "-.500 [-1.000, .000]", ".250")
    nothing = (None, None, None)
    assert table.rows == ((*row, *nothing), ("majority", "", ".125", "", "–", "", "", *nothing))
    assert series(comparison_chart("x", comparison), "x") == {"both": [0.5]}


def test_occlusion_has_one_chart_per_metric_and_one_series_per_input() -> None:
    rows = [
        ("lyrics", "Rap", "f1", -0.25, -0.5, -0.125),
        ("audio", "Rap", "f1", -0.5, None, None),
        ("lyrics", None, "f1", 9, 9, 9),
    ]
    table = pd.DataFrame(rows, columns=["hidden", "genre", "figure", "change", "low", "high"], dtype=object)
    (chart,) = occlusion_charts(table)
    assert chart.content["layout"]["yaxis"]["ticktext"] == ["Rap"]
    assert series(chart, "x") == {"without lyrics": [-0.25], "without audio": [-0.5]}
    assert [trace["error_x"]["array"] for trace in chart.content["data"]] == [[0.125], [0]]


def test_the_columns_of_occlusion_have_different_headings() -> None:
    row = ("lyrics", "Rap", "f1", 4, 2, 0.5, 0.25, -0.25, -0.5, -0.125)
    files = {("studies", "run", "newest", "occlusion.parquet"): [row]}
    sources = SimpleNamespace(
        name="run",
        json=lambda *names: {"folder": "newest"} if names == ("studies", "run", "summary.json") else None,
        parquet=lambda columns, *names: pd.DataFrame(files[names], columns=columns),
    )
    (table,) = occlusion_section(cast(Sources, sources)).tables
    assert table.rows == (row,)
    assert len(set(table.heads)) == len(table.heads) == len(row)


def test_a_table_is_short_in_the_report_and_complete_as_csv() -> None:
    table = Table("t", "T", ("name", "value"), (("a,b", 1.23456), ('"', None), ("c" * 50, 12345)), shown=2)
    assert table.cells() == [["a,b", "1.235"], ['"', "–"]]
    assert table.as_csv().decode().splitlines() == ["name,value", '"a,b",1.23456', '"""",', f"{'c' * 50},12345"]
    assert table.classes() == ["flush", "figure"]  # the long text is not in the report


def sources_of(**contents: Any) -> Sources:
    nothing: dict[str, Any] = {"name": "run", "target": "genre", "run": {}, "metrics": {}, "history": [], "dataset": {}}
    return cast(Sources, SimpleNamespace(**(nothing | contents), json=lambda *names: None))


@pytest.mark.parametrize(
    ("by_class", "heads"),
    [
        ({"Jazz": {"support": 3, "f1": 0.5, "other": 1}}, ("class", "support", "F1")),
        ({"factor 0": {"mean_squared_error": 0.1, "r2": 0.2}}, ("class", "mean squared error", "R²")),
        ({"factor 0": {"other": 1}}, None),
        ({}, None),
    ],
)
def test_metrics_by_class_are_in_a_table(by_class: dict[str, dict[str, float]], heads: tuple[str, ...] | None) -> None:
    model: dict[str, Any] = {"examples": 3, "accuracy": 0.5, "by_class": by_class}
    tables = {table.name: table for table in results_section(sources_of(metrics={"test": {"model": model}})).tables}
    assert (tables["by_class"].heads if "by_class" in tables else None) == heads


def test_the_summary_has_data_model_and_key_metrics_beside_baselines() -> None:
    model = {"examples": 4, "accuracy": 0.25, "macro_f1": 0.5, "intervals": {"accuracy": [0.125, 0.5]}}
    top = overview(
        sources_of(
            run={
                "model": "cnn",
                "parameters": 1234,
                "arguments": {"inputs": "both"},
                "dataset": {"name": "genre", "fingerprint": "f" * 32, "split_rule": {"by": "artist"}},
            },
            dataset={"rows": {"train": 1000, "test": 4}},
            history=[{}] * 3,
            metrics={"test": {"model": model, "majority": {"examples": 4, "accuracy": 0.2, "macro_f1": None}}},
        ),
        2000,
    )
    assert top.facts == {
        "data": "2,000 songs, dataset genre (1,000 train, 4 test), split by artist",
        "model": "cnn (inputs: both), target: genre, 1,234 parameters, 3 epochs",
        "result": "test accuracy .250 [.125, .500]; best baseline: majority .200. test macro F1 .500",
    }
    assert top.table is not None
    assert top.table.rows == (
        ("test", "model", 4, None, ".250 [.125, .500]", ".500"),
        ("test", "majority", 4, None, ".200", "–"),
    )
    assert top.warning is not None
    assert "not significantly above guessing (.200)" in top.warning


def test_runs_of_the_protocol_are_next_to_the_original_with_averaged_curves(tmp_path: Path) -> None:
    warehouse = write_report_run(tmp_path, 40)
    metadata = warehouse.read_json(RUNS, RUN, METADATA)
    with pytest.raises(NoContentError, match="no run was trained with --protocol 2019"):
        protocol_section(Sources(warehouse, RUN, metadata))
    arguments = {"protocol": "2019", "seconds": {"training": 12.34, "inference": 0.5}}
    warehouse.write_json(metadata | {"arguments": arguments}, RUNS, RUN, METADATA)
    section = protocol_section(Sources(warehouse, RUN, metadata))
    reliable, original, confused = section.tables
    assert [row[:3] for row in reliable.rows] == [(RUN, "test", "partly")]
    assert original.rows[0] == (RUN, "test", ".750", "–", ".500", "12.3", "0.5")
    assert [row[0] for row in original.rows[1:]] == ["dense, original", "lstm, original", "cnn, original"]
    assert confused.rows == ((RUN, "test", f"{GENRES[0]} → {GENRES[1]} 2"),)
    accuracy, curve = section.charts
    assert list(series(accuracy)) == [f"{RUN}: train", f"{RUN}: validation"]
    assert list(series(accuracy).values()) == [[None] * 3, [0.5, 0.75, 1 - 0.5 / 3]]
    # The area below the curve is the micro-averaged average precision.
    predictions = warehouse.read_parquet(*run_file(warehouse, RUN, "predictions", "test.parquet")).to_pandas()
    true, probabilities = truth(predictions, GENRES)
    (x,), (y,) = (list(series(curve, axis).values()) for axis in "xy")
    area = (np.diff(x) * np.array(y)[:-1]).sum()
    assert area == pytest.approx(average_precision_score(true, probabilities, average="micro"), abs=1e-2)
