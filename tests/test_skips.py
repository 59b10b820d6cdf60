"""Skipped tests are shown, and fail a run in CI unless their area is allowed."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.support.skips import ALLOWED, allowed_areas, area_of

AREAS = {*allowed_areas(ALLOWED.read_text()), "GloVe", "infra tools"}
"""Areas of the tests; the last two are never missing after make setup."""


def run_skipping(folder: Path, reason: str) -> subprocess.CompletedProcess[str]:
    """Run one test that passes and two that skip, in CI, with the hooks of the tests."""
    (folder / "test_a.py").write_text(
        "import pytest\n\ndef test_a():\n    pass\n\n"
        f"@pytest.mark.parametrize('n', [1, 2])\ndef test_b(n):\n    pytest.skip({reason!r})\n"
    )
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider", "-c", os.devnull]
    return subprocess.run(
        [*command, f"--rootdir={folder}", str(folder)],
        cwd=REPOSITORY,
        env=os.environ | {"CI": "true"},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(("reason", "code"), [("browser: none is installed", 0), ("no time", 1)])
def test_only_allowed_areas_may_be_skipped_in_ci(reason: str, code: int, tmp_path: Path) -> None:
    outcome = run_skipping(tmp_path, reason)
    assert outcome.returncode == code, outcome.stdout + outcome.stderr
    assert re.search(rf"^ +2 +{area_of(reason)}", outcome.stdout, re.MULTILINE)
    assert ("allowed-skips.txt has no area of: no time" in outcome.stdout) == bool(code)


def test_every_skip_names_its_area() -> None:
    areas = set()
    for path in (REPOSITORY / "tests").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (
                isinstance(node, ast.Call) and ast.unparse(node.func).endswith((".skip", ".skipif", ".importorskip"))
            ):
                continue
            reasons = [item.value for item in node.keywords if item.arg == "reason"] or node.args[:1]
            text = ast.unparse(reasons[0]).lstrip("f").strip("'\"")
            if text not in ("reason",):
                areas.add(area_of(text))
    assert areas <= AREAS


def test_an_allowed_area_has_a_reason() -> None:
    with pytest.raises(ValueError, match="'browser' is not AREA: reason"):
        allowed_areas("# areas\nbrowser\n")
