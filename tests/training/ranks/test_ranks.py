from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from training.ranks import ranks
from training.ranks.ranks import LostRankError, Ranks, gone

HERE = (socket.gethostname(), os.getpid())


def ended() -> int:
    """Return the id of a process that was and is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_only_ranks_of_this_machine_can_be_seen_to_be_gone() -> None:
    there = ended()
    assert gone([HERE, ("elsewhere", there), (HERE[0], there)]) == (2,)


def test_a_lost_rank_is_named_or_told_to_be_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, "SECONDS_TO_VANISH", 0.0)
    there = ended()
    known = Ranks(0, 2)._loss([HERE, (HERE[0], there)], "go on with --resume")
    assert str(known) == f"rank 1 (process {there} on {HERE[0]}) was lost; go on with --resume"
    unknown = Ranks(0, 2)._loss([HERE, ("elsewhere", 1)], "start again")
    assert str(unknown) == "a rank on another machine was lost; start again"


@pytest.mark.parametrize(
    ("lost", "rank", "speaks"), [((1,), 0, True), ((0,), 1, True), ((0,), 2, False), ((), 0, True), ((), 1, False)]
)
def test_the_lowest_rank_that_may_be_left_tells_people(lost: tuple[int, ...], rank: int, speaks: bool) -> None:
    assert LostRankError(lost, rank, "").is_first_to_speak is speaks
