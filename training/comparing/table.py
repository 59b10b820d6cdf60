"""A comparison as people read it: one table, for a terminal and as Markdown, and what may be said of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tabulate import tabulate

from msd_spark.core.formatting import number
from training.evaluation.deciding import LESS_IS_BETTER
from training.evaluation.table import SHORT

NOTE = (
    "Means over {seeds} seeds, with {level:.0%} intervals from {resamples:,} resamples of artists and of seeds; ± is "
    "the standard deviation over the seeds. Where the interval of a difference holds 0, the two are not told apart."
)


def comparison_table(comparison: Mapping[str, Any], style: str = "simple") -> str:
    """Return the table of a comparison.

    Parameters
    ----------
    comparison : mapping
        As ``comparison.json`` holds it.
    style : str
        One of tabulate's formats.
    """
    main, other = comparison["figures"]
    reference = comparison["reference"]
    heads = [
        *("model", "inputs", SHORT[main], "±", SHORT[other]),
        *(f"{reference} minus this ({SHORT[main]})", "parameters", "epochs", "seconds"),
    ]
    rows = []
    for row in comparison["rows"]:
        lead = row["reference_minus_this"]
        rows.append(
            (
                row["model"],
                row["inputs"],
                spread(row["figures"][main]),
                number(row["figures"][main]["deviation"]),
                spread(row["figures"][other]),
                spread(lead[main]) if lead else "",
                f"{row['parameters']:,}",
                f"{row['epochs']:.1f}",
                "–" if row["seconds"] is None else f"{row['seconds']:,.1f}",
            )
        )
    for name, figures in comparison["baselines"].items():
        known = [
            spread({"mean": figures[figure], "interval": figures["intervals"].get(figure)}) for figure in (main, other)
        ]
        rows.append((name, "", known[0], "", known[1], "", "", "", ""))
    return tabulate(rows, headers=heads, tablefmt=style, disable_numparse=True)


def spread(figure: Mapping[str, Any]) -> str:
    """Return a mean with its interval.

    Examples
    --------
    >>> spread({"mean": 0.5, "interval": [0.4, 0.6]}), spread({"mean": None, "interval": None})
    ('.500 [.400, .600]', '–')
    """
    if figure["mean"] is None or figure["interval"] is None:
        return number(figure["mean"])
    low, high = (number(bound) for bound in figure["interval"])
    return f"{number(figure['mean'])} [{low}, {high}]"


def findings(comparison: Mapping[str, Any]) -> list[str]:
    """Return in words which models the reference is ahead of, behind, or not told apart from, on the same inputs."""
    main, reference = comparison["figures"][0], comparison["reference"]
    said: dict[tuple[str, str], list[str]] = {}
    for row in comparison["rows"]:
        lead = row["reference_minus_this"]
        if not lead:
            continue
        interval = lead[main]["interval"]
        if interval is None or interval[0] <= 0 <= interval[1]:
            what = "is not told apart from"
        elif (interval[0] > 0) is (main not in LESS_IS_BETTER):
            what = "is better than"
        else:
            what = "is worse than"
        said.setdefault((row["inputs"], what), []).append(row["model"])
    inputs_in_order = list(dict.fromkeys(inputs for inputs, _ in said))
    ordered = sorted(said.items(), key=lambda item: inputs_in_order.index(item[0][0]))
    return [f"{inputs}: {reference} {what} {', '.join(models)}" for (inputs, what), models in ordered]


def markdown(comparison: Mapping[str, Any], command: str) -> str:
    """Return a comparison as a page of Markdown."""
    facts = comparison["dataset"]
    note = NOTE.format(seeds=len(comparison["seeds"]), **comparison["bootstrap"])
    lines = [
        f"# {comparison['name']}",
        f"Target {comparison['target']}, {comparison['split']} split of dataset `{facts['name']}` "
        f"(`{facts['fingerprint']}`): {comparison['examples']:,} examples by {comparison['artists']:,} artists.",
        f"```sh\n{command}\n```",
        comparison_table(comparison, "github"),
        note,
        *(f"- {line}" for line in findings(comparison)),
    ]
    return "\n\n".join(lines[:5]) + "\n\n" + "\n".join(lines[5:]) + "\n"
