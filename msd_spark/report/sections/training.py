"""How the training went: losses and the other validation figures, epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msd_spark.report.data.sources import Sources
from msd_spark.report.draw.charts import Curves, Line
from msd_spark.report.section import Absent, Section
from msd_spark.report.sections.results import readable

VALIDATION = "validation_"
SHARES = ("accuracy", "balanced_accuracy", "macro_f1", "macro_average_precision", "cosine", "r2", "macro_pr_auc")
"""Validation figures that are drawn, where the target has them; weighted ones say nearly the same."""


def training_section(sources: Sources) -> Section | Absent:
    """Return the losses, and the other figures of validation."""
    if not sources.history:
        return Absent("Training", f"models/{sources.name} has no history.json")
    charts = training_curves(sources.history)
    settings = {name: value for name, value in sources.run.get("arguments", {}).items() if not isinstance(value, dict)}
    told = [
        f"{name.replace('_', ' ')} {settings[name]}"
        for name in ("batch", "learning_rate", "optimizer", "seed", "balance", "inputs")
        if settings.get(name) is not None
    ]
    text = f"{len(sources.history)} epochs; {', '.join(told)}." if told else f"{len(sources.history)} epochs."
    return Section("training", "Training", (text,), charts)


def training_curves(history: Sequence[dict[str, Any]]) -> tuple[Curves, ...]:
    """Return the losses of each epoch, and the other validation figures.

    Parameters
    ----------
    history : sequence of dict
        A row an epoch; a figure that is None leaves a gap.
    """
    epochs = [row["epoch"] for row in history]

    def line(key: str, name: str) -> Line:
        return Line(name, epochs, [row.get(key) for row in history])

    losses = [line("loss", "train")] if "loss" in history[0] else []
    names = (f"{VALIDATION}loss", f"{VALIDATION}mean_squared_error")
    losses += [line(name, readable(name)) for name in names if name in history[0]]
    shares = [
        line(VALIDATION + name, readable(name)) for name in SHARES if any(VALIDATION + name in row for row in history)
    ]
    charts = []
    if losses:
        charts.append(
            Curves("training_loss", "Loss", "epoch", "loss", tuple(losses), markers=True, whole_x=True)
        )  # fmt: skip
    if shares:
        charts.append(
            Curves(
                "training_figures", "Figures on the validation split", "epoch", "", tuple(shares),
                shares=True, markers=True, whole_x=True,
            )
        )  # fmt: skip
    return tuple(charts)
