from __future__ import annotations

import io
import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from training.loop.state import Best, TrainingState, from_bytes, to_bytes

arrays = npst.arrays(
    st.sampled_from(["float32", "int64", "uint32", "float16"]), npst.array_shapes(min_dims=0, max_side=4)
)
several = st.lists(arrays, max_size=12).map(tuple)
numbers = st.floats(allow_nan=False, allow_infinity=False)
states = st.builds(
    TrainingState,
    epoch=st.integers(0, 10**6),
    step=st.integers(0, 10**9),
    weights=several,
    optimizer=several,
    draws=several,
    sums=npst.arrays("float64", (3, 2)),
    history=st.lists(st.dictionaries(st.text(max_size=5), numbers, max_size=3), max_size=3),
    best=st.builds(Best, epoch=st.integers(0, 99), cost=numbers | st.just(np.inf), weights=several),
    global_batch=st.integers(1, 10**6),
    streams=st.integers(1, 99),
)


def same(first: tuple[np.ndarray, ...], second: tuple[np.ndarray, ...]) -> bool:
    """Whether two lists of arrays are the same to the bit, types and shapes too."""
    return [(array.dtype, array.shape, array.tobytes()) for array in first] == [
        (array.dtype, array.shape, array.tobytes()) for array in second
    ]


@given(states)
def test_a_state_is_restored_exactly(state: TrainingState) -> None:
    settings = {"model": "cnn", "ranks": 3, "nested": {"pools": [4, 2]}}
    found, found_settings = from_bytes(to_bytes(state, settings))
    assert found_settings == settings
    assert (found.epoch, found.step, found.history) == (state.epoch, state.step, state.history)
    assert (found.global_batch, found.streams) == (state.global_batch, state.streams)
    assert (found.best.epoch, found.best.cost) == (state.best.epoch, state.best.cost)
    for name in ("weights", "optimizer", "draws"):
        assert same(getattr(found, name), getattr(state, name))
    assert same(found.best.weights, state.best.weights)
    assert same((found.sums,), (state.sums,))


def small() -> TrainingState:
    return TrainingState(1, 0, (np.arange(40.0),), (), (), np.zeros((1, 2)))


@given(st.data())
def test_a_truncated_checkpoint_is_rejected(data: st.DataObject) -> None:
    content = to_bytes(small(), {})
    cut = data.draw(st.integers(0, len(content) - 1))
    with pytest.raises(ValueError, match=r"."):
        from_bytes(content[:cut])


def test_a_flipped_bit_is_rejected() -> None:
    content = bytearray(to_bytes(small(), {}))
    place = content.index(np.arange(40.0).tobytes()) + 50
    content[place] ^= 1
    with pytest.raises(ValueError, match="CRC"):
        from_bytes(bytes(content))


def test_a_pickle_is_not_read() -> None:
    sink = io.BytesIO()
    np.savez(sink, record=np.array([print], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        from_bytes(sink.getvalue())
    with pytest.raises(ValueError, match=r"."):
        from_bytes(pickle.dumps({"epoch": 1}))


def test_another_format_is_not_read() -> None:
    sink = io.BytesIO()
    np.savez(sink, record=np.frombuffer(json.dumps({"format": 99}).encode(), np.uint8))
    with pytest.raises(ValueError, match="format is 99, not 3"):
        from_bytes(sink.getvalue())


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.integers(0, 6))
def test_the_best_epoch_is_the_first_of_the_lowest(costs: list[int], patience: int) -> None:
    best = Best()
    for epoch, cost in enumerate(costs, 1):
        best = best.after(epoch, cost, [np.array(epoch)])
        lowest = min(costs[:epoch])
        assert best.cost == lowest
        assert best.epoch == costs.index(lowest) + 1
        assert best.weights[0] == best.epoch
        assert best.stalled(epoch, patience) == (patience > 0 and epoch - best.epoch >= patience)


@given(st.integers(1, 5), st.integers(1, 5))
def test_another_number_of_ranks_takes_over_all_sums(before: int, now: int) -> None:
    sums = np.arange(2.0 * before).reshape(before, 2)
    state = TrainingState(0, 3, (), (), (), sums)
    shares = np.array([state.sums_of(rank, now) for rank in range(now)])
    np.testing.assert_array_equal(shares.sum(axis=0), sums.sum(axis=0))
    assert before != now or np.array_equal(shares, sums)


def test_the_place_is_text() -> None:
    state = small()
    assert state.place == "epoch 1"
    assert TrainingState(1, 7, (), (), (), state.sums).place == "epoch 2, step 7"


def test_a_member_that_claims_to_be_encrypted_is_rejected() -> None:
    content = bytearray(to_bytes(small(), {}))
    entry = content.index(b"PK\x01\x02")
    content[entry + 8] |= 1  # the flag in the directory of the archive
    with pytest.raises(ValueError, match="damaged checkpoint"):
        from_bytes(bytes(content))
