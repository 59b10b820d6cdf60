"""Sections of the report below the map.

A further section is one line in `SECTIONS`: its function returns a `Section` or raises `NoContentError`.
"""

from __future__ import annotations

from collections.abc import Callable

from msd_spark.report.data.sources import Sources
from msd_spark.report.section import NoContentError, Section
from msd_spark.report.sections.accounts import examples_section, funnel_section, ingest_section, rejected_section
from msd_spark.report.sections.curves import precision_recall_section
from msd_spark.report.sections.recommendations import recommendations_section
from msd_spark.report.sections.results import confusion_section, results_section
from msd_spark.report.sections.runs import comparison_section, protocol_section, runs_section
from msd_spark.report.sections.space import space_section
from msd_spark.report.sections.studies import filters_section, occlusion_section
from msd_spark.report.sections.training import model_section, training_section

RECOMMENDATIONS = "recommendations"

SECTIONS: dict[str, tuple[str, Callable[[Sources], Section]]] = {
    "results": ("Results", results_section),
    "confusion": ("Confusion matrix", confusion_section),
    "precision-recall": ("Precision and recall", precision_recall_section),
    "embedding": ("Embedding quality", space_section),
    RECOMMENDATIONS: ("Recommendations", recommendations_section),
    "training": ("Training", training_section),
    "model": ("Model", model_section),
    "occlusion": ("Occlusion", occlusion_section),
    "filters": ("Filters", filters_section),
    "examples": ("Examples by genre", examples_section),
    "funnel": ("From songs to examples", funnel_section),
    "ledger": ("Ingest and stages", ingest_section),
    "rejected": ("Rejected inputs", rejected_section),
    "comparisons": ("Model comparison", comparison_section),
    "protocol": ("Protocol of 2019", protocol_section),
    "runs": ("All runs", runs_section),
}
"""Title and function by anchor, in the order of the report."""


Sections = dict[str, tuple[str, Section]]
"""Title and content by anchor."""


def make_sections(sources: Sources) -> tuple[Sections, list[tuple[str, str]]]:
    """Return the sections with content, and title and reason of each section without content."""
    sections, absent = {}, []
    for anchor, (title, make) in SECTIONS.items():
        try:
            sections[anchor] = (title, make(sources))
        except NoContentError as reason:
            absent.append((title, str(reason)))
    return sections, absent
