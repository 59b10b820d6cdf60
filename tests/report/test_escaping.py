"""Text from files is escaped in the report: in the page, in its drawing and in its data."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from msd_spark.report.draw.charts import Line, curves
from msd_spark.report.draw.model_diagram import Layer, diagram
from msd_spark.report.job import render_page
from msd_spark.report.scripts import as_script
from msd_spark.report.section import Section
from msd_spark.report.sections.overview import Overview
from msd_spark.report.tables import Table
from tests.support.report_run import HOSTILE


class Elements(HTMLParser):
    """Counts the elements of a page and the attributes that run code."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.handlers: list[str] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.handlers += [f"{name}={value}" for name, value in attrs if name.startswith("on")]
        self.texts += [value for _, value in attrs if value]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def page(text: str) -> Elements:
    """Return the elements of a page with a text wherever one can be."""
    table = Table("table", text, (text,), ((text,), (None,)))
    chart = curves("chart", text, text, text, [Line(text, [1], [0.5])])
    layers = [Layer(text, text, "", ()), Layer("b", "dense", text, (text,))]
    content = {
        "run": text,
        "revision": None,
        "overview": Overview({text: text}, table, text),
        "sections": {"results": (text, Section((text,), (chart,), (table,), diagram(layers)))},
        "absent": [(text, text)],
        "map_note": text,
        "scripts": ["assets/base.js"],
        "has_figures": True,
    }
    return Elements(render_page(**content))


@pytest.mark.parametrize("text", HOSTILE)
def test_a_page_with_hostile_text_has_the_elements_of_one_with_plain_text(text: str) -> None:
    plain_text = "plain" * 8  # as long, so that the drawing truncates it too
    hostile, plain = page(text), page(plain_text)
    assert hostile.names == plain.names
    assert hostile.names.count("script") == 1
    assert not hostile.handlers
    assert hostile.texts.count(text) == plain.texts.count(plain_text) > 10


@pytest.mark.parametrize("text", HOSTILE)
def test_data_files_have_no_mark_of_html(text: str) -> None:
    script = as_script(text, {"titles": [text], text: 1}).decode("ascii")
    assert not set("<>&") & set(script)
