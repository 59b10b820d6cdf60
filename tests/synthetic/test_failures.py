"""What the command refuses: one line on stderr, exit status 2, nothing written."""

from __future__ import annotations

from pathlib import Path

import pytest

from msd_spark.synthetic.command import SyntheticError, SyntheticSettings, main


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--songs", "0"], "songs is 0"),
        (["--songs", "-5"], "songs is -5"),
        (["--songs", "10000001"], "songs is 10000001"),
        (["--seed", "-1"], "seed is -1"),
        (["--workers", "0"], "workers is 0"),
        (["--users", "0"], "users is 0"),
        (["--broken", "-1"], "broken is -1"),
        (["--songs-per-aggregate", "0"], "songs-per-aggregate is 0"),
        (["--lyrics-share", "1.5"], "lyrics-share is 1.5"),
        (["--lyrics-share", "nan"], "lyrics-share is nan"),
        (["--packaging", "zip"], "'zip'"),
        (["--packaging", "files,"], "''"),
    ],
)
def test_values_out_of_range(
    arguments: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "new"
    assert main([*arguments, "--output", str(output)]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("synthetic: ")
    assert says in printed.err
    assert printed.err.count("\n") == 1
    assert not output.exists()


def test_folder_that_is_not_empty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    assert main(["--songs", "2", "--output", str(tmp_path)]) == 2
    assert "not empty" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_output_that_is_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("precious")
    assert main(["--songs", "2", "--output", str(tmp_path / "file")]) == 2
    assert "is a file" in capsys.readouterr().err
    assert main(["--songs", "2", "--output", str(tmp_path / "file" / "below")]) == 2
    assert "cannot be made" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "precious"


def test_overwrite_replaces_the_catalogue_and_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    command = ["--workers", "1", "--output", str(tmp_path), "--overwrite"]
    assert main(["--songs", "6", *command]) == 0
    assert main(["--songs", "2", "--lyrics-share", "0", *command]) == 0
    assert "songs/s" in capsys.readouterr().out
    assert len(list(tmp_path.glob("songs/*/*/*/*.h5"))) == 2
    assert (tmp_path / "mine.txt").read_text() == "precious"


def test_settings_refuse_by_themselves() -> None:
    with pytest.raises(SyntheticError, match="packaging is nothing"):
        SyntheticSettings(packaging=())
    with pytest.raises(SyntheticError, match="songs is 0"):
        SyntheticSettings(songs=0)
