"""The list of mutations agrees with the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutations.mutation import Mutation, first_difference, read_mutations

REPOSITORY = Path(__file__).resolve().parents[2]
MUTATIONS = read_mutations()


def test_every_mutation_occurs_once_and_leaves_valid_code() -> None:
    assert len(MUTATIONS) >= 30
    for mutation in MUTATIONS:
        text = (REPOSITORY / mutation.file).read_text()
        assert mutation.mutated(text) != text
        if mutation.file.endswith(".py"):
            compile(mutation.mutated(text), mutation.file, "exec")


def test_every_mutation_names_tests_that_exist() -> None:
    assert all(mutation.tests for mutation in MUTATIONS)
    missing = {name for item in MUTATIONS for name in item.tests if not (REPOSITORY / name.split("::")[0]).is_file()}
    assert not missing


def test_a_mutation_is_shown_by_the_first_line_that_differs() -> None:
    assert first_difference("a\nb\n", "a\nc\n") == "b"
    assert first_difference("a\n", "a\nc\n") == "c"
    assert first_difference("b\na\n", "a\nb\n") == "b"


def test_a_stale_entry_is_an_error() -> None:
    for text in ("b", "aa"):
        with pytest.raises(ValueError, match=r"mutations\.toml is stale: 'a' occurs [02] times in x\.py, not once"):
            Mutation("x.py", "a", "c", ("tests/test_x.py",)).mutated(text)
