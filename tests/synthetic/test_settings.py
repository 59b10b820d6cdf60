"""Options of ``msd-spark synthetic``: what the command rejects, and how it treats existing files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from msd_spark.core.command_line import run_verb
from msd_spark.core.errors import UserError
from msd_spark.core.options import OptionError
from msd_spark.synthetic.run import generate
from msd_spark.synthetic.settings import SyntheticSettings


def rejected(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run the command, which must fail, and return its error."""
    with pytest.raises(SystemExit) as caught:
        run_verb("synthetic", words)
    assert caught.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--songs", "0"], "--songs is 0; allowed: 1 to 10000000"),
        (["--songs", "-5"], "--songs is -5"),
        (["--songs", "10000001"], "--songs is 10000001"),
        (["--seed", "-1"], "--seed is -1"),
        (["--workers", "0"], "--workers is 0; allowed: 1 to 1024"),
        (["--users", "0"], "--users is 0"),
        (["--broken", "-1"], "--broken is -1"),
        (["--songs-per-aggregate", "0"], "--songs-per-aggregate is 0"),
        (["--lyrics-share", "1.5"], "--lyrics-share is 1.5; allowed: 0 to 1"),
        (["--lyrics-share", "nan"], "--lyrics-share is nan"),
    ],
)
def test_values_out_of_range(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "new"
    error = rejected([*words, "--output", str(output)], capsys)
    assert error.startswith(f"synthetic: {message}")
    assert error.count("\n") == 1
    assert not output.exists()


@pytest.mark.parametrize("value", ["zip", "files,tar"])
def test_unknown_packaging(value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    error = rejected(["--packaging", value, "--output", str(tmp_path / "new")], capsys)
    assert value in error
    assert "tar.gz" in error


def test_settings_check_themselves() -> None:
    with pytest.raises(OptionError, match=r"--packaging is empty; allowed: files, tar, tar\.gz, aggregate, summary"):
        SyntheticSettings(packaging=())
    with pytest.raises(OptionError, match="--packaging is 'zip'"):
        SyntheticSettings(packaging=("zip",))


def test_bare_command_writes_to_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run_verb("synthetic", ["--songs", "2", "--workers", "1"])
    assert len(list((tmp_path / "data").glob("songs/*/*/*/*.h5"))) == 2
    assert "songs per second" in capsys.readouterr().out
    assert "data is not empty; choose another --output, or replace it by --overwrite" in rejected([], capsys)


def test_output_that_is_not_empty(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(UserError, match="is not empty"):
        generate(SyntheticSettings(songs=2), tmp_path)
    assert os.listdir(tmp_path) == ["mine.txt"]


def test_output_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    with pytest.raises(UserError, match="is a file"):
        generate(SyntheticSettings(songs=2), tmp_path / "file")
    with pytest.raises(UserError, match="cannot be created"):
        generate(SyntheticSettings(songs=2), tmp_path / "file" / "below")
    assert (tmp_path / "file").read_text() == "precious"


def test_overwrite_replaces_the_catalogue_and_keeps_other_files(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    generate(SyntheticSettings(songs=6, workers=1, overwrite=True), tmp_path)
    generate(SyntheticSettings(songs=2, workers=1, overwrite=True, lyrics_share=0), tmp_path)
    assert len(list(tmp_path.glob("songs/*/*/*/*.h5"))) == 2
    assert (tmp_path / "mine.txt").read_text() == "precious"


def test_downloaded_files_are_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "fetch.lock.json").write_text("{}")
    (tmp_path / "songs").mkdir()
    with pytest.raises(UserError, match=r"has downloaded files \(fetch\.lock\.json\); choose another --output"):
        generate(SyntheticSettings(songs=2, overwrite=True), tmp_path)
    assert (tmp_path / "songs").is_dir()


def test_files_of_others_are_not_overwritten(tmp_path: Path) -> None:
    song = tmp_path / "songs" / "A" / "mine.h5"
    song.parent.mkdir(parents=True)
    song.write_text("precious")
    with pytest.raises(UserError, match="has songs, which msd-spark synthetic did not write; choose another --output"):
        generate(SyntheticSettings(songs=2, overwrite=True), tmp_path)
    assert song.read_text() == "precious"
