"""The process of a proxy: ``python -m tools.local_s3.forward ENDPOINT ADDRESS``; ``proxy.py`` starts and controls it.

It prints its address, then reads one JSON object per line from standard input and prints one result per line.
"""

from __future__ import annotations

import asyncio
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
from asyncio import StreamReader, StreamWriter
from collections import Counter
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from tools.local_s3.proxy import Fault, Request

PIECE = 1 << 20
"""Most bytes forwarded at once."""

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
ERROR = '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{0}</Code><Message>{0} (injected)</Message></Error>'


class Head:
    """The first line and the header fields of a request or response."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        first, *lines = data.decode("latin-1").rstrip("\r\n").split("\r\n")
        self.first = first.split(" ")
        pairs = (line.partition(":") for line in lines)
        self.fields = {name.strip().lower(): value.strip() for name, _, value in pairs}

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


async def read_head(reader: StreamReader) -> Head | None:
    """Return the next head; None if the connection ended before it."""
    try:
        return Head(await reader.readuntil(b"\r\n\r\n"))
    except asyncio.IncompleteReadError:
        return None


async def forward(reader: StreamReader, writer: StreamWriter | None, n: int | None) -> int:
    """Forward `n` bytes, or all up to the end; drop them without a writer. Return their number."""
    total = 0
    while n is None or total < n:
        piece = await reader.read(PIECE if n is None else min(PIECE, n - total))
        if not piece:
            if n is not None:
                raise ConnectionError("the sender ended within a body")
            break
        total += len(piece)
        if writer:
            writer.write(piece)
            await writer.drain()
    return total


async def forward_chunks(reader: StreamReader, writer: StreamWriter | None) -> int:
    """Forward a chunked body; return the number of its bytes."""
    total = 0
    while True:
        line = await reader.readuntil(b"\r\n")
        if writer:
            writer.write(line)
        size = int(line.split(b";")[0], 16)
        if not size:  # trailing fields end with an empty line
            while line != b"\r\n":
                line = await reader.readuntil(b"\r\n")
                if writer:
                    writer.write(line)
            return total
        await forward(reader, writer, size + 2)
        total += size


def forward_body(head: Head, reader: StreamReader, writer: StreamWriter | None) -> Any:
    """Forward a request's body, which is empty unless its head says otherwise."""
    return forward_chunks(reader, writer) if head.chunked else forward(reader, writer, head.length or 0)


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
    """Forward the requests of any number of connections, with delay and faults.

    Parameters
    ----------
    endpoint : str
        Address of the server.
    """

    def __init__(self, endpoint: str) -> None:
        parts = urlsplit(endpoint)
        self._upstream = (parts.hostname, parts.port or 80)
        self.log: list[Request] = []
        self.configure()

    def configure(self, delay: float = 0.0, faults: tuple[Fault, ...] = (), seed: int = 0) -> None:
        """Set delay and faults for requests that begin from now on."""
        self._delay, self._faults = delay, faults
        self._draws = random.Random(seed)
        self._used: Counter[int] = Counter()

    def _fault(self, method: str, target: str) -> Fault | None:
        """Return the fault of a request, if any."""
        for number, fault in enumerate(self._faults):
            if fault.first is not None and self._used[number] >= fault.first:
                continue
            matches = re.fullmatch(fault.method, method) and re.search(fault.key, target)
            if matches and self._draws.random() < fault.share:
                self._used[number] += 1
                return fault
        return None

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Serve one connection, over one connection to the server."""
        server: tuple[StreamReader, StreamWriter] | None = None
        try:
            while head := await read_head(reader):
                if server is None or server[0].at_eof():
                    if server:
                        server[1].close()
                    server = await asyncio.open_connection(*self._upstream, limit=PIECE)
                if not await self._exchange(head, (reader, writer), server):
                    return
        except (OSError, asyncio.IncompleteReadError):
            reset(writer)  # what one side does to its connection, the other sees too
        finally:
            writer.close()
            if server:
                server[1].close()

    async def _exchange(
        self, head: Head, client: tuple[StreamReader, StreamWriter], server: tuple[StreamReader, StreamWriter]
    ) -> bool:
        """Forward one request and its response; return whether the connection stays open."""
        started = time.monotonic()
        method, target = head.first[0], unquote(head.first[1]).lstrip("/")
        fault = self._fault(method, target)
        if head.fields.get("expect", "").lower() == "100-continue":
            client[1].write(CONTINUE)
        counts = {"received": 0, "sent": 0, "status": 0}
        try:
            if fault and fault.kind in ("refuse", "reset"):
                counts["received"] = await forward_body(head, client[0], None)
                await asyncio.sleep(self._delay)
                if fault.kind == "reset":
                    return reset(client[1])
                counts["status"] = fault.status
                body = b"" if method == "HEAD" else ERROR.format(fault.code).encode()
                first = f"HTTP/1.1 {fault.status} {fault.code}\r\nContent-Type: application/xml\r\n"
                client[1].write(f"{first}Content-Length: {len(body)}\r\n\r\n".encode() + body)
                await client[1].drain()
                return True
            server[1].write(head.without("expect"))
            counts["received"] = await forward_body(head, client[0], server[1])
            await server[1].drain()
            return await self._respond(method, fault, client[1], server[0], counts)
        finally:
            kind = kind_of(method, *(target.partition("?")[::2]), head.fields)
            requested = head.fields.get("range", "")
            self.log.append(
                Request(
                    method,
                    kind,
                    target,
                    requested,
                    counts["status"],
                    fault.kind if fault else "",
                    counts["received"],
                    counts["sent"],
                    started,
                    time.monotonic() - started,
                )
            )

    async def _respond(
        self, method: str, fault: Fault | None, writer: StreamWriter, reader: StreamReader, counts: dict[str, int]
    ) -> bool:
        response = await read_head(reader)
        while response and response.first[1] == "100":
            response = await read_head(reader)
        if response is None:
            raise ConnectionError("the server ended its connection")
        await asyncio.sleep(self._delay + (fault.seconds if fault and fault.kind == "stall" else 0))
        if fault and fault.kind == "lose":
            return reset(writer)
        counts["status"] = int(response.first[1])
        writer.write(response.data)
        if method == "HEAD" or counts["status"] in (204, 304):
            await writer.drain()
        elif fault and fault.kind == "cut":
            counts["sent"] = await forward(reader, writer, (response.length or 0) // 2)
            await asyncio.sleep(0.05)  # a reset discards what the client has not received yet
            return reset(writer)
        elif response.chunked:
            counts["sent"] = await forward_chunks(reader, writer)
            await writer.drain()
        else:
            counts["sent"] = await forward(reader, writer, response.length)
            return response.length is not None and response.fields.get("connection", "").lower() != "close"
        return True


def reset(writer: StreamWriter) -> bool:
    """Reset a connection; return False, as it is no longer open."""
    connection = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    return False


def obey(forwarder: Forwarder, command: dict[str, Any]) -> Any:
    """Carry out one command of the caller."""
    if "requests" in command:
        return forwarder.log
    if "clear" in command:
        forwarder.log = []
    else:
        faults = tuple(Fault(**fields) for fields in command["faults"])
        forwarder.configure(command["delay"], faults, command["seed"])
    return None


async def main(endpoint: str, address: str) -> None:
    """Forward until standard input ends."""
    forwarder = Forwarder(endpoint)
    server = await asyncio.start_server(forwarder.serve, address, 0, limit=PIECE, backlog=512)
    print(json.dumps("http://{}:{}".format(*server.sockets[0].getsockname()[:2])), flush=True)
    loop = asyncio.get_running_loop()

    async def answer(line: str) -> None:
        print(json.dumps(obey(forwarder, json.loads(line))), flush=True)

    def listen() -> None:
        for line in sys.stdin:
            asyncio.run_coroutine_threadsafe(answer(line), loop).result()
        os._exit(0)  # open connections end with the process

    threading.Thread(target=listen, daemon=True).start()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
