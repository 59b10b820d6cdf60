"""The table of a comparison, for a terminal and as Markdown, and its findings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tabulate import tabulate

from msd_spark.core.formatting import mean_with_interval, number, with_interval
from training.evaluation.deciding import LESS_IS_BETTER
from training.evaluation.table import SHORT

NOTE = (
    "Means over {unit} (n = {seeds}), with {level:.0%} intervals from {resamples:,} resamples of artists and {unit}; "
    "± is the standard deviation over the {unit}. If the interval of a difference contains 0, the difference is not "
    "significant."
)


def note(comparison: Mapping[str, Any]) -> str:
    """Return the note below the table."""
    unit = f"repeats of {comparison['folds']} folds" if comparison["folds"] else "seeds"
    return NOTE.format(unit=unit, seeds=len(comparison["seeds"]), **comparison["bootstrap"])


def comparison_table(comparison: Mapping[str, Any], style: str = "simple") -> str:
    """Return the content of ``comparison.json`` as a table in a format of tabulate."""
    main, other = comparison["figures"]
    headings = [
        *("model", "inputs", SHORT[main], "±", SHORT[other]),
        *(f"minus best baseline ({SHORT[main]})", f"{comparison['reference']} minus this ({SHORT[main]})"),
        *("parameters", "epochs", "seconds"),
    ]
    rows = []
    for row in comparison["rows"]:
        lead, over_baseline = row["reference_minus_this"], row["minus_best_baseline"]
        rows.append(
            (
                row["model"],
                row["inputs"],
                mean_with_interval(row["figures"][main]),
                number(row["figures"][main]["standard_deviation"]),
                mean_with_interval(row["figures"][other]),
                mean_with_interval(over_baseline[main]) if over_baseline else "",
                mean_with_interval(lead[main]) if lead else "",
                f"{row['parameters']:,}" if "parameters" in row else "",
                f"{row['epochs']:.1f}" if "epochs" in row else "",
                "–" if row.get("seconds") is None else f"{row['seconds']:,.1f}",
            )
        )
    for name, metrics in comparison["baselines"].items():
        rows.append((name, "", with_interval(metrics, main), "", with_interval(metrics, other), "", "", "", "", ""))
    return tabulate(rows, headers=headings, tablefmt=style, disable_numparse=True)


def agreement_table(comparison: Mapping[str, Any], style: str = "simple") -> str:
    """Return the agreement of neighbours as a table; empty if it was not measured."""
    neighbours = comparison["neighbours"]
    leads = ("minus_raw", "minus_components")
    lines = [
        (
            row["space"],
            mean_with_interval(row["agreement"]),
            *(mean_with_interval(row[lead]) if row[lead] else "" for lead in leads),
        )
        for row in neighbours["rows"]
    ]
    spaces = (f"minus {space}" for space in neighbours["spaces"])
    heads = [f"{neighbours['k']} neighbours by other artists", neighbours["measure"], *spaces]
    return tabulate(lines, headers=heads, tablefmt=style, disable_numparse=True) if lines else ""


def findings(comparison: Mapping[str, Any]) -> list[str]:
    """Return a sentence per inputs and result: better, worse, or not significantly different."""
    main, reference = comparison["figures"][0], comparison["reference"]
    models: dict[str, dict[str, list[str]]] = {}
    for row in comparison["rows"]:
        if not row["reference_minus_this"]:
            continue
        interval = row["reference_minus_this"][main]["interval"]
        if interval is None or interval[0] <= 0 <= interval[1]:
            result = "is not significantly different from"
        else:
            better = (interval[0] > 0) is (main not in LESS_IS_BETTER)
            result = "is better than" if better else "is worse than"
        models.setdefault(row["inputs"], {}).setdefault(result, []).append(row["model"])
    return [
        f"{inputs}: {reference} {result} {', '.join(names)}"
        for inputs, by_result in models.items()
        for result, names in by_result.items()
    ]


def markdown(comparison: Mapping[str, Any], command: str) -> str:
    """Return a comparison as a Markdown page."""
    dataset = comparison["dataset"]
    place = "all labelled songs" if comparison["folds"] else f"{comparison['split']} split"
    paragraphs = [
        f"# {comparison['name']}",
        f"Target {comparison['target']}, {place} of dataset `{dataset['name']}` "
        f"(`{dataset['fingerprint']}`): {comparison['examples']:,} examples by {comparison['artists']:,} artists.",
        f"```sh\n{command}\n```",
        comparison_table(comparison, "github"),
        agreement_table(comparison, "github"),
        note(comparison),
        "\n".join(f"- {line}" for line in findings(comparison)),
    ]
    return "\n\n".join(paragraphs) + "\n"
