"""A section of the page: what it says, its figures and its tables."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from msd_spark.report.draw.charts import Chart
from msd_spark.report.tables import Table


@dataclass(frozen=True)
class Section:
    """A section.

    Attributes
    ----------
    key : str
        Its anchor.
    title : str
    text : tuple of str
        Paragraphs, as plain text.
    charts : tuple of Chart
    tables : tuple of Table
    drawing : Markup or None
        A figure that is markup already; whoever makes it escapes what is in it.
    filled : str or None
        Id of a box that the page's scripts fill; none where it is None.
    """

    key: str
    title: str
    text: tuple[str, ...] = ()
    charts: tuple[Chart, ...] = ()
    tables: tuple[Table, ...] = ()
    drawing: Markup | None = None
    filled: str | None = None


@dataclass(frozen=True)
class Absent:
    """A section that has nothing to show.

    Attributes
    ----------
    title : str
    why : str
        In a line, with what to run.
    """

    title: str
    why: str
