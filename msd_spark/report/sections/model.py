"""Layers of the model."""

from __future__ import annotations

from msd_spark.core.runs import MODEL, RUNS
from msd_spark.report.data.sources import Sources
from msd_spark.report.draw.model_diagram import diagram, layers_of
from msd_spark.report.section import NoContentError, Section


def model_section(sources: Sources) -> Section:
    """Return the diagram of the model."""
    if not sources.warehouse.exists(RUNS, sources.name, MODEL):
        raise NoContentError(f"models/{sources.name}/{MODEL} is missing")
    with sources.warehouse.filesystem.open_input_stream(sources.warehouse.path(RUNS, sources.name, MODEL)) as source:
        content = source.read()
    try:
        layers = layers_of(content)
    except ValueError as error:
        raise NoContentError(str(error)) from None
    if not layers:
        raise NoContentError(f"models/{sources.name}/{MODEL} describes no layers")
    text = "Normalisation, masking, reshaping and dropout are left out."
    return Section((text,), drawing=diagram(layers))
