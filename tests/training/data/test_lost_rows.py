"""If one rank reads too few rows, all ranks end with one error."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.support.launched import LAUNCHER, SCRIPT, launched
from tests.support.tiny_dataset import write_tiny_dataset


def write_with_size(rows: pa.Table, path: Path, size: int) -> None:
    """Write a file that has a given size, as one of another size counts as damaged: zeros precede its footer."""
    pq.write_table(rows, path)
    content = path.read_bytes()
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    path.write_bytes(content[:footer] + bytes(size - len(content)) + content[footer:])


def test_a_rank_that_reads_too_few_rows_stops_all(tmp_path: Path) -> None:
    write_tiny_dataset(tmp_path, {"train": [8, 8], "validation": [], "test": []})
    path = max((tmp_path / "dataset" / "tiny" / "train").iterdir())
    write_with_size(pq.read_table(path).slice(0, 5), path, path.stat().st_size)
    words = ("--warehouse", tmp_path, "--dataset", "tiny", "--run", "short", "--epochs", "2", "--batch-size", "2")
    with launched(*LAUNCHER, "-np", "2", SCRIPT, *words, log=tmp_path / "log") as training:
        assert training.status() != 0
        said = training.said()
    message = (
        "read 5 instead of 8 training examples in epoch 1: files of dataset tiny have changed; run msd-spark dataset"
    )
    assert said.count(message) == 1
    assert "was lost" not in said
    assert not (tmp_path / "models" / "short" / "metadata.json").exists()
