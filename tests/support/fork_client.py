"""Run a script in a fork of the server: ``python -IS fork_client.py SOCKET SCRIPT WORDS``.

The fork has this process's words, folder, environment and files, and receives its signals. This process ends as the
fork does.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys

server = socket.socket(socket.AF_UNIX)
server.connect(sys.argv[1])
request = json.dumps([sys.argv[2:], os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(server, [len(request).to_bytes(4, "little")], [0, 1, 2])
server.sendall(request)


def received() -> int:
    content = server.recv(4, socket.MSG_WAITALL)
    if len(content) < 4:
        sys.exit("the fork server of the tests ended before this process")
    return int.from_bytes(content, "little")


def forward(number: int, frame: object) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, number)


process = received()
FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
for number in FORWARDED:
    signal.signal(number, forward)
status = os.waitstatus_to_exitcode(received())
if status < 0:
    for number in FORWARDED:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
sys.exit(status)
