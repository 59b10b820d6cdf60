"""A warehouse that the jobs made of generated data, and an object store, once for all tests that use them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from msd_spark.data_folder import DataFolder
from msd_spark.dataset import DatasetSettings, make_dataset
from msd_spark.example_plan import FileRule
from msd_spark.ingest.job import ingest
from msd_spark.ingest.settings import IngestSettings
from msd_spark.labels import LabelsSettings, make_labels
from msd_spark.lyrics import LyricsSettings, make_lyrics
from msd_spark.warehouse import Warehouse
from tests.integration.object_store import ObjectStore, served_store


@pytest.fixture(scope="session")
def store() -> Iterator[ObjectStore]:
    """An object store; tests have buckets of their own in it."""
    with served_store() as store:
        yield store


@pytest.fixture(scope="session")
def warehouse(spark: SparkSession, generated: Path, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """Every table up to the dataset, of the generated catalogue."""
    uri = str(tmp_path_factory.mktemp("warehouse"))
    data = DataFolder.find(generated)
    target = Warehouse(uri)
    ingest(spark, IngestSettings(tuple(map(str, data.songs)), uri, inputs_per_unit=50)).finish(target)
    bags = LyricsSettings(uri, str(data.bags_train), str(data.bags_test), str(data.reverse_mapping))
    make_lyrics(spark, bags).finish(target)
    make_labels(LabelsSettings(uri, {"cd1": str(data.labels)}, min_examples=4)).finish(target)
    dataset = DatasetSettings(uri, min_examples=4, file_rule=FileRule(rows_per_file=16), require=("genre",))
    make_dataset(spark, dataset).finish(target)
    return target
