from __future__ import annotations

import io
import os
from collections.abc import Iterator

import pytest

from training.loop.progress import Progress, epoch_line, is_terminal

ROW = {"epoch": 1, "loss": 0.25, "learning_rate": 0.001, "validation_loss": 0.5, "validation_accuracy": 0.1}
SPEED = {"examples_per_second": 160.0, "waiting": 0.2}


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def never() -> float:
    raise AssertionError("the loss was computed although it is not shown")


def test_a_log_has_one_line_per_minute_and_one_per_epoch() -> None:
    clock, log = Clock(), io.StringIO()
    progress = Progress(3, "macro_f1", stream=log, clock=clock)
    progress.begin(0, 0, 1_000)

    def feed() -> Iterator[int]:
        for step in range(1_000):
            clock.now += 0.025
            yield step

    for step in progress.waiting_for(feed()):
        clock.now += 0.1
        progress.step(20, lambda step=step: 1 / (step + 1))  # type: ignore[misc]
    progress.end()
    assert progress.speed == pytest.approx((160, 0.2))
    clock.now += 5
    progress.report(ROW | SPEED | {"validation_macro_f1": 0.0624})
    # 480 steps per minute, of 20 rows; left after the first line: 520 and 2,000 steps of 0.125 s.
    assert log.getvalue().splitlines() == [
        "epoch 1/3  step 480/1,000  loss 0.0021  160 examples/s  waiting 20%  05:15 left",
        "epoch 1/3  step 960/1,000  loss 0.0010  160 examples/s  waiting 20%  04:15 left",
        "epoch 1/3  loss 0.2500  validation loss 0.5000  macro F1 0.0624  160 examples/s  waiting 20%  130.0 s",
    ]


def test_the_line_of_an_epoch_fits_140_columns_with_the_prefix_of_horovodrun() -> None:
    row = {"epoch": 100, "loss": 123.4567, "validation_loss": 123.4567, "validation_macro_roc_auc": -0.1234}
    row |= {"examples_per_second": 1_234_567, "waiting": 1.0}
    line = epoch_line(row, 100, "macro_roc_auc", 12_345.6)
    assert len(f"[0]<stderr>:{line}") <= 140


def test_metrics_that_an_epoch_lacks_are_left_out() -> None:
    line = epoch_line({"epoch": 1, "loss": 2.0, **SPEED}, 1, "macro_f1", 1)
    assert line == "epoch 1/1  loss 2.0000  160 examples/s  waiting 20%  1.0 s"


def test_the_pace_of_a_resumed_epoch_counts_only_its_own_steps() -> None:
    clock = Clock()
    progress = Progress(1, "macro_f1", shown=False, clock=clock)
    progress.begin(0, 90, 100)
    for _ in range(5):
        clock.now += 2
        progress.step(8, never)
    assert progress.left == "00:10"


def test_other_ranks_print_nothing() -> None:
    clock, log = Clock(), io.StringIO()
    progress = Progress(1, "macro_f1", shown=False, bar=True, stream=log, clock=clock)
    progress.begin(0, 0, 10)
    for _ in range(10):
        clock.now += 1_000
        progress.step(1, never)
    progress.end()
    progress.report(ROW)
    assert log.getvalue() == ""


def test_a_bar_shows_the_loss_the_speed_and_the_time_left() -> None:
    log = io.StringIO()
    progress = Progress(2, "macro_f1", bar=True, stream=log)
    progress.begin(0, 0, 3)
    while progress.clock() - progress._began < 0.2:  # tqdm draws at most ten times per second
        pass
    progress.step(4, lambda: 0.5)
    progress.end()
    assert "epoch 1/2" in log.getvalue()
    assert "loss 0.5000  " in log.getvalue()
    assert " examples/s  waiting 0%  " in log.getvalue()
    assert " left" in log.getvalue()


def test_a_file_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOROVOD_RANK", raising=False)
    assert not is_terminal(io.StringIO())
    monkeypatch.setenv("HOROVOD_RANK", "0")
    assert not is_terminal(io.StringIO())  # started by no launcher
    own_end, _ = os.openpty()
    with os.fdopen(own_end, "w") as terminal:
        assert is_terminal(terminal)
