"""An elastic training continues with the remaining ranks and accepts a new one."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
import tensorflow as tf
from horovod.common.exceptions import HostsUpdatedInterrupt
from horovod.runner.elastic.worker import HostUpdateResult

from tests.support.fork_server import forked
from tests.support.launched import LAUNCHER, checkpoint, launched
from tests.support.tiny_dataset import write_tiny_dataset
from tests.support.train_recorded import KILLED, RECORDS, records
from training.loop.elastic import train_elastically
from training.loop.state import TrainingState
from training.ranks.collectives import elastic_state
from training.ranks.ranks import Ranks

RECORDED = "tests/support/train_recorded.py"
ROWS, GLOBAL_BATCH = [9, 8, 8, 7, 5, 8], 4
PER_PASS = 12
"""Steps of a pass over the train split."""

COMMIT_STEPS, LOST = 5, 13
"""Steps between two states to return to, and the step, counted from 0, after which a rank is lost."""


@pytest.mark.timeout(3_600)
def test_no_example_is_lost_or_doubled_if_a_rank_is_lost_and_another_one_joins(tmp_path: Path) -> None:
    warehouse, hosts, discovery = tmp_path / "warehouse", tmp_path / "hosts", tmp_path / "discovery.sh"
    write_tiny_dataset(warehouse, {"train": ROWS, "validation": [6, 3], "test": [5]})
    discovery.write_text(f"#!/bin/sh\ncat {hosts}\n")
    discovery.chmod(0o755)
    # One machine under two names: Horovod no longer uses a host that lost a rank.
    hosts.write_text("localhost:1\n127.0.0.1:1\n")
    elastic = ("-np", "2", "--min-np", "1", "--max-np", "2", "--host-discovery-script", discovery)
    command = (*LAUNCHER, *elastic, "--network-interfaces", "lo", "python", RECORDED, "--warehouse", warehouse)
    # One epoch, which does not end before the test.
    steps = ("--steps-per-epoch", "1000000", "--checkpoint-steps", str(COMMIT_STEPS))
    size = ("--batch-size", str(GLOBAL_BATCH // 2))
    options = ("--run", "grown", "--dataset", "tiny", "--epochs", "1", *size, *steps, "--elastic")
    last = warehouse / "models/grown/_unfinished/checkpoints/last.npz"
    recorded = tmp_path / "records"
    recorded.mkdir()

    def reached(step: int, ranks: int) -> TrainingState | None:
        state = checkpoint(last)
        return state if state is not None and state.step >= step and state.ranks == ranks else None

    others = forked() | {RECORDS: str(recorded), KILLED: f"1:{LOST}"}
    with launched(*command, *options, log=tmp_path / "log", others=others) as training:
        alone = training.wait_until(lambda: reached(0, ranks=1))
        hosts.write_text(f"{training.ranks(RECORDED)[0].environ()['HOROVOD_HOSTNAME']}:2\n")
        grown = training.wait_until(lambda: reached(alone.step + 1, ranks=2))
        end = training.wait_until(lambda: reached(grown.step + PER_PASS, ranks=2))
        resumed = re.findall(r"resumed after epoch 1, step (\d+); now (\d) instead of (\d) ranks", training.said())
    committed = LOST - LOST % COMMIT_STEPS
    assert [ranks for _, *ranks in resumed] == [["1", "2"], ["2", "1"]]
    assert committed == int(resumed[0][0]) < alone.step <= int(resumed[1][0]) < grown.step
    assert grown.global_batch == GLOBAL_BATCH
    attempts = records(recorded)
    for step in range(end.step):
        # The steps after the last state were repeated, with the same examples.
        assert len(attempts[step]) == (2 if committed <= step <= LOST else 1), step
        assert all(track_ids == attempts[step][0] for track_ids in attempts[step])
    for first in range(0, end.step - PER_PASS + 1, PER_PASS):
        seen = Counter(track_id for step in range(first, first + PER_PASS) for track_id in attempts[step][-1])
        assert (len(seen), set(seen.values())) == (sum(ROWS), {1}), first


def test_an_unknown_error_fails_the_training() -> None:
    Ranks.join()

    def fail(*_: object) -> None:
        raise tf.errors.UnknownError(None, None, "a disk is broken")

    with pytest.raises(RuntimeError, match="a disk is broken"):
        train_elastically(fail)


def test_a_failed_collective_starts_again() -> None:
    Ranks.join()
    errors = [tf.errors.UnknownError(None, None, "Connection reset by peer [Op:HorovodAllgather]")]
    sizes = []

    def fail_once(ranks: Ranks, *_: object) -> None:
        sizes.append(ranks.size)
        if errors:
            raise errors.pop()

    train_elastically(fail_once)
    assert sizes == [1, 1]


def test_ranks_exchange_their_state_if_a_new_rank_is_noticed_as_a_removal() -> None:
    Ranks.join()
    state = elastic_state(reached=None)
    state.on_hosts_updated(100, HostUpdateResult.removed)
    state.on_hosts_updated(100, HostUpdateResult.added)  # Horovod ignores it: the time is not later
    with pytest.raises(HostsUpdatedInterrupt) as raised:
        state.check_host_updates()
    assert not raised.value.skip_sync
