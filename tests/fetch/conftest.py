"""A local HTTP server of files, with one prepared reply per request."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

ETAG = '"v1"'


@dataclass
class Reply:
    """Reply to one request; whatever is not set is as from a correct server."""

    status: int | None = None
    headers: dict[str, str | None] = field(default_factory=dict)
    body: bytes | None = None
    stop_after: int | None = None
    ignore_range: bool = False
    shift: int = 0


@dataclass
class Server:
    """Files by path; prepared replies by path, in order; the requests received."""

    address: str
    files: dict[str, bytes] = field(default_factory=dict)
    replies: dict[str, list[Reply]] = field(default_factory=dict)
    etags: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def url(self, path: str) -> str:
        return f"{self.address}/{path}"

    @property
    def ranges(self) -> list[str | None]:
        return [headers.get("Range") for _, headers in self.asked]


class Handler(BaseHTTPRequestHandler):
    server_of_files: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server, path = self.server_of_files, self.path.lstrip("/")
        server.asked.append((path, dict(self.headers)))
        waiting = server.replies.get(path, [])
        reply = waiting.pop(0) if waiting else Reply()
        content = server.files.get(path)
        etag = server.etags.get(path, ETAG)
        start = 0
        status, body = (404, b"none") if content is None else (200, content)
        headers: dict[str, str | None] = {"ETag": etag, "Content-Type": "application/octet-stream"}
        wanted = self.headers.get("Range")
        if content is not None and wanted and not reply.ignore_range and self.headers.get("If-Range") == etag:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(content):
                status, body = 416, b""
                headers["Content-Range"] = f"bytes */{len(content)}"
            else:
                start += reply.shift
                status, body = 206, content[start:]
                headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        status = reply.status or status
        body = body if reply.body is None else reply.body
        headers = {"Content-Length": str(len(body))} | headers | reply.headers
        self.send_response(status)
        for name, value in headers.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body if reply.stop_after is None else body[: reply.stop_after])
        if reply.stop_after is not None or headers["Content-Length"] is None:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    handler = type("OneServersHandler", (Handler,), {})
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    files = Server(f"http://127.0.0.1:{http.server_address[1]}")
    handler.server_of_files = files  # type: ignore[attr-defined]
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield files
    http.shutdown()
    http.server_close()
    thread.join()
