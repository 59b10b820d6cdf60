"""The verb ``pipeline``: plan the stages, run them, and print the result."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import tomli_w

from msd_spark.core.formatting import with_interval
from msd_spark.core.revision import code_revision
from msd_spark.core.runs import METRICS, run_file
from msd_spark.core.summary import SUMMARIES
from msd_spark.core.warehouse import Warehouse
from msd_spark.pipeline.records import FOLDER
from msd_spark.pipeline.running import check_stages, run_stages
from msd_spark.pipeline.settings import PipelineOptions, Plan, make_plan


def run(options: PipelineOptions) -> None:
    """Run ``msd-spark pipeline``."""
    # Horovod ranks and spark-submit come from this interpreter's environment.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # horovodrun itself imports TensorFlow
    plan, words = make_plan(options), sys.argv[2:]
    check_stages(plan)
    warehouse = Warehouse(options.warehouse)
    if not options.dry_run:
        write_settings(warehouse, plan, words)
    outcomes = run_stages(plan, words)
    if outcomes[-1].stage == "report" and not options.dry_run:
        print("\n" + "\n".join(result_lines(warehouse, options.run)))


def write_settings(warehouse: Warehouse, plan: Plan, words: list[str]) -> None:
    """Write the options to ``pipeline/RUN.toml``, in the form that ``--settings`` reads."""
    typed = " ".join(shlex.join(words).split())  # a comment is one line
    header = f"# msd-spark pipeline {typed}\n# code {code_revision() or 'without revision'}\n"
    warehouse.write_file((header + tomli_w.dumps(plan.content())).encode(), FOLDER, f"{plan.options.run}.toml")


def result_lines(warehouse: Warehouse, run_name: str) -> list[str]:
    """Return the result in five lines: songs, examples, two test metrics, and the report's path."""

    def facts(stage: str) -> dict[str, int]:
        return dict(warehouse.read_json(SUMMARIES, f"{stage}.json")["facts"])

    ingest, dataset, score = facts("ingest"), facts("dataset"), facts("score")
    lines = [
        f"songs     {ingest['inputs']:,} inputs = {ingest['songs']:,} songs + {ingest['rejected']:,} rejected"
        f" + {ingest['duplicates']:,} duplicates + {ingest['skipped']:,} skipped; {score['embeddings']:,} embeddings",
        "examples  " + ", ".join(f"{dataset[split]:,} {split}" for split in ("train", "validation", "test")),
    ]
    test = warehouse.read_json(*run_file(warehouse, run_name, METRICS)).get("test") or {}
    for name, title in (("accuracy", "accuracy"), ("macro_f1", "macro F1")):
        candidates = [
            who
            for who in ("model", "logistic regression", "gradient boosting", "majority")
            if name in test.get(who, {})
        ]
        if candidates:
            lines.append(f"{title:<10}" + ", ".join(f"{who} {with_interval(test[who], name)}" for who in candidates))
    return [*lines, f"report    {warehouse.path('reports', run_name, 'index.html')}"]
