"""What a search found: a table, the command that trains with the best settings, CSV, JSON and plots."""

from __future__ import annotations

import csv
import html
import io
import shlex
from dataclasses import asdict
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState
from tabulate import tabulate

from msd_spark.core.warehouse import Warehouse
from training.searching.space import option_words
from training.searching.study import SEARCHES, SearchSettings, Study

ROWS = 20
"""Trials that are printed; all of them are in ``trials.csv``."""


def trial_row(trial: FrozenTrial) -> dict[str, Any]:
    """Return what is told of a trial, under the number that the plots give it; those that were killed are left out."""
    return {
        "trial": trial.number,
        "state": "trained" if trial.state == TrialState.COMPLETE else "given up",
        "value": trial.value if trial.state == TrialState.COMPLETE else None,
        "epochs": len(trial.intermediate_values),
        **trial.params,
        "why": trial.user_attrs.get("why", ""),
    }


def search_table(study: Study, settings: SearchSettings) -> str:
    """Return the trials as a table, the best first, those that were given up last."""
    sign = 1 if settings.minimises else -1
    rows = [trial_row(trial) for trial in study.done]
    rows.sort(key=lambda row: (row["value"] is None, sign * (row["value"] or 0.0), row["trial"]))
    shown = [
        {name: f"{value:.4g}" if isinstance(value, float) else value for name, value in row.items()}
        for row in rows[:ROWS]
    ]
    heads = {"value": f"validation {settings.decides.replace('_', ' ')}"}
    names = list(shown[0]) if shown else []
    table = tabulate(
        [[("–" if row[name] is None else row[name]) for name in names] for row in shown],
        headers=[heads.get(name, name) for name in names],
        tablefmt="simple",
        disable_numparse=True,
    )
    return table if len(rows) <= ROWS else f"{table}\n… and {len(rows) - ROWS} more in trials.csv"


def best_command(study: Study, settings: SearchSettings, warehouse: str, n_ranks: int) -> list[str]:
    """Return the command that trains with the best settings, as words; none where no trial came to its end."""
    best = study.best
    if best is None:
        return []
    launcher = ["horovodrun", "-np", str(n_ranks)] if n_ranks > 1 else []
    words = [*launcher, "training/train.py", "--warehouse", warehouse, *settings.fixed, *option_words(best.params)]
    return [*words, "--run", f"{settings.name}-best"]


def write_results(warehouse: Warehouse, study: Study, settings: SearchSettings, command: list[str]) -> str:
    """Write ``search.json``, ``trials.csv`` and ``plots.html``; return the folder's path."""
    rows, best = [trial_row(trial) for trial in study.done], study.best
    content = {
        "settings": asdict(settings),
        "figure": settings.decides,
        "judged_on": "validation",
        "best": trial_row(best) if best else None,
        "command": shlex.join(command),
        "trials": [
            row | {"by_epoch": [value for _, value in sorted(trial.intermediate_values.items())]}
            for row, trial in zip(rows, study.done, strict=True)
        ],
    }
    warehouse.write_json(content, SEARCHES, settings.name, "search.json")
    table = io.StringIO()
    writer = csv.DictWriter(table, list(rows[0]) if rows else ["trial"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    for name, text in (("trials.csv", table.getvalue()), ("plots.html", plots_page(study, settings))):
        path = warehouse.path(SEARCHES, settings.name, name)
        with warehouse.finished_file(path) as unfinished, warehouse.filesystem.open_output_stream(unfinished) as sink:
            sink.write(text.encode())
    return warehouse.path(SEARCHES, settings.name)


def plots_page(study: Study, settings: SearchSettings) -> str:
    """Return a page of plots that opens from disk without a network: plotly's script is in it."""
    import optuna.visualization as draw

    label = f"validation {settings.decides.replace('_', ' ')}"
    complete = [trial for trial in study.done if trial.state == TrialState.COMPLETE]
    figures: list[Any] = []
    if study.done:
        figures.append(draw.plot_intermediate_values(study.optuna))
    if complete:
        figures.append(draw.plot_optimization_history(study.optuna, target_name=label))
        figures.append(draw.plot_slice(study.optuna, target_name=label))
        figures.append(draw.plot_parallel_coordinate(study.optuna, target_name=label))
    if len({trial.value for trial in complete}) > 1:  # importance is a share of the variance
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=settings.seed)
        figures.append(draw.plot_param_importances(study.optuna, evaluator=evaluator, target_name=label))
    parts = [
        figure.to_html(full_html=False, include_plotlyjs=number == 0, div_id=f"plot-{number}")
        for number, figure in enumerate(figures)
    ]
    title = html.escape(f"Search {settings.name}: {len(study.done)} trials, judged on validation")
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>'
        f"<body><h1>{title}</h1>\n{chr(10).join(parts)}\n</body></html>\n"
    )
