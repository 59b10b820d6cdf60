"""All stages in order, from a folder of data to embeddings and a page, each as the command that a person would type.

``python -m msd_spark.pipeline --data DIR --warehouse W``
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tabulate import tabulate

from msd_spark.command_line import exit_with, job_parser
from msd_spark.data_folder import STAGE, DataFolder
from msd_spark.errors import StageError
from msd_spark.metric_text import with_interval
from msd_spark.run_metadata import HISTORY, METRICS, RUNS
from msd_spark.summary import SUMMARIES
from msd_spark.warehouse import Warehouse

REPOSITORY = Path(__file__).resolve().parents[1]

NOTHING_TO_READ = {"plays": "the folder of data has no tasteprofile/train_triplets.txt"}
"""Why a stage whose command is empty is skipped."""


@dataclass(frozen=True)
class PipelineSettings:
    """What runs on what.

    Attributes
    ----------
    data : DataFolder
    warehouse, run, model : str
    ranks, epochs, batch : int
    """

    data: DataFolder
    warehouse: str
    run: str = "demo"
    model: str = "cnn"
    ranks: int = 2
    epochs: int = 20
    batch: int = 16


def commands(settings: PipelineSettings) -> dict[str, list[str]]:
    """Return the command of each stage, in order; it is empty where the stage has nothing to read."""
    data, warehouse = settings.data, ["--warehouse", settings.warehouse]
    bags = [("--train", data.bags_train), ("--test", data.bags_test), ("--reverse-mapping", data.reverse_mapping)]
    labels = {"cd1": data.labels, **data.other_labels}
    listens = [("--triplets", data.triplets), ("--mismatches", data.mismatches)]
    run = ["--run", settings.run]
    return {
        "ingest": ["spark-submit", _script("jobs/ingest.py"), "--songs", *map(str, data.songs), *warehouse],
        "lyrics": [
            "spark-submit",
            _script("jobs/lyrics.py"),
            *(word for option, path in bags if path for word in (option, str(path))),
            *warehouse,
        ],
        "labels": [
            "spark-submit" if data.tags else "python",
            _script("jobs/labels.py"),
            *(word for name, path in labels.items() for word in (f"--{name}", str(path))),
            *(("--tags", *map(str, data.tags)) if data.tags else ()),
            *warehouse,
        ],
        "plays": [
            "spark-submit",
            _script("jobs/plays.py"),
            *(word for option, path in listens if path for word in (option, str(path))),
            *warehouse,
        ]
        if data.triplets
        else [],
        "dataset": ["spark-submit", _script("jobs/dataset.py"), "--require", "genre", *warehouse],
        "train": [
            *(
                "horovodrun",
                "-np",
                str(settings.ranks),
                _script("training/train.py"),
                *warehouse,
                "--model",
                settings.model,
                *run,
                "--overwrite",
            ),
            *("--epochs", str(settings.epochs), "--batch", str(settings.batch)),
        ],
        "score": ["spark-submit", _script("jobs/score.py"), *warehouse, *run],
        "neighbours": ["spark-submit", _script("jobs/neighbours.py"), *warehouse, *run],
        "maps": ["python", _script("jobs/maps.py"), *warehouse, *run],
        "listen": ["python", _script("training/listen.py"), *warehouse, *run],
        "report": ["python", _script("jobs/report.py"), *warehouse, *run],
    }


def _script(name: str) -> str:
    """Return how the repository's script is called from the folder we are in."""
    return name if Path.cwd() == REPOSITORY else str(REPOSITORY / name)


def run_stages(settings: PipelineSettings, first: str, last: str) -> dict[str, float]:
    """Run the stages from `first` to `last`; return the seconds that each took.

    Raises
    ------
    StageError
        When a stage fails, with the command that goes on from there.
    """
    stages = commands(settings)
    names = list(stages)
    chosen = names[names.index(first) : names.index(last) + 1]
    seconds: dict[str, float] = {}
    for number, stage in enumerate(chosen, 1):
        if not stages[stage]:
            print(f"\n[{number}/{len(chosen)}] {stage}: skipped, {NOTHING_TO_READ[stage]}", flush=True)
            continue
        print(f"\n[{number}/{len(chosen)}] {stage}\n$ {shlex.join(stages[stage])}", flush=True)
        started = time.monotonic()
        outcome = subprocess.run(stages[stage])
        seconds[stage] = time.monotonic() - started
        if outcome.returncode:
            raise StageError(
                STAGE,
                f"{stage} failed with exit status {outcome.returncode}, see above. Go on with: {_again(stage)}",
            )
    return seconds


