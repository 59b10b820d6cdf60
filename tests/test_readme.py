"""The commands that people type, as they type them."""

from __future__ import annotations

import functools
import re
import runpy
import shlex
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from msd_spark.core.command_line import main, parse
from msd_spark.core.verbs import VERBS
from msd_spark.core.warehouse import Warehouse
from tests.conftest import REPOSITORY
from tests.support.fork_server import forked
from tests.support.launched import environment, launched
from tools.reference_docs import pages as reference_pages


def run(*words: str | Path, folder: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in words], cwd=folder, env=environment(**forked()), capture_output=True, text=True
    )


def readme_commands() -> list[list[str]]:
    """Return the commands of the README's quick tour."""
    section = (REPOSITORY / "README.md").read_text().split("## Quick tour")[1].split("\n## ")[0]
    lines = [line for block in re.findall(r"```sh\n(.*?)```", section, flags=re.DOTALL) for line in lines_of(block)]
    return [words for line in lines if (words := shlex.split(line, comments=True))[0] != "."]


@functools.cache
def run_once(folder: Path, *command: str) -> None:
    """Run a command of a page, on fewer songs and for fewer epochs; several pages have the same one."""
    words = ["150" if word == "2000" else word for word in command]
    if words[0] == "horovodrun":
        words += ["--epochs", "2", "--batch-size", "8"]
    if words[:2] == ["msd-spark", "pipeline"] and "--dry-run" not in words:
        words.append("--dry-run")
    done = run(*words, folder=folder)
    assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout[-1500:]}\n{done.stderr[-3000:]}"


