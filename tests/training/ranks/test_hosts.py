"""Hosts and slots of the launcher are checked line by line."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from msd_spark.core.errors import UserError
from training.ranks.hosts import check_host_file, check_host_list
from training.ranks.launch import main


@pytest.mark.parametrize("hosts", ["localhost:2", "10.0.0.1:4,10.0.0.2:4", "worker-0.local:16,w_1:1"])
def test_valid_lists_are_accepted(hosts: str) -> None:
    check_host_list(hosts)


@pytest.mark.parametrize(
    "item", ["", "a", "a:", "a:0", "a:-1", "a:x", "a:4 ", "-oProxyCommand=x:1", "a b:1", "a:99999"]
)
def test_an_invalid_host_is_named_by_its_number(item: str) -> None:
    message = re.escape(f"host 2 of -H is {item!r}; write HOST:SLOTS, with 1 to 9999 slots")
    with pytest.raises(UserError, match=f"^{message}$"):
        check_host_list(f"10.0.0.1:4,{item}")


def test_a_valid_file_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("10.0.0.1 slots=4\nworker-1\tslots=2  \n")
    check_host_file(path)


@pytest.mark.parametrize(
    "line", ["", "# comment", "10.0.0.2", "10.0.0.2 slots=0", "10.0.0.2 slots=four", "10.0.0.2:4", "-v slots=1"]
)
def test_an_invalid_line_is_named_by_its_number(line: str, tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text(f"10.0.0.1 slots=4\n{line}\n10.0.0.3 slots=4\n")
    with pytest.raises(UserError, match=re.escape(f"line 2 of {path} is {line!r}; write HOST slots=SLOTS")):
        check_host_file(path)


def test_a_host_is_listed_once(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="host 3 of -H is 'a', the same host as number 1; list each host once"):
        check_host_list("a:1,b:1,a:2")


@pytest.mark.parametrize("content", [b"", None, b"\xff"])
def test_an_empty_missing_or_binary_hosts_file_is_named(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=f"hosts file {path} "):
        check_host_file(path)


@pytest.mark.parametrize("words", [["-H", "localhost:0"], ["--hosts", "localhost:0"], ["--hostfile", "{file}"]])
def test_the_launcher_starts_no_rank_on_an_invalid_host(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "hosts"
    path.write_text("localhost slots=0\n")
    monkeypatch.setattr(sys, "argv", ["launch", "-np", "1", *(word.format(file=path) for word in words), "true"])
    with pytest.raises(SystemExit, match=r"^2$"):
        main()
    error = capsys.readouterr().err
    assert re.fullmatch(r"launch: (host|line) 1 of .* is 'localhost.*0'; write HOST.*\n", error)