def _again(stage: str) -> str:
    words = sys.argv[1:]
    if "--from" in words:
        place = words.index("--from")
        words = words[:place] + words[place + 2 :]
    return shlex.join(["python", "-m", "msd_spark.pipeline", *words, "--from", stage])


def closing_table(warehouse: Warehouse, settings: PipelineSettings, seconds: dict[str, float]) -> str:
    """Return what came of it all: counts, figures beside the baseline's, and times."""
    ingested, dataset, scored = (_facts(warehouse, stage) for stage in ("ingest", "dataset", "score"))
    history = warehouse.read_json(RUNS, settings.run, HISTORY)
    test = warehouse.read_json(RUNS, settings.run, METRICS).get("test")
    rows: list[tuple[str, Any]] = [
        ("inputs", ingested["inputs"]),
        ("songs read", ingested["songs"]),
        ("rejected", ingested["rejected"]),
        ("duplicates", ingested["duplicates"]),
        ("labelled", dataset["labelled"]),
        *((f"examples for {split}", dataset[split]) for split in ("train", "validation", "test")),
        ("epochs", len(history)),
    ]
    if test:
        rows += [
            (f"test {shown}, {who}", with_interval(test[who], name))
            for name, shown in (("accuracy", "accuracy"), ("macro_f1", "macro F1"))
            for who in ("model", "majority", "logistic")
            if who in test
        ]
    rows.append(("embeddings", scored["embeddings"]))
    rows += [(f"seconds for {stage}", f"{spent:.0f}") for stage, spent in seconds.items()]
    rows.append(("seconds in all", f"{sum(seconds.values()):.0f}"))
    return tabulate(
        rows,
        headers=["from song files to embeddings", ""],
        tablefmt="simple",
        colalign=("left", "right"),
        disable_numparse=True,
    )


def _facts(warehouse: Warehouse, stage: str) -> dict[str, Any]:
    return dict(warehouse.read_json(SUMMARIES, f"{stage}.json")["facts"])


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = job_parser(__doc__)
    stages = tuple(commands(PipelineSettings(DataFolder((), None, None, None, Path()), "")))
    parser.add_argument(
        "--data", required=True, type=Path, metavar="DIR", help="folder of data, laid out as the README says"
    )
    parser.add_argument("--run", default=PipelineSettings.run, metavar="NAME", help="name of the run")
    parser.add_argument("--model", default=PipelineSettings.model, help="which model is trained")
    parser.add_argument("--ranks", type=int, default=PipelineSettings.ranks, help="Horovod ranks")
    parser.add_argument("--epochs", type=int, default=PipelineSettings.epochs, help="epochs at most")
    parser.add_argument("--batch", type=int, default=PipelineSettings.batch, help="examples a rank takes a step")
    parser.add_argument("--from", dest="first", default=stages[0], choices=stages, help="first stage to run")
    parser.add_argument("--to", dest="last", default=stages[-1], choices=stages, help="last stage to run")
    return parser.parse_args(words)


def main() -> None:
    """Run the stages and print the closing table."""
    arguments = parse_arguments()
    # Jobs and ranks are started by the programs of this interpreter's environment.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    data = DataFolder.find(arguments.data)
    settings = PipelineSettings(
        data, arguments.warehouse, arguments.run, arguments.model, arguments.ranks, arguments.epochs, arguments.batch
    )
    seconds = run_stages(settings, arguments.first, arguments.last)
    if arguments.last == "report":
        warehouse = Warehouse(settings.warehouse)
        print(f"\n{closing_table(warehouse, settings, seconds)}")
        print(f"\nthe page: {warehouse.path('reports', settings.run, 'index.html')}")


def command() -> None:
    """Run as a console command."""
    exit_with(main)


if __name__ == "__main__":
    command()
