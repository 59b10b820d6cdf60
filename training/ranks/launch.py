"""Run ``horovodrun`` without its slow checks.

The command is ``python -m training.ranks.launch -np 4 training/train.py``. It checks hosts and slots before any rank
starts.

``horovodrun`` imports TensorFlow twice, only to find out that this Horovod was built with Gloo and without MPI. Unlike
Horovod's, the signal handler of this launcher cannot deadlock, see `set_at_signal`.
"""

from __future__ import annotations

import re
import signal
import sys
import threading
from functools import partial
from pathlib import Path
from types import FrameType

from horovod.runner import gloo_run, launch

from msd_spark.core.command_line import reported
from msd_spark.core.interrupts import INTERRUPTED
from training.ranks.hosts import check_host_file, check_host_list


def main() -> None:
    """Run ``horovodrun`` for a Horovod that was built without MPI."""
    with reported("launch"):
        check_hosts()
    launch.mpi_built = lambda verbose=False: False
    launch.gloo_built = lambda verbose=False: True
    received: list[int] = []
    gloo_run.register_shutdown_event = partial(set_at_signal, received)
    try:
        launch.run_commandline()
    except KeyboardInterrupt:  # before the ranks start
        received.append(signal.SIGINT)
    except RuntimeError as error:
        if "processes exited with non-zero" not in str(error):
            raise
        if signal.SIGINT not in received:
            # The rank has printed its error. 2, wrong input, is of no use to try again; a rank that was killed is.
            first = re.search(r"Exit code: (-?\d+)", str(error))
            sys.exit(1 if first and first[1] != "2" else 2)
    if signal.SIGINT in received:
        print("interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)


def check_hosts() -> None:
    """Check ``-H`` and ``--hostfile`` of the command line."""
    arguments = launch.parse_args()
    if arguments.hosts:
        check_host_list(arguments.hosts)
    if arguments.hostfile:
        check_host_file(Path(arguments.hostfile))


def set_at_signal(received: list[int]) -> threading.Event:
    """Return an event that the first ``SIGINT`` or ``SIGTERM`` sets; later ones are ignored.

    The signal is added to `received`. Horovod's own handler sets the event at every signal, and deadlocks if a second
    signal arrives while it does so.
    """
    event = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        for later in (signal.SIGINT, signal.SIGTERM):
            signal.signal(later, lambda *_: None)  # SIG_IGN would be inherited by processes
        received.append(number)
        event.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    return event


if __name__ == "__main__":
    main()
