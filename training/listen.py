#!/usr/bin/env python
"""Find what a finished run listens to: ``training/listen.py --warehouse W --run RUN``.

Which segments its filters respond to, and what its figures lose when lyrics, audio, chroma or timbre are hidden.
"""

from __future__ import annotations

import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

from typing import Any

import pyarrow as pa
from tabulate import tabulate

from msd_spark.core.legacy import exit_with, job_parser
from msd_spark.core.schemas import SPLITS
from msd_spark.environment.doctor import require_sound_environment


def occlusion_text(occlusion: pa.Table) -> str:
    """Return how much the right genre's probability loses by what is hidden, a row a genre, and macro F1 last."""
    by_genre: dict[str, dict[str, Any]] = {}
    for row in occlusion.to_pylist():
        if row["figure"] in ("probability", "macro_f1") and (row["genre"] is None) == (row["figure"] == "macro_f1"):
            name = row["genre"] or "macro F1 of all"
            shown = by_genre.setdefault(name, {"": name, "songs": row["examples"], "as it is": f"{row['full']:.3f}"})
            certain = row["low"] is not None and row["low"] * row["high"] > 0
            shown[f"no {row['hidden']}"] = f"{row['change']:+.3f}{' *' if certain else ''}"
    last = by_genre.pop("macro F1 of all", None)
    return tabulate([*by_genre.values(), *([last] if last else [])], headers="keys", tablefmt="simple")


def main() -> None:
    """Check the environment, then study."""
    parser = job_parser(__doc__)
    add = parser.add_argument
    add("--run", required=True, metavar="NAME", help="the run in models/NAME")
    add("--songs", type=int, default=2000, help="of the dataset, a seeded sample that filters are tried on")
    add("--top", type=int, default=8, help="songs a filter")
    add("--split", default="test", choices=SPLITS, help="which occlusion is judged on")
    add("--batch", type=int, default=64, help="examples a call of the model")
    add("--seed", type=int, default=0, help="of the sample and the bootstrap")
    arguments = parser.parse_args()
    require_sound_environment()
    started = time.monotonic()
    from training.listening.study import STUDIES, StudySettings, study
    from training.ranks.devices import use_own_accelerator

    use_own_accelerator(0)
    settings = StudySettings(**vars(arguments))
    summary, occlusion = study(settings)
    facts = [
        ("run", summary["run"]),
        ("model", summary["model"]),
        ("songs that filters were tried on", f"{summary['songs_sampled']:,}"),
        *(
            (
                f"{item['layer']}: {item['segments_seen']} segments of {item['stream']}",
                f"{item['filters'] - len(item['silent_filters'])} of {item['filters']} filters respond",
            )
            for item in summary["convolutions"]
        ),
        ("written", f"{STUDIES}/{settings.run}"),
        ("seconds", f"{time.monotonic() - started:.1f}"),
    ]
    print(tabulate(facts, headers=["listen", ""], tablefmt="simple", colalign=("left", "right"), disable_numparse=True))
    if occlusion.num_rows:
        print(f"\nprobability of the right {summary['target']} on {summary['split']}, and its change")
        print(occlusion_text(occlusion))
        print("* the 95 % interval, by artist, has one sign")
    for note in summary["notes"]:
        print(f"\n{note}")


if __name__ == "__main__":
    exit_with(main)
