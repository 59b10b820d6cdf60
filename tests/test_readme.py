"""The commands that people type, as they type them."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pyarrow.parquet as pq
import pytest

from msd_spark.core.legacy import parser_of
from tests.conftest import REPOSITORY
from tools.reference_docs import pages as reference_pages
from tools.reference_docs import scripts

BINARIES = str(Path(sys.executable).parent)


def run(*words: str | Path, timeout: int = 500) -> subprocess.CompletedProcess[str]:
    environ = os.environ | {"PATH": f"{BINARIES}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(
        [str(word) for word in words], cwd=REPOSITORY, env=environ, capture_output=True, text=True, timeout=timeout
    )


def readme_commands() -> list[list[str]]:
    """Return the stages' commands as the README gives them."""
    section = (REPOSITORY / "README.md").read_text().split("## The stages, one by one")[1].split("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", section, flags=re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.strip() and not line.startswith("#")]


@pytest.fixture(scope="module")
def typed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every command of the README's stages in order, on smaller data and in a folder of the test's own."""
    folder = tmp_path_factory.mktemp("typed")
    places = {"build/data": str(folder / "data"), "build/warehouse": str(folder / "warehouse"), "2000": "150"}
    for command in readme_commands():
        words = [re.sub("|".join(map(re.escape, places)), lambda found: places[found[0]], word) for word in command]
        if words[0] == "horovodrun":
            words += ["--epochs", "2", "--batch", "8"]
        done = run(*words)
        assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout[-1500:]}\n{done.stderr[-3000:]}"
    return folder


@pytest.mark.timeout(2_400)  # of all commands together; each has its own
def test_the_readmes_commands_go_from_songs_to_a_page(typed: Path) -> None:
    report = typed / "warehouse" / "reports" / "cnn"
    assert '<section id="space">' in (report / "index.html").read_text()
    assert (report / "data" / "songs.js").stat().st_size > 5_000
    assert (typed / "warehouse" / "embeddings" / "cnn" / "_SUCCESS").exists()


BLOCK = re.compile(r"^```(\w*)( needs=\w+)?\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)
NEEDS = {" needs=network", " needs=AWS", " needs=GPU", " needs=time"}
PAGES = sorted(path for path in (REPOSITORY / "docs").rglob("*.md") if path.parent.name != "reference")


def lines_of(block: str) -> list[str]:
    return [line for line in block.replace("\\\n", " ").splitlines() if line.strip() and not line.startswith("#")]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_every_command_of_the_documentation_works(page: Path, typed: Path) -> None:
    tracks = pq.read_table(typed / "warehouse" / "embeddings" / "cnn", columns=["track_id"])["track_id"]
    for language, needs, block in BLOCK.findall(page.read_text()):
        if language == "toml":
            assert block.split("\n", 1)[1] == (REPOSITORY / block.split()[1]).read_text()
        elif language == "python":
            done = run("python", "-c", block)
            assert done.returncode == 0, done.stderr[-3000:]
        elif needs:
            assert needs in NEEDS
            for line in lines_of(block):
                check_options(line)
        elif language == "sh":
            for line in lines_of(block):
                # Places go to the test's folder; what is no data, to a place of its own within it.
                command = re.sub(r"TR[A-Z0-9]{16}", tracks[0].as_py(), line).replace("build/", f"{typed}/")
                if "msd_spark.pipeline.command" in command and "--dry-run" not in command:
                    command += " --dry-run"
                done = run("bash", "-c", command)
                assert done.returncode == 0, f"{command}\n{done.stdout[-1500:]}\n{done.stderr[-3000:]}"


PASS_ON = {"training/compare.py", "training/search.py"}
"""Commands that hand what they do not know to ``training/train.py``."""


def check_options(line: str) -> None:
    """Hold a command that is not run to what its script takes, if it is one of ours."""

    def refuse(message: str) -> NoReturn:
        raise AssertionError(f"{line}: {message}")

    def parse(typed_as: str, words: list[str]) -> None:
        parser = parser_of(scripts()[typed_as])
        parser.error = refuse  # type: ignore[method-assign]
        if typed_as in PASS_ON:
            parse("training/train.py", parser.parse_known_args(words)[1])
        else:
            parser.parse_args(words)

    for typed_as in scripts():
        launcher = typed_as.split()[-1]
        place = line.find(launcher)
        after = line[place + len(launcher) :]
        if place >= 0 and after[:1] in ("", " "):
            parse(typed_as, shlex.split(after, comments=True))
            return
    assert not re.search(r"jobs/|training/\w+\.py", line), f"no such command: {line}"


def test_the_reference_is_what_the_code_says() -> None:
    for path, text in reference_pages().items():
        assert path.read_text() == text, "write it by python -m tools.reference_docs"


def test_the_readme_names_every_job() -> None:
    named = {word for command in readme_commands() for word in command if word.endswith(".py")}
    assert named == {f"jobs/{path.name}" for path in (REPOSITORY / "jobs").glob("*.py")} | {"training/train.py"}


def test_a_stage_that_lacks_its_input_says_which_and_what_to_run(tmp_path: Path) -> None:
    done = run("spark-submit", "jobs/dataset.py", "--warehouse", tmp_path)
    assert done.returncode == 2
    assert f"table {tmp_path}/songs is missing or incomplete; run msd-spark ingest first" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_a_failing_stage_of_the_pipeline_says_how_to_go_on(tmp_path: Path) -> None:
    for name in ("songs", "musixmatch", "tagtraum"):
        (tmp_path / name).mkdir()
    (tmp_path / "musixmatch" / "mxm_dataset_train.txt").write_text("# no words\n")
    (tmp_path / "tagtraum" / "msd_tagtraum_cd1.cls").write_text("# no labels\n")
    words = (
        "python",
        "-m",
        "msd_spark.pipeline.command",
        "--data",
        tmp_path,
        "--warehouse",
        tmp_path / "w",
        "--from",
        "labels",
    )
    done = run(*words)
    assert done.returncode == 2
    assert "labels: " in done.stderr
    assert "holds no label" in done.stderr
    assert f"--data {tmp_path} --warehouse {tmp_path / 'w'} --from labels" in done.stderr


def test_a_pipeline_that_was_killed_goes_on_and_does_nothing_twice(generated: Path, tmp_path: Path) -> None:
    command = [
        "python",
        "-m",
        "msd_spark.pipeline.command",
        "--data",
        str(generated),
        "--warehouse",
        str(tmp_path / "w"),
    ]
    environ = os.environ | {"PATH": f"{BINARIES}{os.pathsep}{os.environ['PATH']}"}
    killed = subprocess.Popen(
        [*command, "--to", "lyrics"], cwd=REPOSITORY, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert killed.stdout is not None
    said = iter(killed.stdout.readline, b"")
    assert any(line.startswith(b"[2/2] lyrics") for line in said)
    assert b"jobs/lyrics.py" in next(said)
    killed.kill()
    # The stage ends with it: whoever holds its output has let go of it.
    killed.stdout.read()
    assert killed.wait(60) == -signal.SIGKILL
    songs = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "w" / "songs").iterdir()}
    done = run(*command, "--to", "lyrics")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "[1/2] ingest: up to date" in done.stdout
    assert "[2/2] lyrics: it did not come to its end" in done.stdout
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "w" / "songs").iterdir()} == songs
    done = run(*command, "--to", "lyrics")
    assert done.stdout.count(": up to date") == 2
    assert "spark-submit" not in done.stdout
    assert (tmp_path / "w" / "pipeline" / "demo.toml").read_text().count("[train]") == 1


def test_a_folder_that_lacks_sources_is_refused(tmp_path: Path) -> None:
    done = run("python", "-m", "msd_spark.pipeline.command", "--data", tmp_path)
    assert done.returncode == 2
    assert "has no songs/, no musixmatch/" in done.stderr


def test_every_command_explains_itself() -> None:
    for script in [*sorted((REPOSITORY / "jobs").glob("*.py")), REPOSITORY / "training" / "train.py"]:
        done = run("python", script, "--help")
        assert done.returncode == 0
        assert "--warehouse" in done.stdout
