from __future__ import annotations

from pathlib import Path

import pytest

from msd_spark.core.summary import Summary
from msd_spark.core.warehouse import Warehouse


def test_a_table_of_two_columns_under_the_name_of_the_stage() -> None:
    assert Summary("ingest", {"inputs": 12, "songs": 7, "run": "first"}).table().splitlines() == [
        "ingest",
        "--------  -----",
        "inputs       12",
        "songs         7",
        "run       first",
    ]


def test_text_that_looks_like_a_number_stays_text() -> None:
    assert Summary("score", {"run": "007", "model": "1e5x"}).table().splitlines()[2].split() == ["run", "007"]


def test_great_counts_are_shown_in_full_beside_seconds() -> None:
    table = Summary("ingest", {"songs": 1_234_567, "seconds": 0.5}).table().splitlines()
    assert [line.split() for line in table[2:]] == [["songs", "1,234,567"], ["seconds", "0.5"]]


def test_finishing_keeps_facts_and_details_and_prints_the_facts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    warehouse = Warehouse(str(tmp_path))
    summary = Summary("lyrics", {"tracks": 3}, {"vectors": {"fingerprint": "abc"}})
    summary.finish(warehouse)
    kept = warehouse.read_json("summaries", "lyrics.json")
    seconds = kept["facts"].pop("seconds")
    assert kept == {"stage": "lyrics", "facts": {"tracks": 3}, "vectors": {"fingerprint": "abc"}}
    assert 0 <= seconds < 3600
    printed = capsys.readouterr().out
    assert printed == summary.table() + "\n"
    assert "abc" not in printed


def test_facts_keep_the_order_in_which_they_were_noted() -> None:
    summary = Summary("x", {"b": 1})
    summary.facts |= {"c": 2, "a": 3}
    assert [line.split()[0] for line in summary.table().splitlines()[2:]] == ["b", "c", "a"]
