"""What the warehouse has of a run: its folder, its dataset, and what other stages made of it, where they did."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd
import pyarrow.compute as pc
import pyarrow.dataset as pads
import pyarrow.parquet as pq

from msd_spark.catalogue.genres import label_set_of
from msd_spark.core.errors import UserError
from msd_spark.core.runs import HISTORY, METADATA, METRICS, RUNS, read_run
from msd_spark.core.summary import SUMMARIES
from msd_spark.core.warehouse import Warehouse


@dataclass(frozen=True)
class Sources:
    """A run, and where to find what belongs to it.

    Attributes
    ----------
    warehouse : Warehouse
    name : str
        Of the run.
    run : dict
        Its metadata.
    """

    warehouse: Warehouse
    name: str
    run: dict[str, Any]

    @classmethod
    def open(cls, warehouse: Warehouse, name: str) -> Sources:
        """Return the sources of a finished run.

        Raises
        ------
        UserError
            When there is no such run, or it was not scored.
        """
        run = read_run(warehouse, name)
        warehouse.require("embeddings", name)
        return cls(warehouse, name, run)

    @property
    def target(self) -> str:
        """What the run learned to tell."""
        return str(self.run["target"]["name"])

    @property
    def class_names(self) -> list[str]:
        """What each output of the model stands for."""
        return [str(name) for name in self.run["target"]["class_names"]]

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """Figures by split and candidate; empty where the run has none."""
        return dict(self.json(RUNS, self.name, METRICS) or {})

    @cached_property
    def history(self) -> list[dict[str, Any]]:
        """A row an epoch; empty where the run has none."""
        return list(self.json(RUNS, self.name, HISTORY) or [])

    @cached_property
    def dataset(self) -> dict[str, Any]:
        """Metadata of the dataset that the run was trained on; empty where it is gone.

        Raises
        ------
        UserError
            When there is another dataset of this name now.
        """
        known = self.run.get("dataset")
        found = self.json("dataset", known["name"], METADATA) if known else None
        if known and found and found["fingerprint"] != known["fingerprint"]:
            raise UserError(f"dataset/{known['name']} was made anew since the run was trained; train again")
        return dict(found or {})

    @cached_property
    def label_set(self) -> str | None:
        """The label set of the displayed genres; None without labels."""
        return label_set_of(self.warehouse, self.name)

    def json(self, *names: str) -> Any:
        """Return the content of a JSON file of the warehouse; None where it is not there."""
        return self.warehouse.read_json(*names) if self.warehouse.exists(*names) else None

    def summary(self, stage: str) -> dict[str, Any]:
        """Return what a stage said last, by name; empty where it did not run."""
        return dict((self.json(SUMMARIES, f"{stage}.json") or {}).get("facts", {}))

    def table(self, columns: list[str], *names: str) -> pd.DataFrame | None:
        """Return columns of a whole table; None where there is none."""
        if not self.warehouse.is_complete(*names):
            return None
        return self.warehouse.read_table(columns, *names).to_pandas()

    def rows(self, where: pc.Expression, columns: list[str], *names: str) -> pd.DataFrame:
        """Return columns of those rows of a table, which is there, that fulfil a condition; no others are held."""
        files = list(self.warehouse.table_files(*names).paths)
        dataset = pads.dataset(files, filesystem=self.warehouse.filesystem, format="parquet", partitioning=None)
        return dataset.to_table(columns, filter=where).to_pandas()

    def parquet(self, columns: list[str], *names: str) -> pd.DataFrame | None:
        """Return columns of one file; None where it is not there."""
        if not self.warehouse.exists(*names):
            return None
        path, filesystem = self.warehouse.path(*names), self.warehouse.filesystem
        return pq.read_table(path, columns=columns, filesystem=filesystem, partitioning=None).to_pandas()

    def finished_runs(self) -> list[str]:
        """Return the names of all runs of the warehouse that are finished, in order."""
        return self.named(RUNS, METADATA)

    def named(self, folder: str, file: str) -> list[str]:
        """Return the names under a folder that have a file, in order."""
        prefix, suffix = self.warehouse.path(folder) + "/", f"/{file}"
        inner = (info.path.removeprefix(prefix) for info in self.warehouse.list_files(self.warehouse.path(folder)))
        names = (path.removesuffix(suffix) for path in inner if path.endswith(suffix))
        return sorted(name for name in names if "/" not in name and not name.startswith("_"))
