from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from training.ranks.devices import own_cores


@given(st.lists(st.integers(0, 200), min_size=1, max_size=70, unique=True).map(sorted), st.integers(1, 9))
def test_ranks_have_as_many_cores_each_and_share_none_while_there_are_enough(cores: list[int], ranks: int) -> None:
    shares = [own_cores(cores, rank, ranks) for rank in range(ranks)]
    assert {len(share) for share in shares} == {max(1, len(cores) // ranks)}
    given_out = [core for share in shares for core in share]
    assert set(given_out) <= set(cores)
    times = [given_out.count(core) for core in cores]
    assert max(times) == -(-ranks // len(cores))


def test_one_rank_has_them_all() -> None:
    assert own_cores([3, 5, 9], 0, 1) == (3, 5, 9)
