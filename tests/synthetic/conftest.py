"""Catalogues that the generator's tests read, each written once."""

from __future__ import annotations

from pathlib import Path

import pytest

from msd_spark.synthetic.catalogue import Catalogue, make_catalogue
from msd_spark.synthetic.command import Summary, SyntheticSettings, generate

REAL_SAMPLE = Path(__file__).parents[3] / "shared" / "msd-sample"

SETTINGS = SyntheticSettings(songs=300, seed=7, workers=2)
PACKED = SyntheticSettings(
    songs=45,
    seed=7,
    workers=1,
    packaging=("files", "tar", "tar.gz", "aggregate", "summary"),
    songs_per_aggregate=20,
)


@pytest.fixture(scope="session")
def real_sample() -> Path:
    """Give the folder of real files, which most machines do not have."""
    if not REAL_SAMPLE.is_dir():
        pytest.skip(f"no real sample at {REAL_SAMPLE}")
    return REAL_SAMPLE


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Summary]:
    """Write 300 songs as loose files, with everything beside them."""
    output = tmp_path_factory.mktemp("synthetic") / "catalogue"
    return output, generate(SETTINGS, output)


@pytest.fixture(scope="session")
def folder(written: tuple[Path, Summary]) -> Path:
    """Give the folder of the 300 songs."""
    return written[0]


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    """Give the plan of the 300 songs."""
    return make_catalogue(SETTINGS)


@pytest.fixture(scope="session")
def packed_settings() -> SyntheticSettings:
    """Give what the folder in every packaging is made from."""
    return PACKED


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write 45 songs in every packaging."""
    output = tmp_path_factory.mktemp("packed")
    generate(PACKED, output)
    return output
