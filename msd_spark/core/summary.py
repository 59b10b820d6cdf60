"""What a stage says at its end: a short table of what it read, wrote and rejected, and how long it took."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from tabulate import tabulate

from msd_spark.core.warehouse import Warehouse

SUMMARIES = "summaries"
"""Folder of the stages' summaries in the warehouse, one JSON file a stage."""


@dataclass
class Summary:
    """Counts and times of one run of a stage, in the order in which they were noted.

    Attributes
    ----------
    stage : str
    facts : dict
        Name to number or text, shown to people.
    details : dict
        What only programs read: fingerprints, lists, distributions.
    """

    stage: str
    facts: dict[str, Any] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    def finish(self, warehouse: Warehouse) -> None:
        """Note the time, keep the summary in the warehouse and print it."""
        self.facts["seconds"] = round(time.monotonic() - self.started, 1)
        warehouse.write_json(
            {"stage": self.stage, "facts": self.facts, **self.details}, SUMMARIES, f"{self.stage}.json"
        )
        print(self.table(), flush=True)

    def table(self) -> str:
        """Return the facts as a table of two columns, under the stage's name."""
        rows = [
            (name, f"{value:,}" if isinstance(value, (int, float)) else value) for name, value in self.facts.items()
        ]
        return tabulate(
            rows, headers=[self.stage, ""], tablefmt="simple", colalign=("left", "right"), disable_numparse=True
        )
