"""What a process does when it is told to end: an error of our own, raised where it can be caught."""

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
def raising_when_told_to_end(make_error: Callable[[], BaseException]) -> Iterator[Callable[[], None]]:
    """Raise an error in the main thread at the first ``SIGTERM``; none is heard after an error has left the block.

    Parameters
    ----------
    make_error : callable
        Gives the error.

    Yields
    ------
    callable
        Makes this process deaf to ``SIGTERM`` from now on: for when the block is about to end by an error of its own.

    Notes
    -----
    A signal is handled wherever Python happens to be. In a finaliser, of a frame's variables as another error leaves
    it, for example, nothing can be raised: Python prints a traceback and goes on. There the error is raised again a
    moment later, and nothing is printed. In another thread than the main one, which alone hears signals, nothing is
    done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    raised: list[BaseException] = []

    def told_to_end(number: int, frame: FrameType | None) -> None:
        be_deaf()
        raised.append(make_error())
        raise raised[-1]

    def be_deaf() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def not_raised(unraisable: sys.UnraisableHookArgs) -> None:
        if not any(unraisable.exc_value is error for error in raised):
            hook_before(unraisable)
            return
        signal.signal(signal.SIGTERM, told_to_end)
        again = threading.Timer(SECONDS_BEFORE_RAISING_AGAIN, os.kill, (os.getpid(), signal.SIGTERM))
        again.daemon = True
        again.start()

    hook_before, sys.unraisablehook = sys.unraisablehook, not_raised
    before = signal.signal(signal.SIGTERM, told_to_end)
    try:
        yield be_deaf
    except BaseException:
        be_deaf()  # the launcher's may still come, and there is something to say first
        raise
    else:
        signal.signal(signal.SIGTERM, before)
    finally:
        sys.unraisablehook = hook_before
