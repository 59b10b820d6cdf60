"""Growth of a fresh process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from tests.conftest import REPOSITORY

# The peak of getrusage includes the memory of the process that started this one.
_MEASURE = """
import json, re, sys
from pathlib import Path
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024
known, others = json.loads(sys.argv[1])
for argument in known:
    {function}(argument)
before = peak()
results = [{function}(argument) for argument in others]
print(json.dumps([peak() - before, results]))
"""


def growth_of(code: str, function: str, known: Sequence[Any], others: Sequence[Any]) -> tuple[int, list[Any]]:
    """Return the growth in MiB of the peak of a process that calls a function with each argument, and the results.

    `code` defines the function. It is called with the `known` arguments first; the growth is that of the other calls.
    """
    arguments = json.dumps([known, others], default=str)
    command = [sys.executable, "-c", code + _MEASURE.format(function=function), arguments]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    growth, results = json.loads(done.stdout)
    return growth, results
