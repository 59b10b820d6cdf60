from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msd_spark.errors import StageError
from msd_spark.ingest import UnitOutcome, check_sums, ledger_table, settle_duplicates
from msd_spark.rejections import Rejection
from msd_spark.schema import LEDGER
from msd_spark.sources import SongInput, cut_into_units

BROKEN = Rejection("x.h5", "not_hdf5", "")


def outcome(unit: str, *songs: tuple[str, str], rejected: int = 0) -> UnitOutcome:
    return UnitOutcome(unit, f"print-{unit}", songs, (BROKEN,) * rejected)


def test_the_source_that_sorts_first_is_kept_wherever_it_stands() -> None:
    first = outcome("0", ("TR1", "b.h5"), ("TR2", "c.h5"), rejected=1)
    second = outcome("1", ("TR1", "a.h5"), ("TR1", "d.h5"))
    one, two = settle_duplicates([first, second])
    assert one.songs == (("TR2", "c.h5"),)
    assert one.duplicates == (Rejection("b.h5", "duplicate_track_id", "TR1 is kept from a.h5"),)
    assert one.rejected == (BROKEN,)
    assert two.songs == (("TR1", "a.h5"),)
    assert two.duplicates == (Rejection("d.h5", "duplicate_track_id", "TR1 is kept from a.h5"),)


def test_without_duplicates_nothing_changes() -> None:
    outcomes = [outcome("0", ("TR1", "a.h5"), rejected=2), outcome("1")]
    assert settle_duplicates(outcomes) == outcomes


@st.composite
def ingests(draw: st.DrawFn) -> tuple[list[SongInput], list[UnitOutcome], int]:
    tracks = draw(st.lists(st.none() | st.integers(0, 6), max_size=20))
    places = draw(st.permutations(range(len(tracks))))
    size = draw(st.integers(1, 5))
    inputs = [SongInput(f"{place:02d}.h5", 1, 1) for place in places]
    outcomes = []
    for unit in cut_into_units(inputs, size):
        held = [tracks[int(item.source[:2])] for item in unit.inputs]
        songs = tuple(
            (f"TR{track}", item.source) for track, item in zip(held, unit.inputs, strict=True) if track is not None
        )
        outcomes.append(UnitOutcome(unit.name, unit.fingerprint, songs, (BROKEN,) * held.count(None)))
    return inputs, outcomes, size


@given(ingests())
def test_every_track_is_kept_once_and_every_input_accounted_for(
    ingest: tuple[list[SongInput], list[UnitOutcome], int],
) -> None:
    inputs, outcomes, size = ingest
    settled = settle_duplicates(outcomes)
    check_sums(cut_into_units(inputs, size), settled)
    kept = [song for item in settled for song in item.songs]
    every = [song for item in outcomes for song in item.songs]
    assert max(Counter(track for track, _ in kept).values(), default=1) == 1
    assert dict(kept) == {track: min(source for other, source in every if other == track) for track, _ in every}
    left_out = [item.source for part in settled for item in part.duplicates]
    assert sorted([source for _, source in kept] + left_out) == sorted(source for _, source in every)
    ledger = ledger_table(settled)
    assert sum(ledger["inputs"].to_pylist()) == len(inputs)


@given(ingests(), st.data())
def test_a_lost_song_or_unit_is_noticed(
    ingest: tuple[list[SongInput], list[UnitOutcome], int], data: st.DataObject
) -> None:
    inputs, outcomes, size = ingest
    if not outcomes:
        return
    units = cut_into_units(inputs, size)
    place = data.draw(st.integers(0, len(outcomes) - 1))
    with pytest.raises(StageError, match=f"^ingest: unit {units[place].name} has"):
        check_sums(units, outcomes[:place] + outcomes[place + 1 :])


def test_the_ledger_has_a_row_a_unit() -> None:
    settled = settle_duplicates([outcome("000000", ("TR1", "a.h5"), ("TR1", "b.h5"), rejected=3), outcome("000001")])
    table = ledger_table(settled)
    assert table.schema == LEDGER
    assert table.to_pylist() == [
        {"unit": "000000", "fingerprint": "print-000000", "inputs": 5, "songs": 1, "rejected": 3, "duplicates": 1},
        {"unit": "000001", "fingerprint": "print-000001", "inputs": 0, "songs": 0, "rejected": 0, "duplicates": 0},
    ]
    assert ledger_table([]).schema == LEDGER
