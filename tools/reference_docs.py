"""Write the reference pages of commands and tables, ``docs/reference/``: ``python -m tools.reference_docs``.

With ``--check`` it writes nothing, and fails where a page is not what the code says.
"""

from __future__ import annotations

import argparse
import ast
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa

from msd_spark.core import schemas as schema
from msd_spark.core.errors import UserError
from msd_spark.core.legacy import JobParser, exit_with, parser_of

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = REPOSITORY / "docs" / "reference"
STAGE = "reference"

MODULES = ("synthetic", "fetch", "pipeline", "similar", "lineage", "map_export")
"""Modules that are commands: ``python -m msd_spark.NAME``."""

NOTE = "<!-- Made by python -m tools.reference_docs; do not edit. -->\n\n"


def scripts() -> dict[str, Path]:
    """Return every command as it is typed, and its script."""
    found = {f"python -m msd_spark.{name}": _module(name) for name in MODULES}
    found |= {f"spark-submit jobs/{path.name}": path for path in sorted((REPOSITORY / "jobs").glob("*.py"))}
    training = [path for path in sorted((REPOSITORY / "training").glob("*.py")) if _is_command(path)]
    return found | {f"training/{path.name}": path for path in training}


def _module(name: str) -> Path:
    path = REPOSITORY / "msd_spark" / f"{name}.py"
    return path if path.exists() else REPOSITORY / "msd_spark" / name / "__main__.py"


def _is_command(path: Path) -> bool:
    return path.read_bytes().startswith(b"#!")


def commands_page() -> str:
    """Return the page of all commands and their options."""
    parts = ["# Commands\n"]
    for typed, script in scripts().items():
        parser = parser_of(script)
        text = " ".join((parser.description or "").split())
        rows = [_option(action) for action in parser._actions if action.dest != "help"]
        parts.append(f"## `{typed}`\n\n{text}\n\n| option | value | default | |\n|---|---|---|---|\n" + "\n".join(rows))
    return NOTE + "\n\n".join(parts) + "\n"


def _option(action: argparse.Action) -> str:
    names = ", ".join(f"`{name}`" for name in action.option_strings) or f"`{action.metavar or action.dest}`"
    said = (action.help or "") % {**vars(action), "prog": ""}
    required = "required" if action.required and action.option_strings else ""
    return f"| {names} | {_cell(_value(action))} | {_cell(required or _default(action.default))} | {_cell(said)} |"


def _value(action: argparse.Action) -> str:
    if action.nargs == 0 or not action.option_strings:
        return ""
    if action.choices:
        name = ", ".join(f"`{choice}`" for choice in action.choices)
    else:
        kind = "a number" if action.type in (int, float) else "a text"
        name = str(action.metavar or kind)
    return f"{name} …" if action.nargs in ("+", "*") else name


def _default(value: Any) -> str:
    if value in (None, False, argparse.SUPPRESS) or value == [] or value == ():
        return ""
    return f"`{' '.join(map(str, value)) if isinstance(value, list | tuple) else value}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def tables_page() -> str:
    """Return the page of all tables and their columns."""
    parts = ["# Tables\n\nEvery table is a folder of Parquet files. What a column holds is told above it."]
    for name, said in _told(REPOSITORY / "msd_spark" / "schema.py").items():
        found = getattr(schema, name)
        if not isinstance(found, pa.Schema):
            continue
        rows = [f"| `{item.name}` | `{_type(item.type)}` | {'' if item.nullable else 'never null'} |" for item in found]
        title = name.lower().replace("_", " ").capitalize()
        parts.append(f"## {title}\n\n{said}\n\n| column | type | |\n|---|---|---|\n" + "\n".join(rows))
    return NOTE + "\n\n".join(parts) + "\n"


def _type(kind: pa.DataType) -> str:
    return f"list of {kind.value_type}" if pa.types.is_list(kind) else str(kind)


def _told(path: Path) -> dict[str, str]:
    """Return what stands below each assignment of a module, in order."""
    body = ast.parse(path.read_text()).body
    told: dict[str, str] = {}
    for node, following in pairwise(body):
        name = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if not isinstance(name, ast.Name) or not isinstance(following, ast.Expr):
            continue
        if isinstance(following.value, ast.Constant) and isinstance(following.value.value, str):
            told[name.id] = " ".join(following.value.value.split()).replace("``", "`")
    return told


def pages() -> dict[Path, str]:
    """Return each page of the reference."""
    return {PAGES / "commands.md": commands_page(), PAGES / "tables.md": tables_page()}


def main() -> None:
    """Write the pages, or check them."""
    parser = JobParser(prog="python -m tools.reference_docs", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a page is out of date")
    check = parser.parse_args().check
    for path, text in pages().items():
        if check and (not path.exists() or path.read_text() != text):
            raise UserError(f"{path} is out of date; write it by python -m tools.reference_docs")
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


if __name__ == "__main__":
    exit_with(main)
