from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msd_spark.formats.tagtraum import Label, parse_label

TRACK = "TRAAAAV128F421A322"


@pytest.mark.parametrize(
    ("line", "label"),
    [
        (f"{TRACK}\tRock", Label(TRACK, "Rock")),
        (f"{TRACK}\tPop_Rock\tNew Age", Label(TRACK, "Pop_Rock", "New Age")),
        (f"{TRACK}\tStage ", Label(TRACK, "Stage")),
        (f"{TRACK}\tRock\t", Label(TRACK, "Rock")),
        (f" {TRACK} \tRock\r", Label(TRACK, "Rock")),
    ],
)
def test_lines_of_the_official_files(line: str, label: Label) -> None:
    assert parse_label(line) == label


names = st.text(st.characters(codec="utf-8", exclude_characters="\t\n"), min_size=1).map(str.strip).filter(bool)


@given(st.from_regex(r"TR[A-Z0-9]{16}", fullmatch=True), names, st.none() | names)
def test_every_label_comes_back_from_its_line(track_id: str, genre: str, minority: str | None) -> None:
    line = "\t".join([track_id, genre] + ([minority] if minority else []))
    assert parse_label(line) == Label(track_id, genre, minority)
