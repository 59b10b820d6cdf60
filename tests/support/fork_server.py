"""Python processes forked from one that has imported TensorFlow: the import takes 7 seconds of processor time.

Such a process has its own words, folder, environment, files and random state, like any other. All of them share
one hash seed. A fork ends when its client is killed. A test that needs the process id of a rank must start it
without `forked`.
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
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

READ_BY_IMPORTS = ("CUDA_", "KERAS_", "MKL_", "NUMEXPR_", "OMP_", "OPENBLAS_", "TF_")
"""Prefixes of environment variables that are read only on import."""

IMPORTED_LATE = (
    "gensim.models",
    "hypothesis",
    "moto.server",
    "openTSNE",
    "optuna.importance",
    "optuna.storages._rdb.models",
    "optuna.visualization",
    "petastorm",
    "tensorboard.summary.v2",
    "tyro",
)
"""Modules that trainings import when they need them, and that tests import."""


SERVER = "MSD_SPARK_FORK_SERVER"
"""Environment variable with the folder of a server that all test processes share."""


def forked() -> dict[str, str]:
    """Return an environment in which ``python SCRIPT.py`` is forked from a server.

    It is the server of `SERVER`, or one that is started.
    """
    from tests.support.launched import environment

    folder = os.environ.get(SERVER) or start()
    return {"PATH": f"{folder}{os.pathsep}{environment()['PATH']}"}


@functools.cache
def start() -> str:
    """Start a server that ends with this process; return its folder."""
    from tests.support.launched import environment

    folder = Path(tempfile.mkdtemp(prefix="forked-"))
    real = shlex.quote(sys.executable)
    (folder / "python").write_text(
        f'#!/bin/sh\ncase "$1" in *.py) exec {python(str(folder))} "$@";; esac\nexec {real} "$@"\n'
    )
    (folder / "python").chmod(0o755)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket"))
        listener.listen()
        server = subprocess.Popen(
            [sys.executable, "-u", "-m", "tests.support.fork_server", str(listener.fileno()), folder],
            stdin=subprocess.PIPE,
            pass_fds=[listener.fileno()],
            env=environment(),
            start_new_session=True,
        )
    atexit.register(server.communicate)
    return str(folder)


def python(folder: str) -> str:
    """Return the command that starts a process forked from the server in `folder`."""
    return shlex.join([sys.executable, "-IS", str(Path(__file__).with_name("fork_client.py")), f"{folder}/socket"])


def main() -> None:
    """Fork once for each client until the standard input closes.

    The process that started the server holds it open.
    """
    before = dict(os.environ)
    with socket.socket(fileno=int(sys.argv[1])) as listener:
        if sys.stdin not in wait(listener):
            import_everything()
        while sys.stdin not in wait(listener):
            with listener.accept()[0] as client:
                if os.fork() == 0:
                    listener.close()
                    serve(client, before)
    shutil.rmtree(sys.argv[2])
    with contextlib.suppress(ChildProcessError):
        while os.wait():
            pass


def wait(listener: socket.socket) -> list[Any]:
    """Return the standard input if it is closed, and the listener if there is a client."""
    return select.select([sys.stdin, listener], [], [])[0]


def import_everything() -> None:
    """Import the modules of training and what they need, without starting TensorFlow."""
    import training

    modules = [module.name for module in pkgutil.walk_packages(training.__path__, "training.")]
    with warnings.catch_warnings(action="ignore"):
        for module in (*modules, *IMPORTED_LATE):
            importlib.import_module(module)
    from tensorflow.python.eager import context

    assert not context.context()._initialized, "an import started TensorFlow, whose threads a fork does not have"
    gc.collect()
    gc.freeze()  # the collector of a fork would otherwise copy every page


def serve(client: socket.socket, before: Mapping[str, str]) -> None:
    """Run a client's script in a further fork; report its process and exit status.

    That process is killed if the client is, and at the end of the tests.
    """
    length, files, _, _ = socket.recv_fds(client, 4, 3)
    words, folder, environ = json.loads(client.recv(int.from_bytes(length, "little"), socket.MSG_WAITALL))
    process = os.fork()
    if process == 0:
        client.close()
        os.setsid()  # as a rank of the launcher: Linux schedules by session, and Horovod polls more often within one
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        run(words, folder, environ, before)
        sys.exit()
    send(client, process)
    ended = os.pidfd_open(process)
    if ended not in select.select([ended, client, sys.stdin], [], [])[0]:
        os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    send(client, status)
    os._exit(0)


def send(client: socket.socket, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # the client was killed
        client.sendall(number.to_bytes(4, "little"))


def run(words: list[str], folder: str, environ: Mapping[str, str], before: Mapping[str, str]) -> None:
    """Run a script or a pytest-xdist process here; `before` is the environment of the imports."""
    for name in before.keys() | environ.keys():
        if name.startswith(READ_BY_IMPORTS) and environ.get(name) not in (before.get(name), os.environ.get(name)):
            sys.exit(f"{name} is {environ.get(name)}, but a fork has {before.get(name)}; start it without forked()")
    set_by_imports = {name: value for name, value in os.environ.items() if name not in before}
    os.environ.clear()
    os.environ.update(set_by_imports | dict(environ))
    os.chdir(folder)
    sys.modules.pop("horovod")  # `msd_spark.core.command_line.reported` checks whether it is imported
    np.random.seed()  # noqa: NPY002 - as in any new process
    if words[:2] == ["-u", "-c"]:  # pytest-xdist starts a test process
        exec(words[2], {"__name__": "__main__"})
        return
    sys.argv, sys.path[0] = words, str(Path(words[0]).parent.absolute())
    runpy.run_path(words[0], run_name="__main__")


if __name__ == "__main__":
    main()
