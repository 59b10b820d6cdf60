from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.data.assembly import WIDE, Columns, assemble

sizes_of_groups = st.lists(st.integers(0, 12), max_size=12)


def numbered(sizes: list[int]) -> Iterator[Columns]:
    """Give row groups whose rows are numbered from 0, in columns that belong together: narrow, text, wide, wide too."""
    start = 0
    for size in sizes:
        numbers = np.arange(start, start + size)
        wide = np.repeat(numbers[:, None], WIDE, axis=1).astype(np.float32)
        yield {
            "track_id": numbers.astype(str),
            "number": np.stack([numbers, -numbers], axis=1),
            "wide": wide,
            "cube": np.stack([wide, -wide], axis=1),
        }
        start += size


def numbers(pieces: Iterator[Columns]) -> list[list[int]]:
    found = []
    for piece in pieces:
        rows = piece["track_id"].astype(int)
        assert (piece["number"] == np.stack([rows, -rows], axis=1)).all()
        assert piece["wide"].shape == (len(rows), WIDE)
        assert (piece["wide"] == rows[:, None]).all()
        assert (piece["cube"] == np.stack([piece["wide"], -piece["wide"]], axis=1)).all()
        found.append(rows.tolist())
    return found


@given(sizes_of_groups, st.integers(1, 15), st.integers(0, 5), st.integers(0, 99))
def test_rows_are_shuffled_within_windows_and_then_cut(sizes: list[int], batch: int, window: int, seed: int) -> None:
    found = numbers(assemble(numbered(sizes), batch, window, np.random.default_rng(seed)))
    # The same, as it is said: join a window, shuffle it, and cut what comes.
    generator, stream, starts = np.random.default_rng(seed), [], np.cumsum([0, *sizes])
    for first in range(0, len(sizes), max(window, 1)):
        rows = np.arange(starts[first], starts[min(first + max(window, 1), len(sizes))])
        stream += (rows[generator.permutation(len(rows))] if window else rows).tolist()
    assert found == [stream[start : start + batch] for start in range(0, len(stream), batch)]


def test_shuffling_is_across_row_groups_and_by_its_seed() -> None:
    first, second = (numbers(assemble(numbered([20, 20]), 40, 2, np.random.default_rng(seed)))[0] for seed in (0, 1))
    assert first != second
    assert sorted(first) == list(range(40))
    assert min(first[:20]) < 20 <= max(first[:20])


def test_pieces_do_not_share_memory_with_row_groups() -> None:
    (group,) = numbered([4])
    (piece,) = assemble(iter([group]), 4)
    assert not any(np.shares_memory(piece[name], group[name]) for name in group)


@pytest.mark.parametrize("sizes", [[], [0], [0, 0, 0]])
def test_no_rows_give_no_pieces(sizes: list[int]) -> None:
    assert [piece for piece in numbers(assemble(numbered(sizes), 3, 2, np.random.default_rng(0))) if piece] == []
