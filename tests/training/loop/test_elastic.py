"""An elastic training continues with the remaining ranks and accepts a new one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import tensorflow as tf
from horovod.common.exceptions import HostsUpdatedInterrupt
from horovod.runner.elastic.worker import HostUpdateResult

from tests.support.fork_server import forked
from tests.support.launched import LAUNCHER, SCRIPT, checkpoint, launched
from tests.support.tiny_dataset import write_tiny_dataset
from training.loop.elastic import train_elastically
from training.loop.state import TrainingState
from training.ranks.collectives import elastic_state
from training.ranks.ranks import Ranks


@pytest.mark.timeout(3_600)
def test_a_rank_is_lost_and_another_one_joins(tmp_path: Path) -> None:
    warehouse, hosts, discovery = tmp_path / "warehouse", tmp_path / "hosts", tmp_path / "discovery.sh"
    write_tiny_dataset(warehouse, {"train": [9, 8, 8, 7, 5, 8], "validation": [6, 3], "test": [5]})
    discovery.write_text(f"#!/bin/sh\ncat {hosts}\n")
    discovery.chmod(0o755)
    # One machine under two names: Horovod no longer uses a host that lost a rank.
    hosts.write_text("localhost:1\n127.0.0.1:1\n")
    elastic = ("-np", "2", "--min-np", "1", "--max-np", "2", "--host-discovery-script", discovery)
    command = (*LAUNCHER, *elastic, "--network-interfaces", "lo", SCRIPT, "--warehouse", warehouse, "--run", "grown")
    # One epoch, which does not end before the test.
    steps = ("--steps-per-epoch", "1000000", "--checkpoint-steps", "5")
    options = ("--dataset", "tiny", "--epochs", "1", "--batch-size", "2", *steps, "--elastic")
    last = warehouse / "models/grown/_unfinished/checkpoints/last.npz"

    def reached(step: int, ranks: int) -> TrainingState | None:
        state = checkpoint(last)
        return state if state is not None and state.step >= step and state.ranks == ranks else None

    with launched(*command, *options, log=tmp_path / "log", others=forked()) as training:
        training.wait_until(lambda: reached(10, ranks=2))
        ranks = training.ranks()
        ranks[1].kill()
        alone = training.wait_until(lambda: reached(0, ranks=1))
        hosts.write_text(f"{ranks[0].environ()['HOROVOD_HOSTNAME']}:2\n")
        grown = training.wait_until(lambda: reached(0, ranks=2))
        resumed = re.findall(r"resumed after epoch 1, step (\d+); now (\d) instead of (\d) ranks", training.said())
    assert [ranks for _, *ranks in resumed] == [["1", "2"], ["2", "1"]]
    assert 10 <= int(resumed[0][0]) < alone.step <= int(resumed[1][0]) < grown.step
    assert grown.global_batch == 4


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
