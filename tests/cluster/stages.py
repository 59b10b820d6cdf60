"""The stages' commands for data and a warehouse in a bucket, and the comparison of two warehouses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from msd_spark.core.warehouse import Warehouse

VOLATILE = {
    ("ledger",): ["unit", "location", "seconds", "files", "file_sizes"],
    ("rejected", "stage=ingest"): ["unit"],
}
"""Columns that differ between two runs: times, names of files, and names made from locations."""


@dataclass(frozen=True)
class Stages:
    """The words of each stage after its verb.

    `bucket` is the address of the data folder.
    """

    bucket: str
    warehouse: str

    SETTINGS: ClassVar[str] = (
        "[ingest]\ninputs-per-unit = 25\n[factors]\nrank = 8\nmin-tracks = 2\nmin-listeners = 2\nrecommend = 20\n"
        "[dataset]\ntags = 10\nrows-per-file = 16\nmin-examples = 4\n[train]\nepochs = 2\nmodel = 'cnn'\n"
    )
    """Options of the local run; those below are the same."""

    def ingest(self, warehouse: str) -> list[str]:
        return ["--data", self.bucket, "--inputs-per-unit", "25", "--warehouse", warehouse]

    def dataset(self) -> list[str]:
        options = "--require genre --tags 10 --rows-per-file 16 --min-examples 4 --warehouse"
        return [*options.split(), self.warehouse]

    def score(self) -> list[str]:
        return ["--run", "demo", "--warehouse", self.warehouse]

    def train(self, run: str) -> list[str]:
        options = f"--model cnn --epochs 2 --batch-size 16 --run {run} --warehouse"
        return [*options.split(), self.warehouse]

    def side_tables(self) -> dict[str, list[str]]:
        """Return the words of the stages from lyrics to dataset."""
        words = {verb: ["--data", self.bucket] for verb in ("lyrics", "labels", "plays")}
        words["factors"] = "--rank 8 --min-tracks 2 --min-listeners 2 --recommend 20".split()
        return {verb: [*own, "--warehouse", self.warehouse] for verb, own in words.items()} | {
            "dataset": self.dataset()
        }

    def tables(self) -> dict[str, list[str]]:
        """Return the words of the stages before the training."""
        return {"ingest": self.ingest(self.warehouse)} | self.side_tables()

    def of_run(self) -> dict[str, list[str]]:
        """Return the words of the stages after the training."""
        return {verb: self.score() for verb in ("score", "neighbours", "maps", "report")}


def rows(warehouse: Warehouse, *table: str, data: str) -> pd.DataFrame:
    """Return the rows of a table in a fixed order, with locations below the folder `data`."""
    frame = warehouse.read_table(None, *table).to_pandas().drop(columns=VOLATILE.get(table, []))
    for name in frame.columns:
        if len(frame) and isinstance(frame[name].iloc[0], str):
            frame[name] = frame[name].str.replace(data, "DATA", regex=False)
    if "rejections" in frame:  # they are rows of rejected/ too
        frame["rejections"] = frame["rejections"].map(len)
    scalars = [name for name in frame.columns if not frame[name].map(lambda cell: isinstance(cell, np.ndarray)).any()]
    return frame.sort_values(scalars, ignore_index=True)


def tables(warehouse: Warehouse) -> set[tuple[str, ...]]:
    """Return all tables of a warehouse."""
    found = set[tuple[str, ...]]()
    for first in warehouse.folders():
        found |= {(first,)} if warehouse.is_complete(first) else set()
        found |= {(first, name) for name in warehouse.folders(first) if warehouse.is_complete(first, name)}
    return found