@pytest.fixture(scope="module")
def typed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run every command of the quick tour in a folder of its own."""
    folder = tmp_path_factory.mktemp("typed")
    for name in ("jobs", "training", "docs"):
        (folder / name).symlink_to(REPOSITORY / name)
    for command in readme_commands():
        run_once(folder, *command)
    return folder


@pytest.mark.timeout(2_400)  # of all commands together; each has its own
def test_the_commands_of_the_readme_lead_from_songs_to_a_report(typed: Path) -> None:
    warehouse = Warehouse(str(typed / "warehouse"))
    (folder,) = warehouse.folders("reports", "demo")
    report = typed / "warehouse" / "reports" / "demo"
    assert f'url={folder}/index.html"' in (report / "index.html").read_text()
    assert '<section id="embedding">' in (report / folder / "index.html").read_text()
    assert (report / folder / "data" / "names-0.js").stat().st_size > 5_000
    assert warehouse.is_complete("embeddings", "demo")


BLOCK = re.compile(r"^```(\w*)( needs=\w+)?\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)
NEEDS = {" needs=network", " needs=AWS", " needs=GPU", " needs=time"}
PAGES = sorted(path for path in (REPOSITORY / "docs").rglob("*.md") if path.parent.name != "reference")


def lines_of(block: str) -> list[str]:
    return [line for line in block.replace("\\\n", " ").splitlines() if line.strip() and not line.startswith("#")]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_every_command_of_the_documentation_works(page: Path, typed: Path) -> None:
    tracks = pq.read_table(typed / "warehouse" / "embeddings" / "demo", columns=["track_id"])["track_id"]
    for language, needs, block in BLOCK.findall(page.read_text()):
        if language == "toml":
            assert block.split("\n", 1)[1] == (REPOSITORY / block.split()[1]).read_text()
        elif language == "python":
            done = run("python", "-c", block, folder=typed)
            assert done.returncode == 0, done.stderr[-3000:]
        elif needs:
            assert needs in NEEDS
            for line in lines_of(block):
                check_options(line)
        elif language == "sh":
            for line in lines_of(block):
                command = re.sub(r"TR[A-Z0-9]{16}", tracks[0].as_py(), line)
                run_once(typed, *shlex.split(command, comments=True))


def check_options(line: str) -> None:
    """Check that a command that is not run exists and has its options, if it is one of ours."""
    for verb in VERBS.values():
        for name in (f"msd-spark {verb.name}", verb.script):
            _, launcher, after = line.partition(name or "\0")
            if launcher and after[:1] in ("", " "):
                parse(verb.settings_class(), shlex.split(after, comments=True), verb)
                return
    assert not re.search(r"jobs/|training/\w+\.py|msd-spark ", line), f"no such command: {line}"


def test_the_reference_is_what_the_code_says() -> None:
    for path, text in reference_pages().items():
        assert path.read_text() == text, "write it by python -m tools.reference_docs"


def test_the_readme_names_every_job() -> None:
    named = {word for command in readme_commands() for word in command if word.endswith(".py")}
    assert named == {f"jobs/{path.name}" for path in (REPOSITORY / "jobs").glob("*.py")} | {"training/train.py"}


def test_a_stage_that_lacks_its_input_says_which_and_what_to_run(tmp_path: Path) -> None:
    done = run("spark-submit", "jobs/dataset.py", "--warehouse", tmp_path)
    assert done.returncode == 2
    assert f"table {tmp_path}/songs is missing; run msd-spark ingest first" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_a_failing_stage_of_the_pipeline_prints_the_command_that_resumes_it(tmp_path: Path) -> None:
    for name in ("songs", "musixmatch", "tagtraum"):
        (tmp_path / name).mkdir()
    (tmp_path / "musixmatch" / "mxm_dataset_train.txt").write_text("# no words\n")
    (tmp_path / "tagtraum" / "msd_tagtraum_cd1.cls").write_text("# no labels\n")
    options = ("--data", tmp_path, "--warehouse", tmp_path / "w")
    done = run("msd-spark", "pipeline", *options, "--to", "labels", "--from", "labels")
    assert done.returncode == 2
    assert "pipeline: labels: " in done.stderr
    assert (
        f"resume: msd-spark pipeline --data {tmp_path} --warehouse {tmp_path / 'w'} --to labels --from labels"
        in done.stderr
    )
    assert "Traceback" not in done.stderr


@pytest.mark.timeout(900)
def test_a_pipeline_that_was_killed_resumes_and_does_nothing_twice(generated: Path, tmp_path: Path) -> None:
    command = ["msd-spark", "pipeline", "--data", str(generated), "--warehouse", str(tmp_path / "w"), "--to", "lyrics"]
    with launched(*command, log=tmp_path / "first") as pipeline:
        pipeline.wait_until((tmp_path / "w" / "pipeline" / "lyrics.json").exists)  # written as the stage starts
        pipeline.kill()
    songs = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "w" / "songs").iterdir()}
    done = run(*command)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "stage 1 of 2: ingest: up to date" in done.stdout
    assert "stage 2 of 2: lyrics: the last run did not finish" in done.stdout
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "w" / "songs").iterdir()} == songs
    done = run(*command)
    assert done.stdout.count(": up to date") == 2
    assert "$ msd-spark" not in done.stdout
    assert (tmp_path / "w" / "pipeline" / "demo.toml").read_text().count("[train]") == 1


def test_a_missing_data_folder_is_refused(tmp_path: Path) -> None:
    done = run("msd-spark", "pipeline", folder=tmp_path)
    assert done.returncode == 2
    assert "no song files in data; run msd-spark fetch subset --to data" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^0$"):
        main([verb, "--help"])
    assert f"usage: msd-spark {verb}" in capsys.readouterr().out


@pytest.mark.parametrize("script", sorted({verb.script for verb in VERBS.values() if verb.script}))
def test_every_script_is_its_verb(
    script: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", [script, "--help"])
    with pytest.raises(SystemExit, match=r"^0$"):
        runpy.run_path(str(REPOSITORY / script), run_name="__main__")
    assert f"usage: msd-spark {Path(script).stem}" in capsys.readouterr().out
