"""The process of a proxy, which ``proxy.py`` starts: ``python -m tests.support.local_s3.forward ENDPOINT ADDRESS``.

It prints its address, then reads one JSON object per line from standard input and prints one result per line. Each
client connection has its own thread and its own connection to the server.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import socket
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from io import BufferedReader
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.support.local_s3.proxy import Fault, Request

PIECE = 1 << 20
"""Most bytes forwarded at once."""

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
ERROR = '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{0}</Code><Message>{0} (injected)</Message></Error>'


class Peer:
    """One end of a connection, read through a buffer and written directly."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection = connection
        self.reader: BufferedReader = connection.makefile("rb")

    def has_ended(self) -> bool:
        """Return whether an idle peer has closed its end."""
        try:
            return not self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except ConnectionError:
            return True

    def reset(self) -> bool:
        """Reset the connection; return False, as it is no longer open."""
        with contextlib.suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()
        return False

    def close(self) -> None:
        """Close the connection."""
        self.reader.close()
        self.connection.close()


class Head:
    """The first line and the header fields of a request or response."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        first, *lines = data.decode("latin-1").rstrip("\r\n").split("\r\n")
        self.first = first.split(" ")
        pairs = (line.partition(":") for line in lines)
        self.fields = {name.strip().lower(): value.strip() for name, _, value in pairs}

    @classmethod
    def read(cls, peer: Peer) -> Head | None:
        """Return the next head; None if the connection ended before it."""
        lines = []
        while (line := peer.reader.readline()) != b"\r\n":
            if not line:
                return None
            lines.append(line)
        return cls(b"".join([*lines, line]))

    @property
    def length(self) -> int | None:
        """Bytes of the body; None where only its end shows."""
        value = self.fields.get("content-length")
        return None if value is None else int(value)

    @property
    def chunked(self) -> bool:
        """Whether the body comes in chunks, each with its length."""
        return "chunked" in self.fields.get("transfer-encoding", "").lower()

    def without(self, name: str) -> bytes:
        """Return the head without one field."""
        return re.sub(rb"(?im)^" + name.encode() + rb":.*\r\n", b"", self.data)


def forward(source: Peer, target: Peer | None, n: int | None) -> int:
    """Forward `n` bytes, or all up to the end; drop them without a target. Return their number."""
    buffer = memoryview(bytearray(PIECE if n is None else min(PIECE, n)))
    total = 0
    while n is None or total < n:
        size = source.reader.readinto1(buffer[: len(buffer) if n is None else min(len(buffer), n - total)])
        if not size:
            if n is not None:
                raise ConnectionError("the sender ended within a body")
            break
        total += size
        if target:
            target.connection.sendall(buffer[:size])
    return total


def forward_chunks(source: Peer, target: Peer | None) -> int:
    """Forward a chunked body; return the number of its bytes."""
    total = 0
    while True:
        line = source.reader.readline()
        if not line:
            raise ConnectionError("the sender ended within a body")
        if target:
            target.connection.sendall(line)
        size = int(line.split(b";")[0], 16)
        if not size:  # trailing fields end with an empty line
            while line not in (b"\r\n", b""):
                line = source.reader.readline()
                if target:
                    target.connection.sendall(line)
            return total
        forward(source, target, size + 2)
        total += size


def forward_request_body(head: Head, client: Peer, server: Peer | None) -> int:
    """Forward a request's body, which is empty unless its head says otherwise; return the number of its bytes."""
    return forward_chunks(client, server) if head.chunked else forward(client, server, head.length or 0)


def kind_of(method: str, path: str, query: str, fields: Mapping[str, str]) -> str:
    """Classify a request."""
    names = {part.partition("=")[0] for part in query.split("&")}
    if "x-amz-copy-source" in fields:
        return "copy"
    if names & {"uploads", "uploadId"}:
        return "multipart"
    if method == "POST" and "delete" in names:
        return "delete"
    if "/" in path.strip("/"):
        return "object"
    return "list" if method == "GET" and not names & {"location", "acl", "policy"} else "bucket"


