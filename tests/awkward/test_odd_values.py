"""Odd values on the command line are refused in one line, before anything is read or written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from msd_spark.core.command_line import main
from msd_spark.core.errors import UserError
from msd_spark.core.filesystems import open_location


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["lineage"], "missing: TRACK_ID a track of embeddings/RUN (required); see msd-spark lineage --help"),
        (["fetch", "nosuch"], "NAMES is 'nosuch'; allowed: subset, "),
        (["similar", ""], "SONG is empty; give a value"),
        (["fetch", "--mirror"], "--mirror needs a value: ADDRESS"),
        (["train", "--protocol-rows=5"], "--protocol-rows needs 2 values: N"),
        (
            ["pipeline", "--spark-submit", "--master yarn"],
            "--spark-submit is followed by '--master yarn'; write --spark-submit='--master yarn' if that is its value",
        ),
        (["evaluate", "--run", "-x"], "--run is followed by '-x'; write --run=-x if that is its value"),
        (["evaluate", "--run=-x"], "--run is '-x'; allowed: letters, digits,"),
        (["evaluate", "--batch-size", "-1e3"], "--batch-size is '-1e3'; allowed: a whole number"),
        (
            ["evaluate", "--batch-size", "9223372036854775807"],
            "--batch-size is 9223372036854775807; allowed: 1 to 65536",
        ),
        (["evaluate", "--seed", "-1"], "--seed is -1; allowed: 0 to 2147483646"),
        (["factors", "--users", "2147483648"], "--users is 2147483648; allowed: at most 2147483647"),
        (["train", "--hidden", "8", "100000"], "--hidden is 100000; allowed: 1 to 16384"),
        (["labels", "--warehouse", "\udcff"], r"--warehouse is '\udcff'; allowed: UTF-8 text without control"),
        (["labels", "--cd1", "a\nb"], r"--cd1 is 'a\nb'; allowed: UTF-8 text without control characters"),
        (["train", "--settings", "a\nb"], r"--settings 'a\nb' is not a readable TOML file: [Errno 2] No such file"),
        (["train", "--settings", "/dev/zero"], "--settings /dev/zero is not a file; name a TOML file"),
        (["train", "--settings", "pipe"], "--settings pipe is not a file; name a TOML file"),
        (["labels", "--cd1", "pipe"], "pipe is a pipe or a device; name a file"),
        (["labels", "--cd1", "."], ". is a folder; name a file"),
        (["dataset", "--shares", "nan", "0.5", "0.5"], "--shares is (nan, 0.5, 0.5); allowed: three fractions"),
    ],
    ids=lambda item: " ".join(item) if isinstance(item, list) else "",
)
def test_an_odd_value_is_refused_in_one_line(
    words: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    with pytest.raises(SystemExit, match=r"^2$"):
        main(words)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{words[0]}: {message}")
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_a_location_from_a_file_that_is_no_list_is_refused() -> None:
    with pytest.raises(UserError, match=r"location 'PK\\x00' has a NUL character; is it the content of another file"):
        open_location("PK\0")
