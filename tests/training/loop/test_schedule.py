from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.loop.schedule import DECAYS, SCALINGS, Schedule


@pytest.mark.parametrize(
    ("decay", "rates"),
    [
        # Halfway up, at the top, then a quarter, a half, three quarters and all of the 8 epochs left.
        ("none", [0.5, 1, 1, 1, 1, 1]),
        ("linear", [0.5, 1, 0.75, 0.5, 0.25, 0]),
        ("cosine", [0.5, 1, 0.853553, 0.5, 0.146447, 0]),  # (1 + cos(pi / 4)) / 2 = 0.853553
        ("steps", [0.5, 1, 1, 1, 0.1, 0.01]),
    ],
)
def test_rates_by_hand(decay: str, rates: list[float]) -> None:
    schedule = Schedule(1.0, "none", 2, decay)
    found = [schedule.at(progress, 10) for progress in (1, 2, 4, 6, 8, 10)]
    assert found == pytest.approx(rates, abs=1e-6)


def test_the_top_grows_with_the_ranks_as_asked() -> None:
    assert [Schedule(0.1, scaling).peak(4) for scaling in SCALINGS] == pytest.approx([0.1, 0.4, 0.2])
    assert Schedule(0.1, "linear", 2).at(1, 5, 4) == pytest.approx(0.2)


@given(
    st.sampled_from(DECAYS), st.floats(0, 5), st.integers(1, 40), st.floats(0, 1), st.floats(0, 1), st.integers(1, 64)
)
def test_rates_climb_then_fall_and_never_pass_the_top(
    decay: str, warm_up: float, epochs: int, first: float, second: float, ranks: int
) -> None:
    schedule = Schedule(0.3, "linear", warm_up, decay)
    early, late = sorted((first * epochs, second * epochs))
    rates = [schedule.at(progress, epochs, ranks) for progress in (early, late)]
    assert all(0 <= rate <= schedule.peak(ranks) + 1e-12 for rate in rates)
    if late <= warm_up:
        assert rates[0] <= rates[1] + 1e-12
    if early >= warm_up:
        assert rates[0] >= rates[1] - 1e-12


@pytest.mark.parametrize("wrong", [{"learning_rate": 0.0}, {"learning_rate": float("nan")}, {"warm_up": -1.0}])
def test_what_is_no_schedule_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"--(learning-rate|warm-up) is .*; allowed: "):
        Schedule(**wrong)  # type: ignore[arg-type]
