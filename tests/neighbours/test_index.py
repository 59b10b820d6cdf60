"""The index: what it finds, how it is tuned, and its file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pyarrow import fs

from msd_spark.neighbours.exact import NONE, Neighbours, nearest_of_all
from msd_spark.neighbours.exclusions import Exclusions
from msd_spark.neighbours.index import build_index, n_lists, nearest_by_index, read_index, recall, tune, write_index
from msd_spark.neighbours.space import Space

N = 6000
NOTHING = Exclusions(np.empty((0, N), np.int32))


@pytest.fixture(scope="module", params=["cosine", "euclidean"])
def space(request: pytest.FixtureRequest) -> Space:
    generator = np.random.default_rng(0)
    centres = generator.normal(size=(12, 20))
    vectors = centres[generator.integers(0, 12, N)] + generator.normal(size=(N, 20))
    return Space.of(vectors.astype(np.float32), request.param)


def test_it_is_tuned_until_it_finds_what_is_wanted(space: Space) -> None:
    index, rows = build_index(space, seed=1), np.arange(0, N, 20)
    exact = nearest_of_all(space, 10, NOTHING, rows)
    low, high = (tune(space, index, rows, exact, NOTHING, wanted) for wanted in (0.5, 0.98))
    assert low.lists_looked_into < high.lists_looked_into < n_lists(N)
    assert high.recall >= 0.98
    found = nearest_by_index(space, index, space.vectors[rows], rows, 10, NOTHING)
    counted = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found.places, exact.places, strict=True)])
    assert recall(found, exact) == pytest.approx(counted) == high.recall
    tune(space, index, rows, exact, NOTHING, 1.0)
    assert (nearest_by_index(space, index, space.vectors[rows], rows, 10, NOTHING).places == exact.places).mean() > 0.99


def test_what_is_left_out_is_left_out_and_k_others_remain(space: Space) -> None:
    codes = (np.arange(N) % 2).astype(np.int32)[None]
    index = build_index(space, seed=0)
    rows = np.arange(50)
    found = nearest_by_index(space, index, space.vectors[rows], rows, 10, Exclusions(codes))
    assert (found.places != NONE).all()
    assert ((found.places % 2) != (rows % 2)[:, None]).all()
    # Of two songs at most that are not the same artist's, the index alone would hardly find any.
    rare = np.zeros((1, N), np.int32)
    rare[0, [7, 4000]] = 1
    found = nearest_by_index(space, index, space.vectors[rows[:3]], rows[:3], 3, Exclusions(rare))
    assert [sorted(row[:2]) for row in found.places.tolist()] == [[7, 4000]] * 3
    assert (found.places[:, 2] == NONE).all()


def test_the_same_songs_give_the_same_file_and_it_can_be_read(space: Space, tmp_path: Path) -> None:
    local = fs.LocalFileSystem()
    for name in ("one", "two"):
        index = build_index(space, seed=3, threads=2)
        index.nprobe = 5
        assert write_index(index, local, str(tmp_path / name)) == (tmp_path / name).stat().st_size
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    read = read_index(local, str(tmp_path / "one"))
    assert (read.ntotal, read.d, read.nprobe) == (N, 20, 5)
    (tmp_path / "bad").write_bytes(b"nothing that is an index")
    with pytest.raises(ValueError, match="bad is no index"):
        read_index(local, str(tmp_path / "bad"))


def test_recall_counts_songs_as_near_as_the_last() -> None:
    exact = Neighbours(np.array([[1, 2]]), np.array([[0.1, 0.2]]))
    assert recall(Neighbours(np.array([[1, 5]]), np.array([[0.1, 0.2]])), exact) == 1
    assert recall(Neighbours(np.array([[1, 5]]), np.array([[0.1, 0.3]])), exact) == 0.5
    assert recall(Neighbours.empty(1, 2), Neighbours.empty(1, 2)) == 1


@pytest.mark.parametrize(("songs", "lists"), [(1, 1), (100, 2), (10_000, 256), (100_000, 512), (1_000_000, 2048)])
def test_lists_grow_with_the_root_of_the_songs(songs: int, lists: int) -> None:
    assert n_lists(songs) == lists
