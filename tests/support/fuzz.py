"""Call the command line with random options, odd values and odd paths: ``python -m tests.support.fuzz --calls 2000``.

Each call runs in a process forked from this one, in a folder with data and a warehouse. It must end with exit status 0,
or with one line on standard error and exit status 2, and may change only the warehouse and the outputs that it names.
A call that would start Spark ends there; with ``--spark N``, the first N of them per verb are repeated with Spark.
The seed determines the calls.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import pkgutil
import random
import resource
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import SparkSession

import msd_spark
from msd_spark.core.command_line import main as run_command_line
from msd_spark.core.options import Declared, declared_options
from msd_spark.core.verbs import VERBS
from msd_spark.spark import session
from tests.support.fork_server import import_everything

STARTS_SPARK = 77
"""Exit status of a call that would start Spark."""

SECONDS = 120.0
"""A call that takes longer, with Spark three times as long, is killed, and counts as a fault."""

MEMORY = 6 << 30
"""Bytes of private memory that a call may have."""

GENSIM = "home/gensim-data"
"""Folder in which gensim's downloader keeps its list of models."""

TRAINING = ("--model", "dense", "--inputs", "lyrics", "--epochs", "1", "--batch-size", "8")
BASES: dict[str, tuple[str, ...]] = {
    "fetch": (),
    "synthetic": ("--songs", "2", "--users", "3", "--workers", "1", "--output", "out"),
    "ingest": ("--songs", "data/songs"),
    "lyrics": ("--data", "data"),
    "labels": ("--data", "data", "--min-examples", "1"),
    "plays": ("--data", "data"),
    "factors": ("--min-tracks", "1", "--min-listeners", "1"),
    "dataset": ("--min-examples", "1"),
    "train": (*TRAINING, "--run", "new"),
    "evaluate": ("--run", "demo"),
    "compare": ("--models", "dense", "--inputs", "lyrics", "--seeds", "1", *TRAINING[4:]),
    "search": ("--trials", "1", *TRAINING),
    "listen": ("--run", "demo"),
    "score": ("--run", "demo"),
    "neighbours": ("--run", "demo"),
    "maps": ("--run", "demo"),
    "report": ("--run", "demo"),
    "explore": ("--run", "demo"),
    "similar": ("TRAAAAA128F0000000",),
    "lineage": ("TRAAAAA128F0000000",),
    "pipeline": ("--data", "data", "--dry-run"),
    "aws": ("cost", "--stack", "stack.json"),
    "doctor": (),
}
"""Words of a valid and quick call of each verb, without the warehouse."""

LONG = {"epochs", "trials", "seeds", "songs", "users", "workers", "broken", "iterations", "resamples", "timeout"}
"""Options that may be huge, but then take as long as they say."""

OUTPUTS = {"warehouse", "output", "to", "study", "export", "m3u"}
"""Options that name a place to write to."""

NUMBERS = (
    *("", " ", "abc", "nan", "NaN", "inf", "-inf", "-0", "0", "-1", "+5", "1", "2", "7", "1e3", "1e400", "1_000"),
    *("0x10", "٣", "½", "1.5", "0.5", "-0.5", "1,000", "1e-400", "--1", "None"),
)
HUGE = ("9223372036854775807", "9223372036854775808", "1" + 30 * "0", "-1" + 30 * "0")
TEXTS = (
    *(
        "",
        " ",
        ".",
        "..",
        "../x",
        "/abs",
        "a/b",
        "a\\b",
        "demo",
        "genre",
        "nosuch",
        "all",
        "none",
        "None",
        "名前",
        "e\u0301",
    ),
    *(
        "it's",
        'say "x"',
        "$(touch x)",
        "`touch x`",
        "; touch x",
        "*",
        "[a]",
        "{a,b}",
        "~",
        "-x",
        "--",
        ".hidden",
        "a\nb",
    ),
    *("a\tb", "\u202ex", "%00", "%s", "\udcff", "x" * 300, "名" * 90, "=", "a=", "=a", "a=b", ",", "a,,b", "0", "nan"),
    *(
        "TRAAAAA128F0000000",
        "train.epochs=1",
        "train.epochs=nan",
        "score.batch-size=-1",
        "nosuch.x=1",
        "1:1",
        "sqrt",
        "0:0",
    ),
)
PLACES = (
    *("", " ", ".", "..", "/", "data", "data/songs", "w", "w/songs", "odd/empty.txt", "odd/junk.bin", "odd/folder"),
    *("odd/fifo", "odd/dangling", "odd/loop", 'odd/it\'s "a" file.txt', "odd/名前.txt", "odd/cut.gz", "odd/empty.zip"),
    *("odd/nosuch/x", "odd/empty.txt/x", "nosuch", "x" * 300, "/".join(["x"] * 300), "/dev/null", "/dev/zero", "file:"),
    *(
        "file:///nosuch",
        "ftp://x/y",
        "http://127.0.0.1:9/x",
        "s3a://b/k",
        "\udcff",
        "a\nb",
        "[a]",
        "*",
        "data/*",
        "~/x",
    ),
    *("odd/bad.toml", "odd/types.toml", "odd/bad.json", "odd/bad.parquet", "odd/header.csv", "%41", "a?b", "a#b", "-"),
)
OUTPUT_PLACES = (
    "",
    "odd/empty.txt",
    "odd/folder",
    "odd/empty.txt/x",
    "odd/dangling",
    "out/new",
    "odd/fifo",
    "o'u\"t",
    "\udcff",
)
WAREHOUSES = (*OUTPUT_PLACES, "odd/junk.bin", "odd/nosuch/w", "file:", "file:w", "s3a://b/k", "data", "a?b", "x" * 300)
STRUCTURE = (
    "--nosuch",
    "--nosuch=1",
    "--help",
    "-h",
    "-x",
    "--",
    "stray",
    "",
    "--no-run",
    "--warehouse",
    "\udcff",
    "--=",
    "---",
)


