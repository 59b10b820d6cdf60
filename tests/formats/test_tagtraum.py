from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msd_spark.formats.tagtraum import LabelError, parse_label

TRACK = "TRAAAAV128F421A322"


@pytest.mark.parametrize(
    ("line", "label"),
    [
        (f"{TRACK}\tRock", (TRACK, "Rock", None)),
        (f"{TRACK}\tPop_Rock\tNew Age", (TRACK, "Pop_Rock", "New Age")),
        (f"{TRACK}\tStage ", (TRACK, "Stage", None)),
        (f"{TRACK}\tRock\t", (TRACK, "Rock", None)),
        (f" {TRACK} \tRock\r", (TRACK, "Rock", None)),
        (f'"{TRACK}"\t"Rock" ', (TRACK, "Rock", None)),
    ],
)
def test_lines_of_the_official_files(line: str, label: tuple[str, str, str | None]) -> None:
    assert parse_label(line) == label


names = st.text(st.characters(codec="utf-8", exclude_characters='\t\n"'), min_size=1).map(str.strip).filter(bool)


@given(st.from_regex(r"TR[A-Z0-9]{16}", fullmatch=True), names, st.none() | names)
def test_every_label_comes_back_from_its_line(track_id: str, genre: str, minority: str | None) -> None:
    line = "\t".join([track_id, genre] + ([minority] if minority else []))
    assert parse_label(line) == (track_id, genre, minority)


@pytest.mark.parametrize(
    ("line", "reason", "named"),
    [
        ("", "bad_track_id", "''"),
        ("\t", "bad_track_id", "''"),
        ("Rock\tTRAAAAV128F421A322", "bad_track_id", "'Rock'"),
        (f"{TRACK} Rock", "bad_track_id", f"'{TRACK} Rock'"),
        (TRACK, "no_genre", TRACK),
        (f"{TRACK}\t", "no_genre", TRACK),
        (f"{TRACK}\t \tJazz", "no_genre", TRACK),
        (f"{TRACK}\tRock\tPop\tJazz", "too_many_fields", f"{TRACK}: 3 genres"),
    ],
)
def test_lines_that_are_no_label(line: str, reason: str, named: str) -> None:
    with pytest.raises(LabelError) as caught:
        parse_label(line)
    assert caught.value.reason == reason
    assert named in caught.value.detail
