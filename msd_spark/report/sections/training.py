"""Training history, losses and validation metrics by epoch, and the layers of the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msd_spark.core.runs import MODEL
from msd_spark.report.data.sources import Sources
from msd_spark.report.draw.charts import Chart, Line, curves
from msd_spark.report.draw.model_diagram import diagram, layers_of
from msd_spark.report.section import NoContentError, Section
from msd_spark.report.sections.results import readable

VALIDATION = "validation_"
DRAWN = ("accuracy", "balanced_accuracy", "macro_f1", "macro_average_precision", "cosine", "r2", "macro_pr_auc")
"""Validation metrics with a line, where the target has them; weighted ones are nearly the same."""

ARGUMENTS = ("batch_size", "global_batch_size", "learning_rate", "optimizer", "seed", "balance", "inputs")


def training_section(sources: Sources) -> Section:
    """Return curves of the losses and the validation metrics."""
    if not sources.history:
        raise NoContentError(f"models/{sources.name} has no history.json")
    arguments = sources.run.get("arguments", {})
    texts = [f"{len(sources.history)} epochs"]
    texts += [
        f"{name.replace('_', ' ')} {arguments[name]}"
        for name in ARGUMENTS
        if arguments.get(name) is not None and not isinstance(arguments[name], dict)
    ]
    return Section((f"{', '.join(texts)}.",), training_curves(sources.history))


def training_curves(history: Sequence[dict[str, Any]]) -> tuple[Chart, ...]:
    """Return a chart of the losses and one of the validation metrics; None leaves a gap."""
    epochs = [row["epoch"] for row in history]

    def lines(names: dict[str, str]) -> list[Line]:
        known = [name for name in names if any(name in row for row in history)]
        return [Line(names[name], epochs, [row.get(name) for row in history]) for name in known]

    losses = lines(
        {"loss": "train"} | {name: readable(name) for name in ("validation_loss", "validation_mean_squared_error")}
    )
    metrics = lines({VALIDATION + name: readable(name) for name in DRAWN})
    charts = []
    if losses:
        charts.append(curves("training_loss", "Loss", "epoch", "loss", losses, markers=True, epochs=True))
    if metrics:
        title = "Metrics on the validation split"
        charts.append(curves("training_metrics", title, "epoch", "", metrics, markers=True, epochs=True, unit_y=True))
    return tuple(charts)


def model_section(sources: Sources) -> Section:
    """Return the diagram of the model."""
    place = sources.run_file(MODEL)
    if not sources.warehouse.exists(*place):
        raise NoContentError(f"models/{sources.name}/{MODEL} is missing")
    with sources.warehouse.filesystem.open_input_stream(sources.warehouse.path(*place)) as source:
        content = source.read()
    try:
        layers = layers_of(content)
    except ValueError as error:
        raise NoContentError(str(error)) from None
    if not layers:
        raise NoContentError(f"models/{sources.name}/{MODEL} describes no layers")
    text = "Normalisation, masking, reshaping and dropout are left out."
    return Section((text,), drawing=diagram(layers))
