"""The name and the addresses of this machine, which Spark and Horovod use."""

from __future__ import annotations

import socket
from contextlib import suppress

LOOPBACK = "127.0.0.1"


def own_name_resolves() -> bool:
    """Return whether the name of this machine has an address, IPv4 or IPv6, that this machine has."""
    try:
        addresses = socket.getaddrinfo(socket.gethostname(), 0, type=socket.SOCK_STREAM)
    except OSError:
        return False
    for family, kind, protocol, _, address in addresses:
        with suppress(OSError), socket.socket(family, kind, protocol) as server:
            server.bind(address)
            return True
    return False


def no_address() -> str:
    """Return the text for a machine whose name has no address of it."""
    return f"the name of this machine, {socket.gethostname()}, has no address of it; add one to /etc/hosts"
