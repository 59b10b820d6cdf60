"""The model's layers."""

from __future__ import annotations

from msd_spark.core.runs import MODEL, RUNS
from msd_spark.report.data.sources import Sources
from msd_spark.report.draw.model_diagram import diagram, layers_of
from msd_spark.report.section import Absent, Section


def model_section(sources: Sources) -> Section | Absent:
    """Return the model's diagram."""
    title = "Model"
    if not sources.warehouse.exists(RUNS, sources.name, MODEL):
        return Absent(title, f"models/{sources.name} has no {MODEL}")
    with sources.warehouse.filesystem.open_input_stream(sources.warehouse.path(RUNS, sources.name, MODEL)) as source:
        content = source.read()
    try:
        layers = layers_of(content)
    except ValueError as error:
        return Absent(title, str(error))
    if not layers:
        return Absent(title, f"{RUNS}/{sources.name}/{MODEL} describes no layers")
    parameters = sources.run.get("parameters")
    told = f"{sources.run.get('model', 'a model')}" + (f", {parameters:,} parameters" if parameters else "")
    text = f"{told}. Normalisation, masking, reshaping and dropout are left out."
    return Section("model", title, (text,), drawing=diagram(layers))
