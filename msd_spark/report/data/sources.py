"""Everything the warehouse has of a run; whatever is missing is None or empty."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd
import pyarrow.compute as pc

from msd_spark.catalogue.genres import displayed_genres, label_set_of
from msd_spark.core.errors import UserError
from msd_spark.core.runs import DATASET_FILE, DATASETS, HISTORY, METRICS, RUNS, read_run
from msd_spark.core.summary import SUMMARIES
from msd_spark.core.warehouse import FOLDER, Warehouse


@dataclass(frozen=True)
class Sources:
    """A run and its tables."""

    warehouse: Warehouse
    name: str
    run: dict[str, Any]  # metadata

    @classmethod
    def open(cls, warehouse: Warehouse, name: str) -> Sources:
        """Open a finished run with embeddings."""
        run = read_run(warehouse, name)
        warehouse.require("embeddings", name)
        return cls(warehouse, name, run)

    @property
    def target(self) -> str:
        """Name of the target that the run was trained on."""
        return str(self.run["target"]["name"])

    @property
    def class_names(self) -> list[str]:
        """Names of the model's outputs."""
        return [str(name) for name in self.run["target"]["class_names"]]

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """Metrics by split, then by model or baseline."""
        return dict(self.json(*self.run_file(METRICS)) or {})

    @cached_property
    def history(self) -> list[dict[str, Any]]:
        """Training history, one row per epoch."""
        return list(self.json(*self.run_file(HISTORY)) or [])

    @cached_property
    def dataset(self) -> dict[str, Any]:
        """Metadata of the dataset that the run was trained on."""
        trained_on = self.run.get("dataset")
        dataset = self.json(DATASETS, trained_on["name"], DATASET_FILE) if trained_on else None
        if trained_on and dataset and dataset["fingerprint"] != trained_on["fingerprint"]:
            raise UserError(f"dataset/{trained_on['name']} changed after the run; run msd-spark train again")
        return dict(dataset or {})

    @cached_property
    def label_set(self) -> str | None:
        """Label set of the displayed genres."""
        return label_set_of(self.warehouse, self.name)

    @cached_property
    def genres(self) -> pd.Series:
        """Displayed genre by track id."""
        return displayed_genres(self.warehouse, self.name)

    def json(self, *names: str) -> Any:
        """Return the content of a JSON file."""
        return self.warehouse.read_json(*names) if self.warehouse.exists(*names) else None

    def run_file(self, *names: str) -> tuple[str, ...]:
        """Return the place in the warehouse of a file of the run."""
        return (RUNS, self.name, str(self.run[FOLDER]), *names)

    def summary(self, stage: str) -> dict[str, Any]:
        """Return the facts of a stage's last summary."""
        return dict((self.json(SUMMARIES, f"{stage}.json") or {}).get("facts", {}))

    def table(self, columns: list[str], *names: str) -> pd.DataFrame | None:
        """Return columns of a complete table."""
        return self.warehouse.read_table(columns, *names).to_pandas() if self.warehouse.is_complete(*names) else None

    def rows(self, where: pc.Expression, columns: list[str], *names: str) -> pd.DataFrame:
        """Return columns of the rows that pass a filter, of a table that exists."""
        return self.warehouse.read_table(columns, *names, filter=where).to_pandas()

    def parquet(self, columns: list[str], *names: str) -> pd.DataFrame | None:
        """Return columns of one Parquet file."""
        exists = self.warehouse.exists(*names)
        return self.warehouse.read_parquet(*names, columns=columns).to_pandas() if exists else None

    def named(self, folder: str, file: str) -> list[str]:
        """Return the sorted names of the subfolders of a folder that have a file."""
        return [name for name in self.warehouse.folders(folder) if self.warehouse.exists(folder, name, file)]
