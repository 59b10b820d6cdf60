"""A section of the report: texts, charts and tables."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from msd_spark.report.draw.charts import Chart
from msd_spark.report.tables import Table


class NoContentError(Exception):
    """A section without content; the message is the reason and what to run."""


@dataclass(frozen=True)
class Section:
    """Content of a section."""

    text: tuple[str, ...] = ()  # paragraphs
    charts: tuple[Chart, ...] = ()
    tables: tuple[Table, ...] = ()
    drawing: Markup | None = None  # SVG
    filled: str | None = None  # id of an element that the report's scripts fill
