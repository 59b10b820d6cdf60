"""The page's table by class, whatever the run tells."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from msd_spark.report.data.sources import Sources
from msd_spark.report.section import Section
from msd_spark.report.sections.results import results_section


@pytest.mark.parametrize(
    ("by_class", "heads"),
    [
        ({"Jazz": {"support": 3, "f1": 0.5, "other": 1}}, ("", "support", "F1")),
        ({"factor 0": {"mean_squared_error": 0.1, "r2": 0.2}}, ("", "mean squared error", "R²")),
        ({"factor 0": {"other": 1}}, None),
        ({}, None),
    ],
)
def test_what_there_is_of_each_class_stands_in_a_table(
    by_class: dict[str, dict[str, float]], heads: tuple[str, ...] | None
) -> None:
    model: dict[str, Any] = {"examples": 3, "accuracy": 0.5, "by_class": by_class}
    sources = SimpleNamespace(name="run", target="genre", run={}, metrics={"test": {"model": model}})
    section = results_section(cast(Sources, sources))
    assert isinstance(section, Section)
    found = {table.name: table for table in section.tables}
    assert (found["by_class"].heads if "by_class" in found else None) == heads
