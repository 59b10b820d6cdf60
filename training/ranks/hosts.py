"""Check the hosts and slots of a launcher, line by line, before any rank starts."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from msd_spark.core.errors import UserError

# ssh reads a host that begins with - as an option.
_NAME = r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?"
_SLOTS = "[1-9][0-9]{0,3}"
_IN_LIST = re.compile(f"(?P<host>{_NAME}):{_SLOTS}")
_IN_FILE = re.compile(f"(?P<host>{_NAME})[ \t]+slots={_SLOTS}")


def check_host_list(hosts: str) -> None:
    """Check ``HOST:SLOTS,HOST:SLOTS``; a `UserError` names the item that is wrong."""
    _check(hosts.split(","), _IN_LIST, "host {number} of -H", "write HOST:SLOTS")


def check_host_file(path: Path) -> None:
    """Check a file with one line ``HOST slots=SLOTS`` per host.

    A `UserError` names a wrong line.
    """
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"hosts file {path} cannot be read: {error}") from None
    lines = [line.rstrip() for line in text.splitlines()]
    if not lines:
        raise UserError(f"hosts file {path} is empty; write a line HOST slots=SLOTS per host")
    _check(lines, _IN_FILE, f"line {{number}} of {path}", "write HOST slots=SLOTS")


def _check(items: Iterable[str], form: re.Pattern[str], place: str, remedy: str) -> None:
    numbers: dict[str, int] = {}
    for number, item in enumerate(items, 1):
        match = form.fullmatch(item)
        if not match:
            raise UserError(f"{place.format(number=number)} is {item!r}; {remedy}, with 1 to 9999 slots")
        if first := numbers.get(match["host"]):
            place = place.format(number=number)
            raise UserError(f"{place} is {match['host']!r}, the same host as number {first}; list each host once")
        numbers[match["host"]] = number
