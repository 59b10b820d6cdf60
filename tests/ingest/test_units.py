from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msd_spark.ingest.units import Kind, SongInput, Unit, limit_units, split_into_units

lists = st.lists(st.text("ab/.", min_size=1, max_size=6), unique=True, max_size=200).map(
    lambda names: [SongInput(name, 1, 1) for name in names]
)


def catalogue(n_songs: int) -> list[SongInput]:
    draw = random.Random(0)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    names = {"TR" + "".join(draw.choices(letters, k=5)) + f"{draw.randrange(10**11):011d}" for _ in range(n_songs)}
    return sorted(SongInput(f"/songs/{'/'.join(name[2:5])}/{name}.h5", 250_000, 7) for name in names)


CATALOGUE, PER_UNIT = catalogue(2000), 20
UNITS = split_into_units("/songs", CATALOGUE, PER_UNIT)


@given(lists, st.integers(1, 40))
def test_every_input_is_in_exactly_one_unit(inputs: list[SongInput], inputs_per_unit: int) -> None:
    units = split_into_units("/d", inputs, inputs_per_unit)
    assert [item for unit in units for item in unit.inputs] == sorted(inputs)
    assert len({unit.name for unit in units}) == len(units)
    assert [unit.n_inputs for unit in units] == [len(unit.inputs) for unit in units]


@given(lists, st.integers(1, 40))
def test_units_have_between_half_and_twice_the_number_of_inputs(inputs: list[SongInput], inputs_per_unit: int) -> None:
    sizes = [len(unit.inputs) for unit in split_into_units("/d", inputs, inputs_per_unit)]
    assert all(max(1, inputs_per_unit // 2) <= size for size in sizes[:-1])
    assert all(1 <= size <= 2 * inputs_per_unit for size in sizes)


@given(lists, st.randoms())
def test_the_order_of_listing_does_not_matter(inputs: list[SongInput], draw: random.Random) -> None:
    shuffled = draw.sample(inputs, len(inputs))
    assert split_into_units("/d", shuffled, 5) == split_into_units("/d", inputs, 5)


def assert_only_units_near_are_new(after: list[Unit], source: str) -> None:
    """All units before the one with `source` are unchanged, and nearly all of those after it."""
    old = {unit.name for unit in UNITS}
    new = [place for place, unit in enumerate(after) if unit.name not in old]
    before = [unit for unit in UNITS if unit.inputs[-1].source < source]
    assert after[: len(before)] == before
    assert len(new) <= 10
    assert all(later == earlier + 1 for earlier, later in pairwise(new))


@given(st.integers(0, len(CATALOGUE) - 1))
def test_a_removed_file_changes_only_the_units_near_it(place: int) -> None:
    after = split_into_units("/songs", CATALOGUE[:place] + CATALOGUE[place + 1 :], PER_UNIT)
    assert after != UNITS
    assert_only_units_near_are_new(after, CATALOGUE[place].source)


@given(st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=16, max_size=16))
def test_a_new_file_changes_only_the_units_near_it(name: str) -> None:
    item = SongInput(f"/songs/{'/'.join(name[:3])}/TR{name}.h5", 1, 1)
    after = split_into_units("/songs", [*CATALOGUE, item], PER_UNIT)
    assert after != UNITS
    assert_only_units_near_are_new(after, item.source)


@given(st.integers(0, len(CATALOGUE) - 1))
def test_a_changed_file_changes_only_its_unit(place: int) -> None:
    changed = [*CATALOGUE[:place], CATALOGUE[place]._replace(modified=8), *CATALOGUE[place + 1 :]]
    after = split_into_units("/songs", changed, PER_UNIT)
    different = [new for old, new in zip(UNITS, after, strict=True) if new.name != old.name]
    assert len(different) == 1
    assert changed[place] in different[0].inputs


ONE = Unit.of(Kind.AGGREGATE, "/d", [SongInput("/d/a.h5", 2, 3)], 0, 10)


@pytest.mark.parametrize(
    "other",
    [
        Unit.of(Kind.AGGREGATE, "/d", [SongInput("/d/b.h5", 2, 3)], 0, 10),
        Unit.of(Kind.AGGREGATE, "/d", [SongInput("/d/a.h5", 3, 3)], 0, 10),
        Unit.of(Kind.AGGREGATE, "/d", [SongInput("/d/a.h5", 2, 4)], 0, 10),
        Unit.of(Kind.AGGREGATE, "/d", [SongInput("/d/a.h5", 2, 3)], 1, 10),
        Unit.of(Kind.AGGREGATE, "/d", [SongInput("/d/a.h5", 2, 3)], 0, 11),
        Unit.of(Kind.SUMMARY, "/d", [SongInput("/d/a.h5", 2, 3)], 0, 10),
    ],
    ids=["path", "size", "time", "first row", "last row", "kind"],
)
def test_a_units_name_depends_on_all_of_its_inputs(other: Unit) -> None:
    assert other.name != ONE.name


def test_a_units_name_does_not_depend_on_what_the_command_named() -> None:
    assert replace(ONE, location="/").name == ONE.name


def test_names_that_are_not_utf8_are_preserved() -> None:
    (unit,) = split_into_units("/d", [SongInput("/d/\udcff.h5", 1, 1)], 1)
    assert unit.inputs == [SongInput("/d/\udcff.h5", 1, 1)]
    assert len(unit.name) == 32


def test_unknown_sizes_count_as_zero() -> None:
    assert Unit.of(Kind.FILES, "/d", [SongInput("a", -1, 0), SongInput("b", 5, 0)]).size == 5


@st.composite
def mixed_units(draw: st.DrawFn) -> list[Unit]:
    units = []
    for number, size in enumerate(draw(st.lists(st.integers(1, 9), max_size=8))):
        if draw(st.booleans()):
            units.append(Unit.of(Kind.FILES, "/d", [SongInput(f"{number}-{n}.h5", 1, 1) for n in range(size)]))
        else:
            start = draw(st.integers(0, 5))
            units.append(Unit.of(Kind.AGGREGATE, "/d", [SongInput(f"{number}.h5", 1, 1)], start, start + size))
    return units


def songs_of(unit: Unit) -> list[tuple[str, int]]:
    if unit.kind is Kind.FILES:
        return [(item.source, 0) for item in unit.inputs]
    return [(unit.inputs[0].source, row) for row in range(unit.start, unit.stop)]


@given(mixed_units(), st.integers(0, 50))
def test_a_limit_takes_exactly_the_first_songs(units: list[Unit], most: int) -> None:
    chosen = limit_units(units, most)
    every = [song for unit in units for song in songs_of(unit)]
    assert [song for unit in chosen for song in songs_of(unit)] == every[:most]
    assert sum(unit.n_inputs or 0 for unit in chosen) == min(most, len(every))


def test_a_limit_does_not_count_skipped_files() -> None:
    notes = Unit.of(Kind.SKIPPED, "/d", [SongInput(f"{number}.txt", -1, 0) for number in range(9)])
    assert limit_units([notes, ONE], 3) == [notes, Unit.of(Kind.AGGREGATE, "/d", ONE.inputs, 0, 3)]


def test_a_limit_leaves_tars_whole() -> None:
    tar = Unit.of(Kind.TAR, "/d", [SongInput("a.tar", 1, 1)])
    assert limit_units([tar, ONE], 3) == [tar, Unit.of(Kind.AGGREGATE, "/d", ONE.inputs, 0, 3)]
