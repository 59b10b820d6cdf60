from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.horovod_wheel import cache_folder, cache_key

names = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="="), min_size=1, max_size=8)
facts = st.dictionaries(names, names, max_size=5)


@given(names, facts)
def test_the_order_of_facts_does_not_matter(requirement: str, given_facts: dict[str, str]) -> None:
    backwards = dict(reversed(given_facts.items()))
    assert cache_key(requirement, given_facts) == cache_key(f"  {requirement}\n", backwards)


@given(names, facts, names, facts)
def test_everything_built_against_is_in_the_name(
    requirement: str, first: dict[str, str], other: str, second: dict[str, str]
) -> None:
    same = cache_key(requirement, first) == cache_key(other, second)
    assert same == ((requirement, first) == (other, second))


def test_a_name_is_fit_for_a_folder() -> None:
    key = cache_key("horovod==0.28.1 --hash=sha256:92a4", {"tensorflow": "2.18.1"})
    assert len(key) == 16
    assert set(key) <= set("0123456789abcdef")
    assert key != cache_key("horovod==0.28.1 --hash=sha256:92a4", {"tensorflow": "2.18.2"})


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"MSD_SPARK_CACHE": "/c/mine", "XDG_CACHE_HOME": "/x"}, Path("/c/mine")),
        ({"XDG_CACHE_HOME": "/x"}, Path("/x/msd-spark")),
        ({"XDG_CACHE_HOME": ""}, Path.home() / ".cache" / "msd-spark"),
        ({}, Path.home() / ".cache" / "msd-spark"),
    ],
)
def test_where_wheels_are_kept(environ: dict[str, str], folder: Path) -> None:
    assert cache_folder(environ) == folder


def test_an_empty_variable_does_not_put_wheels_into_the_repository() -> None:
    assert cache_folder({"MSD_SPARK_CACHE": ""}).is_absolute()
