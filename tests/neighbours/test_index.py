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


def test_tuning_reaches_the_required_recall(space: Space) -> None:
    index, rows = build_index(space, seed=1), np.arange(0, N, 20)
    exact = nearest_of_all(space, 10, NOTHING, rows)
    assert tune(space, index, rows, exact, NOTHING, 0.5) >= 0.5
    few = index.nprobe
    reached = tune(space, index, rows, exact, NOTHING, 0.98)
    assert few < index.nprobe < n_lists(N)
    neighbours = nearest_by_index(space, index, space.vectors[rows], rows, 10, NOTHING)
    counted = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(neighbours.places, exact.places, strict=True)])
    assert recall(neighbours, exact) == pytest.approx(counted) == reached
    assert reached >= 0.98
    tune(space, index, rows, exact, NOTHING, 1.0)
    assert (nearest_by_index(space, index, space.vectors[rows], rows, 10, NOTHING).places == exact.places).mean() > 0.99


def test_excluded_songs_are_replaced_by_others(space: Space) -> None:
    codes = (np.arange(N) % 2).astype(np.int32)[None]
    index = build_index(space, seed=0)
    rows = np.arange(50)
    neighbours = nearest_by_index(space, index, space.vectors[rows], rows, 10, Exclusions(codes))
    assert (neighbours.places != NONE).all()
    assert ((neighbours.places % 2) != (rows % 2)[:, None]).all()
    # Only two songs are of other artists; the index alone would rarely find them.
    rare = np.zeros((1, N), np.int32)
    rare[0, [7, 4000]] = 1
    neighbours = nearest_by_index(space, index, space.vectors[rows[:3]], rows[:3], 3, Exclusions(rare))
    assert [sorted(row[:2]) for row in neighbours.places.tolist()] == [[7, 4000]] * 3
    assert (neighbours.places[:, 2] == NONE).all()


def test_index_file_is_reproducible_and_readable(space: Space, tmp_path: Path) -> None:
    local = fs.LocalFileSystem()
    for name in ("one", "two"):
        index = build_index(space, seed=3, threads=2)
        index.nprobe = 5
        assert write_index(index, local, str(tmp_path / name)) == (tmp_path / name).stat().st_size
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    read = read_index(local, str(tmp_path / "one"))
    assert (read.ntotal, read.d, read.nprobe) == (N, 20, 5)
    (tmp_path / "bad").write_bytes(b"not an index")
    with pytest.raises(ValueError, match="bad is not an index"):
        read_index(local, str(tmp_path / "bad"))


def test_recall_counts_ties_with_the_last_neighbour() -> None:
    exact = Neighbours(np.array([[1, 2]]), np.array([[0.1, 0.2]]))
    assert recall(Neighbours(np.array([[1, 5]]), np.array([[0.1, 0.2]])), exact) == 1
    assert recall(Neighbours(np.array([[1, 5]]), np.array([[0.1, 0.3]])), exact) == 0.5
    assert recall(Neighbours.empty(1, 2), Neighbours.empty(1, 2)) == 1


@pytest.mark.parametrize(("songs", "lists"), [(1, 1), (100, 2), (10_000, 256), (100_000, 512), (1_000_000, 2048)])
def test_number_of_lists_grows_with_the_square_root(songs: int, lists: int) -> None:
    assert n_lists(songs) == lists
