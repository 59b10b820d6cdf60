"""Outcomes and requests of emulated stages, as files in a folder shared with the tests.

``MSD_EMULATOR`` names the folder. ``outcomes.json`` has a list of outcomes by stage, one per attempt; the last one
stands for all later attempts, and a stage without a list succeeds. ``record.jsonl`` has one line per request.
"""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from pathlib import Path
from typing import Any

SUCCEED, FAIL, BAD_INPUT, SILENT = "succeed", "fail", "bad input", "silent"

FOLDER = "MSD_EMULATOR"

_attempts: Counter[str] = Counter()
_lock = threading.Lock()


def folder() -> Path:
    return Path(os.environ[FOLDER])


def outcome(stage: str) -> str:
    """Return what the next attempt of a stage does."""
    path = folder() / "outcomes.json"
    content = json.loads(path.read_text()) if path.exists() else {}
    with _lock:
        key = f"{content.get('test')}/{stage}"
        attempt = _attempts[key]
        _attempts[key] += 1
    outcomes = content.get(stage, [SUCCEED])
    return str(outcomes[min(attempt, len(outcomes) - 1)])


def latest(stage: str) -> str:
    """Return the last outcome that tests have written for a stage, whatever attempt it is."""
    return str(json.loads((folder() / "outcomes.json").read_text()).get(stage, [SUCCEED])[-1])


def record(kind: str, **facts: Any) -> None:
    """Add a line to the record."""
    with _lock, (folder() / "record.jsonl").open("a") as sink:
        sink.write(json.dumps({"kind": kind} | facts, default=str) + "\n")
