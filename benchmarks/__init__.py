"""Side-by-side measurements: each module prints one table and writes ``build/bench/NAME.json``.

Compared metrics are ratios within one run, since the speed of machines differs and varies.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

FOLDER = Path(__file__).resolve().parents[1] / "build" / "bench"


def publish(name: str, headers: Sequence[str], rows: Sequence[Sequence[Any]], metrics: Mapping[str, float]) -> None:
    """Print a benchmark's table and its metrics, and write the metrics to a file.

    Parameters
    ----------
    name : str
        The metrics are written to ``build/bench/NAME.json``.
    headers, rows : sequence
        The table.
    metrics : mapping
        Flat names to numbers.
    """
    print(tabulate(rows, headers=headers, tablefmt="simple", floatfmt=",.2f"))
    print()
    print(tabulate(sorted(metrics.items()), tablefmt="plain", floatfmt=",.3f"))
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{name}.json").write_text(json.dumps(dict(sorted(metrics.items())), indent=2) + "\n")
