from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msd_spark.formats.taste_profile import parse_lines, reason_of

USER, OTHER = b"b80344d063b5ccb3212f76538f3d9e43d87dca9e", b"0" * 40
SONG = b"SOAKIMP12A8C130995"
LINE = USER + b"\t" + SONG + b"\t"


def triplets(content: bytes, *, ended: bool = True) -> list[tuple[str, str, int]]:
    block = parse_lines(content, ended=ended)
    return list(zip(block.user_ids.to_pylist(), block.song_ids.to_pylist(), block.plays.tolist(), strict=True))


def test_lines_of_the_official_file() -> None:
    content = LINE + b"1\n" + OTHER + b"\tSOAPDEY12A81C210A9\t2147483647\n"
    assert triplets(content) == [
        (USER.decode(), SONG.decode(), 1),
        (OTHER.decode(), "SOAPDEY12A81C210A9", 2147483647),
    ]
    assert parse_lines(content).rejected == []


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "wrong_fields"),
        (USER + b"\t" + SONG, "wrong_fields"),
        (LINE + b"1\t2", "wrong_fields"),
        (USER + b" " + SONG + b" 1", "wrong_fields"),
        (USER[1:] + b"\t" + SONG + b"\t12", "bad_user_id"),
        (USER.upper() + b"\t" + SONG + b"\t1", "bad_user_id"),
        (USER[:-1] + b"g\t" + SONG + b"\t1", "bad_user_id"),
        (USER[:-1] + b"\xe9\t" + SONG + b"\t1", "bad_user_id"),
        (USER + b"\tTRAKIMP12A8C130995\t1", "bad_song_id"),
        (USER + b"\tSOAKIMP12a8C130995\t1", "bad_song_id"),
        (USER + b"\t" + SONG + b"X\t1", "bad_song_id"),
        (LINE, "bad_count"),
        (LINE + b"0", "bad_count"),
        (LINE + b"-1", "bad_count"),
        (LINE + b"+1", "bad_count"),
        (LINE + b" 1", "bad_count"),
        (LINE + b"1.5", "bad_count"),
        (LINE + b"2147483648", "bad_count"),
        (LINE + b"9999999999", "bad_count"),
        (LINE + b"00000000001", "bad_count"),
        (LINE + b"many", "bad_count"),
        (LINE + b"1\x002", "bad_count"),
    ],
)
def test_lines_that_are_no_triplets(line: bytes, reason: str) -> None:
    block = parse_lines(LINE + b"5\n" + line + b"\n" + LINE + b"7\n")
    assert block.plays.tolist() == [5, 7]
    assert [(number, found) for number, found, _ in block.rejected] == [(1, reason)]


def test_a_carriage_return_before_the_line_feed_is_no_part_of_the_line() -> None:
    assert [plays for *_, plays in triplets(LINE + b"12\r\n" + LINE + b"3\n")] == [12, 3]
    assert parse_lines(LINE + b"1\r2\n").rejected[0][1] == "bad_count"


def test_a_last_line_that_was_cut_off_is_not_guessed() -> None:
    block = parse_lines(LINE + b"3\n" + LINE + b"12\n", ended=False)
    assert block.plays.tolist() == [3]
    assert [(number, reason) for number, reason, _ in block.rejected] == [(1, "truncated_line")]


def test_what_was_seen_is_text_whatever_it_was() -> None:
    block = parse_lines(b"\xff\x00\tabc" + b"x" * 500 + b"\n")
    assert block.rejected == [(0, "wrong_fields", "\ufffd\\x00\\tabc" + "x" * 74)]


ids = st.sampled_from([USER, OTHER, USER[:-1], USER + b"a", b""])
songs = st.sampled_from([SONG, b"SO" + b"Z" * 16, b"SO" + b"z" * 16, SONG[:-1], b""])
counts = st.integers(-5, 2**33).map(lambda count: b"%d" % count) | st.sampled_from([b"007", b"", b"1\r", b"x"])
lines = st.lists(ids | songs | counts, max_size=4).map(b"\t".join) | st.tuples(ids, songs, counts).map(b"\t".join)


@given(st.lists(lines | st.binary(max_size=90).map(lambda some: some.replace(b"\n", b""))))
def test_a_block_is_parsed_as_its_lines_are_one_by_one(given: list[bytes]) -> None:
    block = parse_lines(b"".join(line + b"\n" for line in given))
    wanted, rejected = [], []
    for number, line in enumerate(given):
        line = line.removesuffix(b"\r")
        reason = reason_of(line)
        if reason is None:
            user, song, count = line.split(b"\t")
            wanted.append((user.decode(), song.decode(), int(count)))
        else:
            rejected.append((number, reason))
    found = zip(block.user_ids.to_pylist(), block.song_ids.to_pylist(), block.plays.tolist(), strict=True)
    assert list(found) == wanted
    assert [(number, reason) for number, reason, _ in block.rejected] == rejected
    assert block.n_lines == len(given) == len(wanted) + len(rejected)