class Forwarder:
    """Forward the requests of any number of connections to the server at `endpoint`, with delay and faults."""

    def __init__(self, endpoint: str) -> None:
        parts = urlsplit(endpoint)
        self._upstream = (parts.hostname, parts.port or 80)
        self._lock = threading.Lock()
        self.log: list[Request] = []
        self.active: set[Head] = set()
        self.configure()

    def configure(self, delay: float = 0.0, faults: tuple[Fault, ...] = (), seed: int = 0) -> None:
        """Set delay and faults for requests that begin from now on."""
        with self._lock:
            self._delay, self._faults = delay, faults
            self._draws = random.Random(seed)
            self._used: Counter[int] = Counter()

    def _fault(self, method: str, target: str) -> Fault | None:
        """Return the fault of a request, if any."""
        with self._lock:
            for number, fault in enumerate(self._faults):
                if fault.first is not None and self._used[number] >= fault.first:
                    continue
                matches = re.fullmatch(fault.method, method) and re.search(fault.key, target)
                if matches and self._draws.random() < fault.share:
                    self._used[number] += 1
                    return fault
        return None

    def serve(self, connection: socket.socket) -> None:
        """Serve one connection, over one connection to the server."""
        client, server = Peer(connection), None
        try:
            while head := Head.read(client):
                if server is None or server.has_ended():
                    if server:
                        server.close()
                    server = Peer(socket.create_connection(self._upstream))
                if not self._exchange(head, client, server):
                    return
        except OSError:
            client.reset()  # what one side does to its connection, the other sees too
        finally:
            client.close()
            if server:
                server.close()

    def _exchange(self, head: Head, client: Peer, server: Peer) -> bool:
        """Forward one request and its response; return whether the connection stays open."""
        self.active.add(head)
        started = time.monotonic()
        method, target = head.first[0], unquote(head.first[1]).lstrip("/")
        fault = self._fault(method, target)
        counts = {"received": 0, "sent": 0, "status": 0}
        try:
            if head.fields.get("expect", "").lower() == "100-continue":
                client.connection.sendall(CONTINUE)
            if fault and fault.kind in ("refuse", "reset"):
                counts["received"] = forward_request_body(head, client, None)
                time.sleep(self._delay)
                if fault.kind == "reset":
                    return client.reset()
                counts["status"] = fault.status
                body = b"" if method == "HEAD" else ERROR.format(fault.code).encode()
                first = f"HTTP/1.1 {fault.status} {fault.code}\r\nContent-Type: application/xml\r\n"
                client.connection.sendall(f"{first}Content-Length: {len(body)}\r\n\r\n".encode() + body)
                return True
            server.connection.sendall(head.without("expect"))
            counts["received"] = forward_request_body(head, client, server)
            return self._respond(method, fault, client, server, counts)
        finally:
            what = method, kind_of(method, *(target.partition("?")[::2]), head.fields), target
            how = head.fields.get("range", ""), counts["status"], fault.kind if fault else ""
            seconds = time.monotonic() - started
            self.log.append(Request(*what, *how, counts["received"], counts["sent"], started, seconds))
            self.active.discard(head)

    def _respond(self, method: str, fault: Fault | None, client: Peer, server: Peer, counts: dict[str, int]) -> bool:
        response = Head.read(server)
        while response and response.first[1] == "100":
            response = Head.read(server)
        if response is None:
            raise ConnectionError("the server ended its connection")
        time.sleep(self._delay + (fault.seconds if fault and fault.kind == "stall" else 0))
        if fault and fault.kind == "lose":
            return client.reset()
        counts["status"] = int(response.first[1])
        client.connection.sendall(response.data)
        if method == "HEAD" or counts["status"] in (204, 304):
            return True
        if fault and fault.kind == "cut":
            counts["sent"] = forward(server, client, (response.length or 0) // 2)
            time.sleep(0.05)  # a reset discards what the client has not received yet
            return client.reset()
        if response.chunked:
            counts["sent"] = forward_chunks(server, client)
            return True
        counts["sent"] = forward(server, client, response.length)
        return response.length is not None and response.fields.get("connection", "").lower() != "close"


def obey(forwarder: Forwarder, command: dict[str, Any]) -> Any:
    """Carry out one command of the caller."""
    deadline = time.monotonic() + 0.1
    while forwarder.active and time.monotonic() < deadline:  # a client has its response before the request is logged
        time.sleep(0.001)
    if "requests" in command:
        return forwarder.log
    if "clear" in command:
        forwarder.log = []
    else:
        faults = tuple(Fault(**fields) for fields in command["faults"])
        forwarder.configure(command["delay"], faults, command["seed"])
    return None


def main(endpoint: str, address: str) -> None:
    """Forward until standard input ends."""
    forwarder = Forwarder(endpoint)
    listener = socket.create_server((address, 0), backlog=512)
    print(json.dumps("http://{}:{}".format(*listener.getsockname()[:2])), flush=True)

    def accept() -> None:
        while True:
            threading.Thread(target=forwarder.serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    for line in sys.stdin:
        print(json.dumps(obey(forwarder, json.loads(line))), flush=True)
    os._exit(0)  # open connections end with the process


if __name__ == "__main__":
    main(*sys.argv[1:])
