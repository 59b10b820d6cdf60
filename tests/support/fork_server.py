"""Python processes forked from one that has imported TensorFlow: the import takes 7 seconds of processor time.

Each is a process as the command would start it, with its own words, folder, environment, files and random state.
Not as there, all have one hash seed. Use the real `python` for a process that a test looks for or kills.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np

READ_BY_IMPORTS = ("OMP_", "OPENBLAS_", "MKL_", "NUMEXPR_", "ARROW_", "TF_", "KERAS_", "CUDA_", "PYTHON")
"""Beginnings of the names of environment variables that take effect when a module is imported."""

IMPORTED_LATE = (
    "obstore.auth.boto3",
    "optuna.visualization",
    "petastorm",
    "scipy.stats",
    "tensorboard.summary.v2",
    "tyro",
)
"""What trainings import inside functions."""

CLIENT = Path(__file__).with_name("fork_client.py")


@functools.cache
def forked() -> dict[str, str]:
    """Start the server of this test process; return the environment in which ``python SCRIPT`` is a fork of it."""
    from tests.support.launched import environment

    folder = tempfile.mkdtemp(prefix="forked-")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{folder}/socket")
    listener.listen(64)
    real = shlex.quote(sys.executable)
    forking = f'case "$1" in *.py) exec {real} -IS {shlex.quote(str(CLIENT))} {folder}/socket "$@";; esac'
    Path(folder, "python").write_text(f'#!/bin/sh\n{forking}\nexec {real} "$@"\n')
    Path(folder, "python").chmod(0o755)
    server = subprocess.Popen(
        [sys.executable, "-u", "-m", "tests.support.fork_server", str(listener.fileno()), folder],
        stdin=subprocess.PIPE,
        pass_fds=[listener.fileno()],
        env=environment(),
        start_new_session=True,
    )
    listener.close()
    atexit.register(server.communicate)
    return {"PATH": f"{folder}{os.pathsep}{environment()['PATH']}"}


class Request(NamedTuple):
    """A command to run: words, folder, environment; standard input, output and error."""

    words: list[str]
    folder: str
    environ: dict[str, str]
    files: list[int]


def import_everything() -> None:
    """Import all modules of training, and with them TensorFlow, but start no thread of TensorFlow."""
    import training

    modules = [module.name for module in pkgutil.walk_packages(training.__path__, "training.")]
    with warnings.catch_warnings(action="ignore"):
        for module in (*modules, *IMPORTED_LATE):
            importlib.import_module(module)
    from tensorflow.python.eager import context

    assert not context.context()._initialized, "an import started TensorFlow, whose threads a fork does not have"
    gc.collect()
    gc.freeze()  # the collector of a fork would otherwise copy every page


def next_request(listener: socket.socket) -> Request | None:
    """Fork for each request; return it in the process that is to run it, and None in this one at the tests' end."""
    while True:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if sys.stdin in select.select([sys.stdin, listener], [], [])[0]:
            return None
        client, _ = listener.accept()
        if os.fork() == 0:
            return guarded(client)


def guarded(client: socket.socket) -> Request:
    """Fork, and return the request in the new process; in this one, tell the client how that process ends.

    The process is killed if its client dies or the tests end.
    """
    length, files, _, _ = socket.recv_fds(client, 4, 3)
    words, folder, environ = json.loads(client.recv(int.from_bytes(length, "little"), socket.MSG_WAITALL))
    process = os.fork()
    if process == 0:
        return Request(words, folder, environ, files)
    client.sendall(process.to_bytes(4, "little"))
    ended = os.pidfd_open(process)
    if ended not in select.select([ended, client, sys.stdin], [], [])[0]:
        os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    with contextlib.suppress(BrokenPipeError):
        client.sendall(status.to_bytes(4, "little"))
    os._exit(0)


def run(request: Request, before: dict[str, str]) -> None:
    """Run a script in this process; `before` is the environment before the imports."""
    for number, file in enumerate(request.files):
        os.dup2(file, number)
        os.close(file)
    set_by_imports = {name: value for name, value in os.environ.items() if name not in before}
    for name in before.keys() | request.environ.keys():
        if name.startswith(READ_BY_IMPORTS) and before.get(name) != request.environ.get(name):
            sys.exit(f"{name} is {request.environ.get(name)}, but {before.get(name)} in the fork server's environment")
    os.chdir(request.folder)
    os.environ.clear()
    os.environ.update(set_by_imports | request.environ)
    sys.argv = request.words
    sys.path[0] = str(Path(request.words[0]).parent.absolute())
    sys.modules.pop("horovod")  # `msd_spark.core.command_line.reported` asks whether it is imported
    np.random.seed()  # noqa: NPY002 - as in a new process
    runpy.run_path(request.words[0], run_name="__main__")


def main() -> None:
    """Serve until the standard input is closed: ``fork_server.py LISTENER FOLDER``."""
    before = dict(os.environ)
    import_everything()
    request = next_request(socket.socket(fileno=int(sys.argv[1])))
    if request is not None:
        run(request, before)
        return
    shutil.rmtree(sys.argv[2])
    with contextlib.suppress(ChildProcessError):
        while os.wait():
            pass


if __name__ == "__main__":
    main()
