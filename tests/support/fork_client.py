"""Stand in for one process of the fork server: ``python -IS fork_client.py SOCKET SCRIPT WORDS``.

It passes on its words, folder, environment and files, then signals, and ends as that process ends.
"""

from __future__ import annotations

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


process = received()
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, lambda number, frame: os.kill(process, number))
status = os.waitstatus_to_exitcode(received())
if status < 0:
    signal.signal(-status, signal.SIG_DFL) if status != -signal.SIGKILL else None
    os.kill(os.getpid(), -status)
sys.exit(status)
