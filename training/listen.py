#!/usr/bin/env python
"""``training/listen.py``: the same as ``msd-spark listen``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tabulate import tabulate

import training.loop.session  # noqa: F401  # sets what TensorFlow reads when it is imported
from msd_spark.core.command_line import run_verb
from msd_spark.core.runs import STUDIES, newest_run, read_run
from msd_spark.core.warehouse import Warehouse
from msd_spark.environment.doctor import require_sound_environment
from training.listening.options import ListenOptions

if TYPE_CHECKING:
    import pyarrow as pa


def run(options: ListenOptions) -> None:
    """Run ``msd-spark listen``."""
    warehouse = Warehouse(options.warehouse)
    name = options.run or newest_run(warehouse)
    warehouse.require("dataset", read_run(warehouse, name)["dataset"]["name"])
    require_sound_environment()
    started = time.monotonic()
    from training.listening.study import study
    from training.ranks.devices import use_own_accelerator

    use_own_accelerator(0)
    summary, occlusion = study(options, name)
    facts = [
        ("run", name),
        ("model", summary["model"]),
        ("songs for filter responses", f"{summary['songs_sampled']:,}"),
        *(
            (
                f"{item['layer']}: {item['segments_seen']} segments of {item['stream']}",
                f"{item['filters'] - len(item['silent_filters'])} of {item['filters']} filters respond",
            )
            for item in summary["convolutions"]
        ),
        ("written", f"{STUDIES}/{summary['name']}"),
        ("seconds", f"{time.monotonic() - started:.1f}"),
    ]
    print(tabulate(facts, headers=["listen", ""], tablefmt="simple", colalign=("left", "right"), disable_numparse=True))
    if summary["distinct_filters"]:
        print("\nfilters that respond more to the tracks than to others; difference in standard deviations")
        print(tabulate(summary["distinct_filters"], headers="keys", tablefmt="simple", floatfmt=".3f"))
    if occlusion.num_rows:
        print(
            f"\nmean probability of the true {summary['target']} on {summary['split']}, and its change per hidden input"
        )
        print(occlusion_text(occlusion))
        print("* the 95 % interval of the change, by artist, excludes 0")
    for note in summary["notes"]:
        print(f"\n{note}")


def occlusion_text(occlusion: pa.Table) -> str:
    """Return a table of changes when a part is hidden.

    Rows are the changes of the probability of each genre, and the last row those of macro F1.
    """
    rows: dict[str | None, dict[str, Any]] = {}
    for row in occlusion.to_pylist():
        if row["figure"] == ("macro_f1" if row["genre"] is None else "probability"):
            first = {"": row["genre"] or "macro F1", "songs": row["examples"], "full": f"{row['full']:.3f}"}
            excludes_0 = row["low"] is not None and row["low"] * row["high"] > 0
            change = f"{row['change']:+.3f}{' *' if excludes_0 else ''}"
            rows.setdefault(row["genre"], first)[f"no {row['hidden']}"] = change
    overall = rows.pop(None, None)
    shown = [*rows.values(), *([overall] if overall else [])]
    return tabulate(shown, headers="keys", tablefmt="simple", disable_numparse=True)


if __name__ == "__main__":
    run_verb("listen")
