"""The summary of a stage: counts of rows read, written and rejected, and the time."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from tabulate import tabulate

from msd_spark.core.warehouse import Warehouse

SUMMARIES = "summaries"
"""Folder of the warehouse with one JSON file per stage."""


@dataclass
class Summary:
    """Counts and times of one run of a stage.

    Attributes
    ----------
    facts : dict
        Numbers or text by name, printed in this order.
    details : dict
        Fingerprints, lists and distributions, only in the JSON file.
    """

    stage: str
    facts: dict[str, Any] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    def finish(self, warehouse: Warehouse) -> None:
        """Add the time, write the summary to the warehouse and print it."""
        self.facts["seconds"] = round(time.monotonic() - self.started, 1)
        warehouse.write_json(
            {"stage": self.stage, "facts": self.facts, **self.details}, SUMMARIES, f"{self.stage}.json"
        )
        print(self.table(), flush=True)

    def table(self) -> str:
        """Return the facts as a table of two columns with the stage as heading."""
        rows = [
            (name, f"{value:,}" if isinstance(value, (int, float)) else value) for name, value in self.facts.items()
        ]
        return tabulate(
            rows, headers=[self.stage, ""], tablefmt="simple", colalign=("left", "right"), disable_numparse=True
        )
