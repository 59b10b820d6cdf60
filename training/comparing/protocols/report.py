"""The result of a protocol as text: metrics, published values, and whether they can be compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tabulate import tabulate

from msd_spark.core.formatting import with_interval
from training.comparing.protocols.contract import DRAWN, OFFICIAL, TEST, TRAIN, UNCHECKED
from training.evaluation.table import SHORT

HEADINGS = {**SHORT, "rmse": "RMSE", "mae": "MAE"}


NO_PROOF = "have no known checksum, so they may not be the official ones"

QUOTED = "Published values are quoted and were not checked against the papers; check them before you cite them."
"""Note below the published values."""


def share_text(share: float) -> str:
    """Return a share as a percentage that is 0 % or 100 % only if it is exactly so.

    Examples
    --------
    >>> share_text(1.0), share_text(0.99999), share_text(0.00034), share_text(0.0), share_text(0.000001)
    ('100 %', '99.9 %', '0.03 %', '0 %', '<0.01 %')
    """
    if share in (0.0, 1.0):
        return f"{share:.0%}".replace("%", " %")
    percent = 100 * share
    if percent < 0.01:
        return "<0.01 %"
    return f"{min(percent, 99.9):.1f} %" if percent >= 1 else f"{percent:.2f} %"


def is_complete(division: Mapping[str, Any]) -> bool:
    """Return whether the songs are exactly the official ones."""
    return division["origin"] == OFFICIAL and division["present"] == division["official"]


def comparability(division: Mapping[str, Any]) -> str:
    """Return a sentence about whether the metrics of a division can be compared with published ones."""
    if is_complete(division):
        return "All official songs are present: the metrics are comparable with published ones on the same songs."
    train, test = (share_text(min(1.0, division["share"][split])) for split in (TRAIN, TEST))
    partly = f"{train} of the official train songs and {test} of the test songs are present"
    if division["origin"] == DRAWN:
        partly += ", drawn by the documented rule, so they are not the songs of the publication"
    if division["origin"] == UNCHECKED:
        partly = f"{train} of the listed train songs and {test} of the test songs are present, and the lists {NO_PROOF}"
    return f"NOT COMPARABLE with published values: {partly}. A metric on other songs is another metric."


def protocol_tables(content: Mapping[str, Any], style: str = "simple") -> str:
    """Return the content of ``protocol.json`` as text: a section per division, then the published values."""
    metrics = content["metrics"]
    parts = []
    for division in content["divisions"]:
        counts = [
            (
                split,
                f"{division['official'][split]:,}",
                f"{n:,}",
                share_text(min(1.0, division["share"][split])),
                f"{division['used'][split]:,}",
            )
            for split, n in division["present"].items()
        ]
        heading = "listed songs" if division["origin"] == UNCHECKED else "official songs"
        rows = [
            (name, own["examples"], *(with_interval(own, metric) for metric in metrics))
            for name, own in division["candidates"].items()
        ]
        heads = ["baseline", "test songs", *(HEADINGS[metric] for metric in metrics)]
        parts += [
            f"{content['protocol']}: {division['name']}",
            tabulate(
                counts,
                ["split", heading, "present", "share", "with enough segments"],
                tablefmt=style,
                disable_numparse=True,
            ),
            tabulate(rows, heads, tablefmt=style, disable_numparse=True),
            comparability(division),
        ]
    published = [
        (one["method"], *(one["metrics"].get(metric, "–") for metric in metrics), one["division"], one["source"])
        for one in content["anchors"]
    ]
    if published:
        heads = ["published", *(HEADINGS[metric] for metric in metrics), "songs", "source"]
        parts += [tabulate(published, heads, tablefmt=style, disable_numparse=True), QUOTED]
    return "\n\n".join([*parts, *content["remarks"]])


def protocol_page(content: Mapping[str, Any], command: str) -> str:
    """Return the content of ``protocol.json`` as a Markdown page."""
    head = [
        f"# Protocol {content['protocol']}: {content['title']}",
        f"{content['songs']:,} songs in the warehouse; features: {content['features']}.",
        f"```sh\n{command}\n```",
    ]
    return "\n\n".join([*head, protocol_tables(content, "github")]) + "\n"
