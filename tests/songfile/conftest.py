"""Song files that the parser's tests read: made ones, and the real ones where they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from msd_spark.synthetic.run import generate
from msd_spark.synthetic.settings import SyntheticSettings


@pytest.fixture(scope="session")
def made_files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Write 30 songs; among them tracks 11, 17 and 23: the shortest, the longest and the silent one."""
    output = tmp_path_factory.mktemp("songfile") / "catalogue"
    generate(SyntheticSettings(songs=30, seed=7, workers=1), output)
    return sorted(output.glob("songs/**/*.h5"))