@dataclass(frozen=True)
class Call:
    """Words of a call after ``msd-spark``, and the outputs that they name."""

    words: tuple[str, ...]
    outputs: tuple[str, ...]

    def __str__(self) -> str:
        """Return the call as typed."""
        return shlex.join(["msd-spark", *(word.encode("utf-8", "backslashreplace").decode() for word in self.words)])


def calls(seed: int) -> Iterator[Call]:
    """Yield random calls, of each verb in turn."""
    generator = random.Random(seed)
    while True:
        for verb in VERBS:
            yield _call(verb, generator)


def _call(verb: str, generator: random.Random) -> Call:
    options = list(declared_options(VERBS[verb].settings_class()))
    by_name = {one.name: one for one in options}
    words, outputs = [*BASES[verb]], []
    warehouse = "warehouse" in by_name
    if warehouse:
        words += ["--warehouse", "w"]
    for one in generator.sample(options, min(len(options), generator.choice((1, 1, 2, 3)))):
        if not one.option.positional and one.name not in ("warehouse", *OUTPUTS):
            words += _typed(one, generator)
        elif one.option.positional:
            words[: len(words) and not words[0].startswith("-")] = [generator.choice(TEXTS)]
    if outputs_of_verb := OUTPUTS & by_name.keys() - {"warehouse"}:
        for name in sorted(outputs_of_verb):
            if generator.random() < 0.4:
                words += [f"--{name}", generator.choice(OUTPUT_PLACES)]
    if warehouse and generator.random() < 0.15:
        words += ["--warehouse", generator.choice(WAREHOUSES)]
    if generator.random() < 0.1:
        words += ["--settings", generator.choice(PLACES)]
    if generator.random() < 0.1:
        words.insert(generator.randrange(len(words) + 1), generator.choice(STRUCTURE))
    for place, word in enumerate(words[:-1]):
        if word.removeprefix("--") in OUTPUTS:
            outputs.append(words[place + 1])
    return Call((verb, *words), (*outputs, "warehouse") if warehouse else tuple(outputs))


def _typed(one: Declared, generator: random.Random) -> list[str]:
    """Return an option with random values."""
    if one.kind is bool:
        return [generator.choice((f"--{one.name}", f"--no-{one.name}", f"--{one.name}=1"))]
    kind = str(one.kind)
    values: Sequence[str]
    if "int" in kind or "float" in kind:
        values = NUMBERS if one.name in LONG else (*NUMBERS, *HUGE)
    elif one.option.choices is not None and generator.random() < 0.7:
        values = [str(value) for value in one.option.choices]
    elif one.option.metavar in ("DIR", "FILE", "LOCATION", "NAME=FILE", "TRAIN VALIDATION TEST"):
        values = PLACES
    else:
        values = TEXTS
    size = generator.choice((1, 1, 1, 1, 2, 3, 0)) if "tuple" in kind else generator.choice((1,) * 12 + (0, 2))
    if generator.random() < 0.1:
        return [f"--{one.name}={generator.choice(values)}"]
    return [f"--{one.name}", *(generator.choice(values) for _ in range(size))]


