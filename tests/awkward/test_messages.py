"""Help texts, lists of what exists, and commands that can be pasted into a shell."""

from __future__ import annotations

import io
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from msd_spark.core.command_line import main
from msd_spark.core.runs import METADATA, NEEDED
from msd_spark.core.verbs import VERBS
from msd_spark.core.warehouse import Warehouse
from msd_spark.spark.session import progress

ALL_HELP = """
import sys
from msd_spark.core.command_line import main
from msd_spark.core.verbs import VERBS

for verb in VERBS:
    try:
        main([verb, "--help"])
    except SystemExit as ended:
        assert ended.code == 0
print(*{name.partition(".")[0] for name in sys.modules}, file=sys.stderr)
"""
SLOW = set(
    "pyspark py4j tensorflow keras horovod petastorm sklearn h5py faiss gensim optuna plotly boto3 requests".split()
)
"""Modules that take longer to import than a help text may take."""


def test_no_help_imports_an_engine_or_shows_a_default_of_none() -> None:
    ended = subprocess.run([sys.executable, "-c", ALL_HELP], capture_output=True, text=True, check=True)
    assert ended.stdout.count("usage: msd-spark ") == len(VERBS)
    assert "default: None" not in ended.stdout
    assert not SLOW & set(ended.stderr.split())


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    """A warehouse with two runs, their embeddings, and two datasets."""
    warehouse = Warehouse(str(tmp_path / "w"))
    for name in ("first", "second"):
        for table in ("dataset", "embeddings"):
            warehouse.write_arrow(pa.table({"track_id": pa.array([], pa.string())}), table, name)
        with warehouse.replacing_folder("models", name) as folder:
            folder.point_by_json(METADATA, {key: {"name": "first"} for key in NEEDED})
    warehouse.write_arrow(pa.table({"track_id": pa.array([], pa.string())}), "songs")
    return warehouse


@pytest.mark.parametrize(
    "words",
    [
        *(f"{verb} --run nosuch" for verb in ("score", "neighbours", "maps", "report", "evaluate", "listen")),
        "similar T --run nosuch",
        "lineage T --run nosuch",
        *(f"{verb} --dataset nosuch" for verb in ("train", "search", "compare --models cnn", "evaluate --run first")),
    ],
)
def test_an_unknown_run_or_dataset_lists_those_that_exist(
    words: str, warehouse: Warehouse, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match=r"^2$"):
        main([*words.split(), "--warehouse", warehouse.root])
    error = capsys.readouterr().err
    assert re.search(r"(finished:|choose) first, second", error)
    assert "/nosuch" in error
    assert error.count("\n") == 1


def test_commands_in_messages_can_be_pasted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "my data; $(echo)"
    with pytest.raises(SystemExit, match=r"^2$"):
        main(["lyrics", "--data", str(folder), "--warehouse", str(tmp_path / "w")])
    command = capsys.readouterr().err.partition("; run ")[2].partition(", or ")[0]
    assert shlex.split(command) == ["msd-spark", "fetch", "lyrics", "--to", str(folder)]


def test_progress_of_bytes_has_a_unit(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    for unit, text in (("B", "3.00M/4.00M"), ("song", "3145728/4194304")):
        shown = io.StringIO()
        monkeypatch.setattr(sys, "stderr", shown)
        with progress(spark, "ingest", lambda: 3 << 20, 4 << 20, unit):
            pass
        line = shown.getvalue()
        assert text in line
        assert line.rstrip().endswith(f"{'iB' if unit == 'B' else 'song'}/s]")
