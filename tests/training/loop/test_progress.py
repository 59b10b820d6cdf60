from __future__ import annotations

import io
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.loop.progress import Progress, duration, someone_watches


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def never() -> float:
    raise AssertionError("the loss was asked for, and nobody is shown it")


def test_a_log_gets_a_line_a_minute() -> None:
    clock, log = Clock(), io.StringIO()
    progress = Progress(3, 1_000, stream=log, clock=clock)
    progress.begin(0)
    for step in range(1_000):
        clock.now += 0.125
        progress.step(20, lambda step=step: 1 / (step + 1))  # type: ignore[misc]
    progress.end()
    progress.say({"epoch": 1, "loss": 0.25})
    # 480 steps a minute, of 20 examples; what is left: 520 and 2,000 steps of 0.125 s, then 480 fewer.
    assert log.getvalue().splitlines() == [
        "epoch 1/3  step 480 of 1,000  loss 0.0021  160 examples/s  5 min 15 s left",
        "epoch 1/3  step 960 of 1,000  loss 0.0010  160 examples/s  4 min 15 s left",
        "epoch 1  loss 0.25  160 examples/s",
    ]


def test_a_resumed_epoch_counts_its_own_steps_for_its_pace() -> None:
    clock = Clock()
    progress = Progress(1, 100, shown=False, clock=clock)
    progress.begin(0, step=90)
    for _ in range(5):
        clock.now += 2
        progress.step(8, never)
    assert progress.rate == pytest.approx(4)
    assert progress.left == "10 s"


def test_other_ranks_say_nothing() -> None:
    clock, log = Clock(), io.StringIO()
    progress = Progress(1, 10, shown=False, bar=True, stream=log, clock=clock)
    progress.begin(0)
    for _ in range(10):
        clock.now += 1_000
        progress.step(1, never)
    progress.end()
    progress.say({"epoch": 1})
    assert log.getvalue() == ""


def test_a_bar_shows_loss_pace_and_time_left() -> None:
    log = io.StringIO()
    progress = Progress(2, 3, bar=True, stream=log)
    progress.begin(0)
    clock = progress.clock
    while clock() - progress._began < 0.6:  # a bar is drawn twice a second
        pass
    progress.step(4, lambda: 0.5)
    progress.end()
    assert "epoch 1/2" in log.getvalue()
    assert "loss 0.5000, " in log.getvalue()
    assert "examples/s, " in log.getvalue()
    assert " left" in log.getvalue()


@given(st.floats(0, 1e6))
def test_durations_never_show_60_of_anything(seconds: float) -> None:
    assert not any(part.startswith("60") for part in duration(seconds).replace("min", " ").split() if part.isdigit())


def test_a_file_is_not_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOROVOD_RANK", raising=False)
    assert not someone_watches(io.StringIO())
    monkeypatch.setenv("HOROVOD_RANK", "0")
    assert not someone_watches(io.StringIO())  # no launcher above us
    ours, _ = os.openpty()
    with os.fdopen(ours, "w") as terminal:
        assert someone_watches(terminal)
