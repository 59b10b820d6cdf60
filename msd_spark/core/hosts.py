"""The name of this machine, which Spark and Horovod look up."""

from __future__ import annotations

import socket

LOOPBACK = "127.0.0.1"


def own_name_resolves() -> bool:
    """Return whether the name of this machine has an address."""
    try:
        return bool(socket.getaddrinfo(socket.gethostname(), None))
    except OSError:
        return False


def no_address() -> str:
    """Return the text for a machine whose name has no address."""
    return f"the name of this machine, {socket.gethostname()}, has no address; add it to /etc/hosts"
