"""Skipped tests by area, and the areas that CI allows.

The reason of a skip begins with the name of its area: ``browser: none is installed``. In CI a skip fails the run unless
``.ci/allowed-skips.txt`` has its area.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tabulate import tabulate

ALLOWED = Path(__file__).resolve().parents[2] / ".ci" / "allowed-skips.txt"
"""Lines ``AREA: reason``."""

CI = os.environ.get("CI", "").lower() in ("true", "1")


def area_of(reason: str) -> str:
    """Return the area of a reason, or the whole reason if it names none."""
    return reason.split(": ", 1)[0]


def allowed_areas(text: str) -> set[str]:
    """Return the areas in the text of the list; `ValueError` for a line without a reason."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if unclear := [line for line in lines if not line.partition(": ")[2].strip()]:
        raise ValueError(f"{ALLOWED.name}: {unclear[0]!r} is not AREA: reason")
    return {area_of(line) for line in lines}


def skipped_tests(config: Any) -> Counter[str]:
    """Return the number of skipped tests and files by reason."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    reports = reporter.stats.get("skipped", ()) if reporter else ()
    return Counter(str(report.longrepr[2]).removeprefix("Skipped: ") for report in reports)


def forbidden(reasons: Counter[str]) -> list[str]:
    """Return the reasons whose area CI does not allow."""
    allowed = allowed_areas(ALLOWED.read_text())
    return sorted(reason for reason in reasons if area_of(reason) not in allowed)


def show(reasons: Counter[str], write_line: Callable[[str], None]) -> None:
    """Show the reasons, and in CI those that fail the run."""
    if not reasons:
        return
    rows = [(n_tests, *reason.partition(": ")[::2]) for reason, n_tests in sorted(reasons.items())]
    write_line("")
    for line in tabulate(rows, headers=("skipped", "area", "reason"), tablefmt="simple").splitlines():
        write_line(line)
    for reason in forbidden(reasons) if CI else ():
        write_line(f"failed: CI={os.environ['CI']}, and {ALLOWED.parent.name}/{ALLOWED.name} has no area of: {reason}")
