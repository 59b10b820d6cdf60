"""Write a README.md per Terraform module and example: ``python -m tools.deployment.module_docs``.

Each lists inputs, outputs, modules and resources, in the manner of terraform-docs, below the comment at the top of the
folder's ``main.tf``. The files must have the layout of ``terraform fmt``, which the tests check.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
INFRA = REPOSITORY / "infra"
NOTE = "<!-- Written by python -m tools.deployment.module_docs; do not edit. -->\n\n"
BLOCK = re.compile(r'^(variable|output|module|resource) "([\w-]+)"(?: "([\w-]+)")? \{\n(.*?)^\}', re.M | re.S)
ATTRIBUTE = re.compile(r"^  (\w+) += (.*\n(?:(?:   .*)?\n|  [\]})].*\n)*)", re.M)


def readme(folder: Path) -> str:
    """Return the README of a folder with Terraform's configuration."""
    source = "\n".join(path.read_text() for path in sorted(folder.glob("*.tf")))
    blocks = sorted(BLOCK.findall(source))
    attributes = {block: dict(ATTRIBUTE.findall(block[3])) for block in blocks}
    rows: dict[str, list[list[str]]] = {"variable": [], "output": [], "module": [], "resource": []}
    for block, values in attributes.items():
        kind, name, second, _ = block
        if kind == "variable":
            default = _code(values["default"]) if "default" in values else "required"
            rows[kind].append([f"`{name}`", _text(values), _code(values["type"]), default])
        elif kind == "resource":
            rows[kind].append([f"`{name}.{second}`"])
        else:
            rows[kind].append([f"`{name}`", _text(values) if kind == "output" else f"`{_string(values['source'])}`"])
    parts = [
        f"# {folder.relative_to(REPOSITORY).as_posix()}",
        _introduction(folder / "main.tf"),
        _table("Inputs", ["name", "description", "type", "default"], rows["variable"]),
        _table("Outputs", ["name", "description"], rows["output"]),
        _table("Modules", ["name", "source"], rows["module"]),
        _table("Resources", ["name"], rows["resource"]),
    ]
    return NOTE + "\n\n".join(part for part in parts if part) + "\n"


def _introduction(main: Path) -> str:
    """Return the comment at the top of a file; its indented lines are code."""
    comment = re.match(r"(?:#.*\n)*", main.read_text())
    lines = [line[1:].removeprefix(" ") for line in comment.group().splitlines()] if comment else []
    return "\n".join(f"  {line}" if line.startswith("  ") else line for line in lines)


def _table(title: str, columns: list[str], rows: Iterable[list[str]]) -> str:
    if not rows:
        return ""
    lines = [columns, ["---"] * len(columns), *rows]
    return f"## {title}\n\n" + "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _string(value: str) -> str:
    return value.strip().strip('"')


def _text(values: dict[str, str]) -> str:
    return _string(values["description"]).replace('\\"', '"').replace("|", "\\|")


def _code(value: str) -> str:
    """Return an expression as code in one cell, its lines kept."""
    lines = [line.removeprefix("  ") for line in value.strip().splitlines()]
    if len(lines) == 1:
        return f"`{lines[0]}`".replace("|", "\\|")
    escaped = (html.escape(line, quote=False).replace("|", "&#124;") for line in lines)
    return f"<pre>{'<br>'.join(escaped)}</pre>"


def pages() -> dict[Path, str]:
    """Return the README of every module and example, and of the stack."""
    return {folder / "README.md": readme(folder) for folder in sorted({path.parent for path in INFRA.rglob("*.tf")})}


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text)
