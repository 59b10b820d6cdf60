"""Catalogues shared by the tests, each written once."""

from __future__ import annotations

from pathlib import Path

import pytest

from msd_spark.core.summary import Summary
from msd_spark.synthetic.catalogue import Catalogue, make_catalogue
from msd_spark.synthetic.run import generate
from msd_spark.synthetic.settings import SyntheticSettings

SETTINGS = SyntheticSettings(songs=300, seed=7, workers=2)
PACKED = SyntheticSettings(
    songs=45,
    seed=7,
    workers=1,
    packaging=("files", "tar", "tar.gz", "aggregate", "summary"),
    songs_per_aggregate=20,
)


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Summary]:
    """300 songs as song files, with all other files."""
    output = tmp_path_factory.mktemp("synthetic") / "catalogue"
    return output, generate(SETTINGS, output)


@pytest.fixture(scope="session")
def folder(written: tuple[Path, Summary]) -> Path:
    """The folder of the 300 songs."""
    return written[0]


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    """The catalogue of the 300 songs."""
    return make_catalogue(SETTINGS)


@pytest.fixture(scope="session")
def packed_settings() -> SyntheticSettings:
    """The settings of the 45 songs in every packaging."""
    return PACKED


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """45 songs in every packaging."""
    output = tmp_path_factory.mktemp("packed")
    generate(PACKED, output)
    return output
