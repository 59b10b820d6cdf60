"""The sections of the page below the map, each a function from the run's sources.

A further section is a further function in `SECTIONS`: it returns a `Section`, or `Absent` with the reason.
"""

from __future__ import annotations

from collections.abc import Callable

from msd_spark.report.data.sources import Sources
from msd_spark.report.section import Absent, Section
from msd_spark.report.sections.accounts import funnel_section, ingest_section, rejected_section
from msd_spark.report.sections.curves import precision_recall_section
from msd_spark.report.sections.examples import examples_section
from msd_spark.report.sections.model import model_section
from msd_spark.report.sections.recommendations import recommendations_section
from msd_spark.report.sections.results import confusion_section, results_section
from msd_spark.report.sections.runs import comparison_section, protocol_section, runs_section
from msd_spark.report.sections.space import space_section
from msd_spark.report.sections.studies import filters_section, occlusion_section
from msd_spark.report.sections.training import training_section

SECTIONS: tuple[Callable[[Sources], Section | Absent], ...] = (
    results_section,
    confusion_section,
    precision_recall_section,
    space_section,
    recommendations_section,
    training_section,
    model_section,
    occlusion_section,
    filters_section,
    examples_section,
    funnel_section,
    ingest_section,
    rejected_section,
    comparison_section,
    protocol_section,
    runs_section,
)
"""In the order of the page."""
