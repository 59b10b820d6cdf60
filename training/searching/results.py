"""Results of a search: table, CSV, JSON, plots, and the command with the best choice."""

from __future__ import annotations

import csv
import html
import io
import shlex
from dataclasses import replace
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState
from tabulate import tabulate

from msd_spark.core.command_line import words_of
from msd_spark.core.formatting import csv_cell
from msd_spark.core.options import declared_options, value_at
from msd_spark.core.warehouse import Warehouse
from training.loop.options import TrainOptions
from training.searching.options import SearchOptions
from training.searching.space import with_choice
from training.searching.study import SEARCHES, Study

ROWS = 20
"""Trials to print; ``trials.csv`` has all."""


def trial_row(trial: FrozenTrial) -> dict[str, Any]:
    """Return the row of a trial; its number is that in the plots."""
    complete = trial.state == TrialState.COMPLETE
    return {
        "trial": trial.number,
        "state": "trained" if complete else "pruned",
        "value": trial.value if complete else None,
        "epochs": len(trial.intermediate_values),
        **trial.params,
        "reason": trial.user_attrs.get("reason", ""),
    }


def search_table(study: Study, options: SearchOptions) -> str:
    """Return a table of the trials, the best first, pruned ones last."""
    rows = [trial_row(trial) for trial in study.done]
    rows.sort(key=lambda row: (row["value"] is None, options.sign * (row["value"] or 0.0), row["trial"]))
    names = list(rows[0]) if rows else []
    table = tabulate(
        [[_shown(row[name]) for name in names] for row in rows[:ROWS]],
        headers=[options.label if name == "value" else name for name in names],
        tablefmt="simple",
        disable_numparse=True,
    )
    return table if len(rows) <= ROWS else f"{table}\n… and {len(rows) - ROWS} more in trials.csv"


def _shown(value: Any) -> Any:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else value


def best_command(study: Study, options: SearchOptions, n_ranks: int) -> list[str]:
    """Return the words of the command that trains with the best choice.

    Empty if no trial was completed.
    """
    best = study.best
    if best is None:
        return []
    training = replace(with_choice(options.training, best.params), run=f"{options.study_name}-best")
    changed = {
        declared.name: value
        for declared in declared_options(TrainOptions)
        if (value := value_at(training, declared.path)) != declared.default
    }
    launcher = ["horovodrun", "-np", str(n_ranks)] if n_ranks > 1 else []
    return [*launcher, "training/train.py", *words_of(changed, TrainOptions)]


def write_results(warehouse: Warehouse, study: Study, options: SearchOptions, command: list[str]) -> str:
    """Write ``search.json``, ``trials.csv`` and ``plots.html``; return the folder's path."""
    rows, best = [trial_row(trial) for trial in study.done], study.best
    content = {
        "settings": study.settings,
        "figure": options.decides,
        "judged_on": "validation",
        "best": trial_row(best) if best else None,
        "command": shlex.join(command),
        "trials": [
            row | {"by_epoch": [value for _, value in sorted(trial.intermediate_values.items())]}
            for row, trial in zip(rows, study.done, strict=True)
        ],
    }
    folder = (SEARCHES, options.study_name)
    warehouse.write_json(content, *folder, "search.json")
    table = io.StringIO()
    writer = csv.DictWriter(table, list(rows[0]) if rows else ["trial"], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: csv_cell(value) for name, value in row.items()} for row in rows)
    for name, text in (("trials.csv", table.getvalue()), ("plots.html", plots_page(study, options))):
        warehouse.write_file(text.encode(), *folder, name)
    return warehouse.path(*folder)


def plots_page(study: Study, options: SearchOptions) -> str:
    """Return a page of plots that includes plotly's script, so that it works offline."""
    import optuna.visualization as draw

    plots: list[Any] = []
    if study.done:
        plots.append(draw.plot_intermediate_values(study.optuna))
    if study.complete:
        of_values = (draw.plot_optimization_history, draw.plot_slice, draw.plot_parallel_coordinate)
        plots += [plot(study.optuna, target_name=options.label) for plot in of_values]
    if len({trial.value for trial in study.complete}) > 1:  # importance is a share of the variance
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=options.training.training.seed)
        plots.append(draw.plot_param_importances(study.optuna, evaluator=evaluator, target_name=options.label))
    parts = [
        plot.to_html(full_html=False, include_plotlyjs=number == 0, div_id=f"plot-{number}")
        for number, plot in enumerate(plots)
    ]
    title = html.escape(f"Search {options.study_name}: {len(study.done)} trials, evaluated on validation")
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>'
        f"<body><h1>{title}</h1>\n{chr(10).join(parts)}\n</body></html>\n"
    )
