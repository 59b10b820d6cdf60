"""Write the reference of commands and tables: ``python -m tools.reference_docs``.

The pages in ``docs/reference/`` come from the options of every verb and from `msd_spark.core.schemas`. With ``--check``
nothing is written, and the exit status is 1 if a page is out of date.
"""

from __future__ import annotations

import ast
import dataclasses
import sys
import typing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa

from msd_spark.core import schemas
from msd_spark.core.options import Declared, declared_options
from msd_spark.core.verbs import STAGES, Verb

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = REPOSITORY / "docs" / "reference"
NOTE = "<!-- Written by python -m tools.reference_docs; do not edit. -->\n\n"


def commands_page() -> str:
    """Return the page of all verbs and their options."""
    parts = [
        "# Commands\n\nEvery verb takes `--settings FILE` as well: a TOML file with options, at the top or in a table"
        " named after the verb. The command line wins."
    ]
    for stage, verbs in STAGES.items():
        parts.append(f"## {stage.capitalize()}")
        parts += [_verb(verb) for verb in verbs]
    return NOTE + "\n\n".join(parts) + "\n"


def _verb(verb: Verb) -> str:
    launcher = {"jobs": "spark-submit ", "training": ""}.get((verb.script or "").split("/")[0], "")
    script = f" The same as `{launcher}{verb.script}`." if verb.script else ""
    rows = [_row(declared) for declared in declared_options(verb.settings_class())]
    text = f"### `msd-spark {verb.name}`\n\n{verb.help[0].upper()}{verb.help[1:]}.{script}"
    return text + ("\n\n| option | value | default | |\n|---|---|---|---|\n" + "\n".join(rows) if rows else "")


def _row(declared: Declared) -> str:
    option, kind = declared.option, declared.kind
    if option.choices:
        value = ", ".join(f"`{choice}`" for choice in option.choices)
    elif bool in (kind, *typing.get_args(kind)):
        value = ""
    else:
        value = option.metavar or _type_name(kind)
    if typing.get_origin(kind) is tuple and Ellipsis in typing.get_args(kind):
        value += " …"
    if option.check:
        value += f": {option.check.allowed}"
    name = (option.metavar or declared.name.upper()) if option.positional else f"--{declared.name}"
    return f"| `{name}` | {_cell(value)} | {_default(declared.default)} | {_cell(option.help)} |"


def _type_name(kind: Any) -> str:
    names = {int: "integer", float: "number", str: "text"}
    return next((names[one] for one in (*typing.get_args(kind), kind) if one in names), "text")


def _default(value: Any) -> str:
    if value is dataclasses.MISSING:
        return "required"
    if value is True:
        return "on"
    if value is None or value is False or value in ((), ""):
        return ""
    return f"`{' '.join(map(str, value)) if isinstance(value, tuple) else value}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def tables_page() -> str:
    """Return the page of all tables and their columns."""
    parts = [
        "# Tables\n\nEvery table of [the warehouse](../warehouse.md) is a Delta table of Parquet files. Files of a"
        " folder that is not a table, such as filter responses, are Parquet too."
    ]
    for name, text in _texts(REPOSITORY / "msd_spark" / "core" / "schemas.py").items():
        schema = getattr(schemas, name)
        if not isinstance(schema, pa.Schema):
            continue
        rows = [
            f"| `{item.name}` | `{_column(item.type)}` | {'' if item.nullable else 'never null'} |" for item in schema
        ]
        title = name.lower().replace("_", " ").capitalize()
        parts.append(f"## {title}\n\n{text}\n\n| column | type | |\n|---|---|---|\n" + "\n".join(rows))
    return NOTE + "\n\n".join(parts) + "\n"


def _column(kind: pa.DataType) -> str:
    return f"list of {kind.value_type}" if pa.types.is_list(kind) else str(kind)


def _texts(path: Path) -> dict[str, str]:
    """Return the string below each assignment of a module, in order."""
    texts: dict[str, str] = {}
    for node, following in pairwise(ast.parse(path.read_text()).body):
        name = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(name, ast.Name) and isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
            texts[name.id] = " ".join(str(following.value.value).split()).replace("``", "`")
    return texts


def pages() -> dict[Path, str]:
    """Return each page of the reference."""
    return {PAGES / "commands.md": commands_page(), PAGES / "tables.md": tables_page()}


def main() -> None:
    """Write the pages, or check them."""
    old = [path for path, text in pages().items() if not path.exists() or path.read_text() != text]
    if "--check" in sys.argv[1:]:
        sys.exit("\n".join(f"{path} is out of date; run python -m tools.reference_docs" for path in old) or 0)
    for path in old:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(pages()[path])


if __name__ == "__main__":
    main()
