"""Song files that the parser's tests read: made ones, and the real ones where they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from msd_spark.synthetic.run import generate
from msd_spark.synthetic.settings import SyntheticSettings

REAL_SAMPLE = Path(__file__).parents[3] / "shared" / "msd-sample"


@pytest.fixture(scope="session")
def made_files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Write 30 songs; among them tracks 11, 17 and 23: the shortest, the longest and the silent one."""
    output = tmp_path_factory.mktemp("songfile") / "catalogue"
    generate(SyntheticSettings(songs=30, seed=7, workers=1), output)
    return sorted(output.glob("songs/**/*.h5"))


@pytest.fixture(scope="session")
def real_sample() -> Path:
    """Give the folder of real files, which most machines do not have."""
    if not REAL_SAMPLE.is_dir():
        pytest.skip(f"no real sample at {REAL_SAMPLE}")
    return REAL_SAMPLE
