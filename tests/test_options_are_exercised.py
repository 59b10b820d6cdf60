"""Every option of every verb occurs in a test or in a documented command."""

from __future__ import annotations

import re
from dataclasses import MISSING, fields
from functools import cache
from pathlib import Path

import pytest

from msd_spark.core.options import declared_options, value_at
from msd_spark.core.verbs import VERBS

ROOT = Path(__file__).resolve().parents[1]


@cache
def texts() -> dict[Path, str]:
    """Return the texts with commands and tests, without the generated reference, which lists all options."""
    pages = [ROOT / "README.md", ROOT / "Makefile", *(ROOT / "docs").rglob("*.md"), *(ROOT / "docs").rglob("*.toml")]
    paths = [*pages, *(ROOT / "tests").rglob("*.py")]
    return {path: path.read_text() for path in paths if "reference" not in path.parts}


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_is_exercised(verb: str) -> None:
    settings = VERBS[verb].settings_class()
    required = {one.name: "x" for one in fields(settings) if one.default is MISSING}
    example, forgotten = settings(**required), []
    for declared in declared_options(settings):
        if declared.option.positional:
            continue
        *owners, field = declared.path
        declaring = type(value_at(example, tuple(owners))).__name__
        typed = re.compile(rf"--(no-)?{re.escape(declared.name)}(?![\w-])|^{re.escape(declared.name)} =", re.MULTILINE)
        named = re.compile(rf"\b{field}=(?!=)|\"{field}\":")
        if not any(
            (typed.search(text) and re.search(rf"\b{verb}\b", text))
            or (path.suffix == ".py" and (declaring in text or settings.__name__ in text) and named.search(text))
            for path, text in texts().items()
        ):
            forgotten.append(f"--{declared.name}")
    assert not forgotten, f"{verb}: no test and no documented command has {', '.join(forgotten)}"
