"""All stages in order, from a folder of data to embeddings and a page, each as the command that a person would type.

``python -m msd_spark.pipeline.command --data DIR --warehouse W``
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from msd_spark.core.data_folder import DataFolder
from msd_spark.core.errors import UserError
from msd_spark.core.formatting import with_interval
from msd_spark.core.legacy import DEFAULT_WAREHOUSE, exit_with, job_parser
from msd_spark.core.revision import code_revision
from msd_spark.core.runs import HISTORY, METRICS, RUNS
from msd_spark.core.summary import SUMMARIES
from msd_spark.core.warehouse import Warehouse
from msd_spark.pipeline.catalogue import DEFAULT_OPTIONS, NAMES, PipelineSettings
from msd_spark.pipeline.fingerprints import FOLDER
from msd_spark.pipeline.running import Choice, Ran, run_stages
from msd_spark.pipeline.settings_file import check_settings, merge, parse_assignment, read_settings, to_toml

SHORTCUTS = ("model", "epochs", "batch")
"""Options of the training that the pipeline has, too."""


def closing_table(warehouse: Warehouse, run: str) -> str:
    """Return what came of it all: counts, and figures beside the baselines'."""
    ingested, dataset, scored = (_facts(warehouse, stage) for stage in ("ingest", "dataset", "score"))
    history = warehouse.read_json(RUNS, run, HISTORY)
    test = warehouse.read_json(RUNS, run, METRICS).get("test")
    rows: list[tuple[str, Any]] = [
        ("inputs", ingested["inputs"]),
        ("songs read", ingested["songs"]),
        ("rejected", ingested["rejected"]),
        ("duplicates", ingested["duplicates"]),
        *((name, dataset[name]) for name in ("labelled",) if name in dataset),
        *((f"examples for {split}", dataset[split]) for split in ("train", "validation", "test")),
        ("epochs", len(history)),
    ]
    if test:
        rows += [
            (f"test {shown}, {who}", with_interval(test[who], name))
            for name, shown in (("accuracy", "accuracy"), ("macro_f1", "macro F1"))
            for who in ("model", "majority", "logistic")
            if who in test and name in test[who]
        ]
    rows.append(("embeddings", scored["embeddings"]))
    return tabulate(
        rows,
        headers=["from song files to embeddings", ""],
        tablefmt="simple",
        colalign=("left", "right"),
        disable_numparse=True,
    )


def stages_table(ran: Sequence[Ran]) -> str:
    """Return what became of each stage, and the time that it took."""
    rows = [(one.stage, one.outcome, one.why, f"{one.seconds:.0f}" if one.outcome == "ran" else "") for one in ran]
    rows.append(("in all", "", "", f"{sum(one.seconds for one in ran):.0f}"))
    return tabulate(
        rows,
        headers=["stage", "", "why", "seconds"],
        tablefmt="simple",
        colalign=("left", "left", "left", "right"),
        disable_numparse=True,
    )


def _facts(warehouse: Warehouse, stage: str) -> dict[str, Any]:
    return dict(warehouse.read_json(SUMMARIES, f"{stage}.json")["facts"])


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the arguments of the command line; what is left out is None."""
    parser = job_parser(__doc__)
    parser.prog = "python -m msd_spark.pipeline.command"
    parser.formatter_class = argparse.HelpFormatter
    parser.set_defaults(warehouse=None)
    add = parser.add_argument
    training = DEFAULT_OPTIONS["train"]
    add("--settings", type=Path, metavar="FILE", help="a TOML file with a table a stage; the command line wins")
    add("--set", action="append", default=[], metavar="STAGE.OPTION=VALUE", help="one option of a stage; repeatable")
    add("--data", metavar="DIR", help="folder of data, laid out as the README says")
    add("--run", metavar="NAME", help=f"name of the run ({PipelineSettings.run})")
    add("--ranks", type=int, help=f"Horovod ranks ({PipelineSettings.ranks})")
    add("--model", help=f"which model is trained ({training['model']})")
    add("--epochs", type=int, help=f"epochs at most ({training['epochs']})")
    add("--batch", type=int, help=f"examples a rank takes a step ({training['batch']})")
    add("--from", dest="first", choices=NAMES, help="first stage to run")
    add("--to", dest="last", choices=NAMES, help="last stage to run")
    add("--only", nargs="+", choices=NAMES, default=(), metavar="STAGE", help="these stages alone")
    add("--skip", nargs="+", choices=NAMES, default=(), metavar="STAGE", help="all stages but these")
    add("--force", action="store_true", help="run the stages although they are up to date")
    add("--dry-run", action="store_true", help="say what would run now, and run nothing")
    add("--ignore-code", action="store_true", help="run no stage only since the code has changed")
    return parser.parse_args(words)


def effective_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what holds: the defaults, then the file, then the command line.

    Raises
    ------
    UserError
        When something is not known or does not fit; when there is no folder of data.
    """
    typed: dict[str, Any] = merge(*(parse_assignment(text) for text in arguments.set))
    given = {name: value for name in SHORTCUTS if (value := getattr(arguments, name)) is not None}
    typed = merge(typed, {"train": given} if given else {})
    typed |= {
        name: value for name in ("data", "warehouse", "run", "ranks") if (value := getattr(arguments, name)) is not None
    }
    check_settings(typed, "the command line")
    from_file = read_settings(arguments.settings) if arguments.settings else {}
    defaults = {"warehouse": DEFAULT_WAREHOUSE, "run": PipelineSettings.run, "ranks": PipelineSettings.ranks}
    found = merge(defaults, DEFAULT_OPTIONS, from_file, typed)
    if "data" not in found:
        raise UserError("no folder of data; give --data DIR, or data in the settings")
    if found["ranks"] < 1:
        raise UserError(f"there is at least 1 rank, not {found['ranks']}")
    return found