class Sandbox:
    """A folder with ``data``, a warehouse ``w`` and odd files, made again after each call that changes it."""

    def __init__(self, folder: Path, data: Path, warehouse: Path) -> None:
        self.folder, self.template = folder / "here", folder / "template"
        self.log = folder / "log"
        for place in (folder, self.template, self.template / "odd" / "folder", self.template / "home"):
            place.mkdir(parents=True, exist_ok=True)
        shutil.copytree(data, self.template / "data")
        shutil.copytree(warehouse, self.template / "w")
        odd = self.template / "odd"
        contents = {
            "empty.txt": b"",
            "junk.bin": bytes(range(256)) * 9,
            'it\'s "a" file.txt': b"a b\n",
            "名前.txt": "名前\tRock\n".encode(),
            "cut.gz": bytes.fromhex("1f8b08000000000000034b4c"),
            "empty.zip": b"PK\x05\x06" + bytes(18),
            "bad.toml": b"[train\nepochs = ",
            "types.toml": b'epochs = [1, 2]\nrun = 1979-05-27\nseed = {a = 1}\nwarehouse = true\n[train]\nbatch = ""\n',
            "bad.json": b'{"a": ',
            "bad.parquet": b"PAR1 and nothing else",
            "header.csv": b"track_id,song_id\n",
        }
        for name, content in contents.items():
            (odd / name).write_bytes(content)
        os.mkfifo(odd / "fifo")
        (odd / "dangling").symlink_to("nowhere")
        (odd / "loop").symlink_to("loop")
        self.renew()
        if not (self.template / "w" / "models" / "demo").exists():
            train = Call(("train", *TRAINING, "--run", "demo", "--warehouse", "w"), ())
            status, _, err = run(train, self, spark=False)
            if status:
                raise RuntimeError(err)
            shutil.copytree(self.folder / "w" / "models", self.template / "w" / "models", dirs_exist_ok=True)
            self.renew()

    def renew(self) -> None:
        """Make the folder as it was."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self.template, self.folder, symlinks=True, copy_function=_copied, ignore=_fifos)
        os.mkfifo(self.folder / "odd" / "fifo")
        self.before = self.state()

    def state(self) -> dict[str, tuple[int, int]]:
        """Return size and modification time of every file, and zeros for every folder."""
        state: dict[str, tuple[int, int]] = {}
        for folder, folders, files in os.walk(self.folder):
            state |= {os.path.join(folder, name): (0, 0) for name in folders}
            for name in files:
                status = os.lstat(os.path.join(folder, name))
                state[os.path.join(folder, name)] = status.st_size, status.st_mtime_ns
        return state

    def changes(self) -> set[str]:
        """Return the files and folders that were added, removed or changed, relative to the folder."""
        before, now = self.before, self.state()
        changed = {path for path in before.keys() | now.keys() if before.get(path) != now.get(path)}
        return {os.path.relpath(path, self.folder) for path in changed}


def _copied(source: str, target: str) -> str:
    return str(shutil.copy2(source, target, follow_symlinks=False))


def _fifos(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if stat.S_ISFIFO(os.lstat(os.path.join(folder, name)).st_mode)]


def run(call: Call, sandbox: Sandbox, *, spark: bool) -> tuple[int | None, str, str]:
    """Return the exit status of a call, None if it was killed, its standard output and its standard error."""
    streams = sandbox.log.with_suffix(".out"), sandbox.log.with_suffix(".err")
    sandbox.log.write_text(f"{call}\n")
    process = os.fork()
    if process == 0:
        _run_here(call, sandbox, streams, spark=spark)
    deadline = time.monotonic() + (3 if spark else 1) * SECONDS
    while True:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            break
        if time.monotonic() > deadline:
            os.killpg(process, signal.SIGKILL)
            os.waitpid(process, 0)
            status = -1
            break
        time.sleep(0.002)
    out, err = (path.read_text(errors="replace") for path in streams)
    return None if status < 0 else os.waitstatus_to_exitcode(status), out, err


with_spark = False
real_start = session.start_spark


def start_spark(application: str) -> SparkSession:
    """Start Spark, or end this process if the call is made without."""
    if with_spark:
        return real_start(application)
    os._exit(STARTS_SPARK)


def import_product() -> None:
    """Import the modules of all verbs, with `start_spark` instead of Spark's."""
    import_everything()
    session.start_spark = start_spark
    for module in pkgutil.walk_packages(msd_spark.__path__, "msd_spark."):
        importlib.import_module(module.name)
    gc.freeze()


