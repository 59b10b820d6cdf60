"""Memory of a process, and the growth of a fresh one."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]

_MEASURE = """
import json, sys
from tests.support.memory import peak
known, others = json.loads(sys.argv[1])
for argument in known:
    {function}(argument)
before = peak()
results = [{function}(argument) for argument in others]
print(json.dumps([peak() - before, results]))
"""


def peak() -> int:
    """Return the peak of this process in MiB; that of `resource.getrusage` includes the process that started it."""
    (kilobytes,) = re.findall(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    return int(kilobytes) // 1024


def growth_of(code: str, function: str, known: Sequence[Any], others: Sequence[Any]) -> tuple[int, list[Any]]:
    """Return the growth in MiB of the peak of a process that calls a function with each argument, and the results.

    `code` defines the function. It is called with the `known` arguments first; the growth is that of the other calls.
    """
    arguments = json.dumps([known, others], default=str)
    command = [sys.executable, "-c", code + _MEASURE.format(function=function), arguments]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    growth, results = json.loads(done.stdout)
    return growth, results