def pipeline_settings(found: Mapping[str, Any]) -> PipelineSettings:
    """Return settings as the stages take them."""
    return PipelineSettings(
        DataFolder.find(Path(found["data"])),
        found["warehouse"],
        found["run"],
        found["ranks"],
        {stage: found[stage] for stage in NAMES if stage in found},
        tuple(map(str, found.get("spark-submit", ()))),
    )


def choose(arguments: argparse.Namespace) -> Choice:
    """Return which stages run.

    Raises
    ------
    UserError
        When the stages are said in two ways, or the last comes before the first.
    """
    if arguments.only and (arguments.first or arguments.last):
        raise UserError("--only names all stages; leave out --from and --to")
    first = NAMES.index(arguments.first or NAMES[0])
    last = NAMES.index(arguments.last or NAMES[-1])
    if last < first:
        raise UserError(f"{NAMES[last]} comes before {NAMES[first]}; nothing would run")
    stages = tuple(name for name in NAMES if name in arguments.only) if arguments.only else NAMES[first : last + 1]
    stages = tuple(name for name in stages if name not in arguments.skip)
    if not stages:
        raise UserError("every stage that was asked for is skipped; nothing would run")
    return Choice(stages, arguments.force, arguments.ignore_code, arguments.dry_run)


def keep_settings(warehouse: Warehouse, found: Mapping[str, Any], words: Sequence[str]) -> None:
    """Keep the effective settings with the run, in a form that ``--settings`` takes."""
    typed = " ".join(shlex.join(words).split())  # a comment is one line
    facts = f"# python -m msd_spark.pipeline.command {typed}\n# code {code_revision() or 'of no checkout'}\n"
    path = warehouse.path(FOLDER, f"{found['run']}.toml")
    warehouse.filesystem.create_dir(warehouse.path(FOLDER), recursive=True)
    with warehouse.finished_file(path) as unfinished, warehouse.filesystem.open_output_stream(unfinished) as sink:
        sink.write((facts + to_toml(found)).encode())


def without(words: Sequence[str], option: str) -> list[str]:
    """Return the words of a command line less an option and its value."""
    kept, skip = [], False
    for word in words:
        if skip:
            skip = False
        elif word == option:
            skip = True
        elif not word.startswith(f"{option}="):
            kept.append(word)
    return kept


def main() -> None:
    """Run the stages and print the closing table."""
    arguments = parse_arguments()
    words = sys.argv[1:]
    # Jobs and ranks are started by the programs of this interpreter's environment.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    found, choice = effective_settings(arguments), choose(arguments)
    settings = pipeline_settings(found)
    warehouse = Warehouse(settings.warehouse)
    if not choice.dry_run:
        keep_settings(warehouse, found, words)
    if arguments.only:
        again = words[: words.index("--only")]
        again += words[words.index("--only") + 1 + len(arguments.only) :]
    else:
        again = without(words, "--from")
    ran = run_stages(settings, choice, ["python", "-m", "msd_spark.pipeline.command", *again])
    finished = "report" in choice.stages and not choice.dry_run
    if finished:
        print(f"\n{closing_table(warehouse, settings.run)}")
    print(f"\n{stages_table(ran)}")
    if finished:
        print(f"\nthe page: {warehouse.path('reports', settings.run, 'index.html')}")


def command() -> None:
    """Run as a console command."""
    exit_with(main)


if __name__ == "__main__":
    command()
