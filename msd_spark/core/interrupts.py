"""End a process after Ctrl-C, even if it waits in native code."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""

SECONDS_OF_NATIVE_CODE = 1.5
"""Time for native code, such as a request to a store, to return to Python, which then handles Ctrl-C."""

SECONDS_OF_CLEANUP = 10.0
"""Time to delete temporary files and keep finished work after Ctrl-C."""

SECONDS_OF_JAVA = 5.0
"""Time for Java to delete its temporary files after Ctrl-C."""

os.register_at_fork(after_in_child=partial(signal.set_wakeup_fd, -1))  # otherwise a child's signal would end its parent


@contextmanager
def noticing_interrupts(end: Callable[[], None]) -> Iterator[list[int]]:
    """Yield a list to which Ctrl-C adds its signal.

    If the process does not end in time, a thread calls `end` and exits. An interrupted call of Java may raise another
    error than `KeyboardInterrupt`.
    """
    received: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        received.append(number)
        logging.disable()  # the bridge to Java logs every call that is interrupted
        signal.default_int_handler(number, frame)

    def watch() -> None:
        while numbers := os.read(readable, 100):  # Python writes each signal at once
            if signal.SIGINT in numbers and (received or signal.getsignal(signal.SIGINT) is interrupt):
                time.sleep(SECONDS_OF_NATIVE_CODE)
                if received:
                    time.sleep(SECONDS_OF_CLEANUP)
                end()
                os._exit(INTERRUPTED)
        os.close(readable)

    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield received
        return
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    signal.signal(signal.SIGINT, interrupt)
    before = signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    threading.Thread(target=watch, name="interrupts", daemon=True).start()
    try:
        yield received
    finally:
        if signal.getsignal(signal.SIGINT) is interrupt:  # Spark may have replaced it
            signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.set_wakeup_fd(before)
        os.close(writable)


def end_java() -> None:
    """End the Java process of Spark, which may outlive an interrupted job."""
    if "pyspark" not in sys.modules:
        return
    import psutil
    from pyspark import SparkContext

    server = getattr(SparkContext._active_spark_context, "_accumulatorServer", None)
    if server is not None:
        server.handle_error = lambda *_: None  # it would print a trace when Java ends
    started = []
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):
            if any("spark" in word for word in child.cmdline()):  # Java, or the script that is about to start it
                child.terminate()
                started.append(child)
    for child in psutil.wait_procs(started, timeout=SECONDS_OF_JAVA)[1]:
        with suppress(psutil.NoSuchProcess):
            child.kill()
