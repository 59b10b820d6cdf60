"""Raise an error when the process receives SIGTERM."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SECONDS_BEFORE_RAISING_AGAIN = 0.05


@contextmanager
def raising_at_sigterm(make_error: Callable[[], BaseException]) -> Iterator[Callable[[], None]]:
    """Raise an error in the main thread at the first ``SIGTERM``.

    After an error has left the block, ``SIGTERM`` is ignored. Yields a function that ignores ``SIGTERM`` from then on,
    for a block that is about to raise an error of its own.

    Python handles a signal wherever it happens to be. An error raised in a finaliser is only printed, so it is raised
    again a moment later. Other threads than the main one receive no signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    raised: list[BaseException] = []

    def at_sigterm(number: int, frame: FrameType | None) -> None:
        ignore()
        raised.append(make_error())
        raise raised[-1]

    def ignore() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def at_unraisable(unraisable: sys.UnraisableHookArgs) -> None:
        if not any(unraisable.exc_value is error for error in raised):
            hook_before(unraisable)
            return
        signal.signal(signal.SIGTERM, at_sigterm)
        again = threading.Timer(SECONDS_BEFORE_RAISING_AGAIN, os.kill, (os.getpid(), signal.SIGTERM))
        again.daemon = True
        again.start()

    hook_before, sys.unraisablehook = sys.unraisablehook, at_unraisable
    before = signal.signal(signal.SIGTERM, at_sigterm)
    try:
        yield ignore
    except BaseException:
        ignore()  # the launcher may send it while the error is printed
        raise
    else:
        signal.signal(signal.SIGTERM, before)
    finally:
        sys.unraisablehook = hook_before
