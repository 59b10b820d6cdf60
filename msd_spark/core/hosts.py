"""The name and the addresses of this machine, which Spark and Horovod use."""

from __future__ import annotations

import socket
from contextlib import suppress

LOOPBACK = "127.0.0.1"


def own_name_resolves() -> bool:
    """Return whether the host name resolves to an IPv4 or IPv6 address of this machine."""
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
    """Return the error message for a host name without an address of this machine."""
    return f"host name {socket.gethostname()} does not resolve to an address of this machine; add it to /etc/hosts"