def _run_here(call: Call, sandbox: Sandbox, streams: tuple[Path, Path], *, spark: bool) -> None:
    """Run a call in this process, and end it."""
    status = 1
    try:
        os.setsid()
        os.chdir(sandbox.folder)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number, path in enumerate(streams, 1):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        sys.modules.pop("horovod", None)
        os.environ |= {"HOME": str(sandbox.folder / "home"), "TMPDIR": str(sandbox.folder.parent)}
        os.environ |= dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")  # no network
        sys.argv = ["msd-spark", *call.words]
        global with_spark
        with_spark = spark
        run_command_line(call.words)
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def fault(call: Call, status: int | None, out: str, err: str, changed: set[str]) -> str | None:
    """Return what is wrong with a call, None if nothing is."""
    if status is None:
        return f"ran longer than {SECONDS:.0f} s"
    for text in (out, err):
        if "Traceback (most recent call last)" in text or "\tat org." in text or "Py4J" in text:
            return "prints a trace"
    allowed = [os.path.normpath(place) for place in (*call.outputs, GENSIM)]
    outside = {path for path in changed if not any(path == one or path.startswith(f"{one}/") for one in allowed)}
    # Folders above an output may be made with it.
    outside -= {path for path in outside if any(one.startswith(f"{path}/") for one in allowed)}
    if outside:
        return f"changes {', '.join(sorted(outside)[:5])}"
    if status in (0, STARTS_SPARK):
        return None
    if status != 2:
        return f"exit status {status}"
    lines = [line for line in err.replace("\r", "\n").splitlines() if line.strip() and "%|" not in line]
    if lines and lines[-1].startswith("resume: "):
        lines.pop()  # of the pipeline: the command to continue with
    messages = [line for line in lines if line.startswith(f"{call.words[0]}: ")]
    if len(messages) != 1 or lines[-1] != messages[0]:
        return "does not end with one line"
    if len(messages[0].encode(errors="replace")) > 1500:
        return "ends with a very long line"
    return None


def fuzz(sandbox: Sandbox, n_calls: int, seed: int, spark: int = 0) -> tuple[Counter[str], list[str]]:
    """Make calls; return the number of calls by result, and a description of each fault."""
    results: Counter[str] = Counter()
    repeated: Counter[str] = Counter()
    faults: list[str] = []
    for number, call in zip(range(n_calls), calls(seed), strict=False):
        status, out, err = run(call, sandbox, spark=False)
        changed = sandbox.changes()
        if status == STARTS_SPARK and repeated[call.words[0]] < spark:
            repeated[call.words[0]] += 1
            status, out, err = run(call, sandbox, spark=True)
            changed |= sandbox.changes()
        names: dict[int | None, str] = {0: "exit 0", 2: "refused", STARTS_SPARK: "would start Spark"}
        results[names.get(status, "other")] += 1
        wrong = fault(call, status, out, err, changed)
        if wrong:
            faults.append(f"call {number}: {wrong}\n$ {call}\n{out[-300:]}{err[-1500:]}")
            print(faults[-1], flush=True)
        if changed:
            sandbox.renew()
        if number % 100 == 99:
            print(f"{number + 1} calls: {dict(results)}", file=sys.stderr, flush=True)
    return results, faults


def main() -> None:
    """Make calls, and print their number by result; exit status 1 if there is a fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--spark", type=int, default=0, metavar="N")
    parser.add_argument("--folder", type=Path, required=True, help="new folder for everything that the calls write")
    parser.add_argument("--data", type=Path, help="data folder; generated by default")
    parser.add_argument("--warehouse", type=Path, help="warehouse of these data; by default the pipeline's")
    options = parser.parse_args()
    folder = options.folder.absolute()
    data, warehouse = options.data or folder / "made" / "data", options.warehouse or folder / "made" / "w"
    command = [Path(sys.executable).with_name("msd-spark")]
    if not options.data:
        subprocess.run([*command, "synthetic", "--songs", "12", "--output", data], check=True)
    if not options.warehouse:
        rare = ["--set", "labels.min-examples=1", "--set", "dataset.min-examples=1"]
        words = ["--data", data, "--warehouse", warehouse, "--ranks", "1", "--epochs", "1", *rare]
        subprocess.run([*command, "pipeline", *words], check=True)
    import_product()
    sandbox = Sandbox(folder, data, warehouse)
    results, faults = fuzz(sandbox, options.calls, options.seed, options.spark)
    print(json.dumps(dict(results) | {"faults": len(faults)}))
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
