"""Links and anchors of the documentation lead somewhere, and every page is found from the index."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

INDEX = REPOSITORY / "docs" / "README.md"
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
FENCED = re.compile(r"^```.*?^```$", flags=re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
NAMED = re.compile(r"docs/[\w/-]+\.md")


def text_of(page: Path) -> str:
    """Return a page without its blocks of code."""
    return FENCED.sub("", page.read_text())


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub names them.

    Letters become small, what is no letter, digit, dash or underscore goes, spaces become dashes; of headings that are
    then alike, all but the first have a number.
    """
    seen: Counter[str] = Counter()
    found = set()
    for heading in re.findall(r"^#+ (.+?)\s*$", text, flags=re.MULTILINE):
        name = re.sub(r"[^\w\- ]", "", LINK.sub("]", heading).lower()).replace(" ", "-")
        found.add(f"{name}-{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return found


def links(page: Path) -> list[tuple[Path, str]]:
    """Return the files and anchors that a page links to, leaving out the web's."""
    targets = [target for target in LINK.findall(text_of(page)) if not re.match(r"\w+:", target)]
    parts = [target.partition("#") for target in targets]
    return [((page.parent / path).resolve() if path else page, anchor) for path, _, anchor in parts]


def test_anchors_are_named_as_github_names_them() -> None:
    text = "# `msd-spark similar`\n## Runs: killed, resumed\n## [Links](a.md) too\n## Twice\n## Twice\n"
    assert anchors(text) == {"msd-spark-similar", "runs-killed-resumed", "links-too", "twice", "twice-1"}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target, anchor in links(page):
        assert target.exists(), f"no such file: {target}"
        assert target.is_relative_to(REPOSITORY), f"outside the repository: {target}"
        assert not anchor or anchor in anchors(text_of(target)), f"no such heading: {target}#{anchor}"


def test_the_index_lists_every_page() -> None:
    assert {path for path, _ in links(INDEX)} >= {*PAGES} - {INDEX, REPOSITORY / "README.md"}


def test_pages_that_the_code_names_exist() -> None:
    sources = [path for name in ("jobs", "msd_spark", "training") for path in (REPOSITORY / name).rglob("*.py")]
    named = {name for path in sources for name in NAMED.findall(path.read_text())}
    assert [name for name in sorted(named) if not (REPOSITORY / name).exists()] == []
