"""Song files made worse, one of many ways each, and what has to become of them.

Run as a program, it tries a range of examples in a process of its own, so that a crash of the HDF5 library
is a failure with a name and not the end of the tests: the last line on its output says which example it was at.
"""

from __future__ import annotations

import faulthandler
import json
import random
import struct
import sys
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from msd_spark.songfile.direct.skeleton import ITEMS, find_skeleton
from msd_spark.songfile.h5py_reader import read_with_h5py
from msd_spark.songfile.parse import parse_song, same_song
from msd_spark.songfile.song import Song, SongFileError, check_song
from tests.support.memory import peak

_STRUCTURES = 48_000  # groups, types and indices lie within; few of the file's bytes, and nearly all that can go wrong
_NUMBERS = (0, 1, 2, 3, 63, 65, 2**16, 2**31 - 1, 2**32, 2**40, 2**63, 2**64 - 2, 2**64 - 1)


class Case(NamedTuple):
    """A file to make worse: its bytes, and where each dataset's length and index address stand."""

    image: bytes
    lengths_at: list[int]
    indices_at: list[int]


def case(image: bytes) -> Case:
    slots = find_skeleton(image).slots[:, 0].tolist()
    return Case(image, slots[: len(ITEMS)], slots[len(ITEMS) :])


def _bits(case: Case, draw: random.Random, end: int) -> bytearray:
    image = bytearray(case.image)
    for _ in range(draw.choice((1, 1, 1, 2, 8, 64))):
        image[draw.randrange(min(end, len(image)))] ^= 1 << draw.randrange(8)
    return image


def bits_anywhere(case: Case, draw: random.Random) -> bytearray:
    return _bits(case, draw, len(case.image))


def bits_of_structures(case: Case, draw: random.Random) -> bytearray:
    return _bits(case, draw, _STRUCTURES)


def numbers_in_structures(case: Case, draw: random.Random) -> bytearray:
    image = bytearray(case.image)
    for _ in range(draw.choice((1, 1, 2, 8))):
        size = draw.choice((1, 2, 4, 8))
        number = draw.choice((*_NUMBERS, len(image) - 1, draw.randrange(len(image)))) % (1 << 8 * size)
        at = draw.randrange(min(_STRUCTURES, len(image))) // size * size
        image[at : at + size] = number.to_bytes(size, "little")
    return image


def pieces_copied(case: Case, draw: random.Random) -> bytearray:
    image = bytearray(case.image)
    end = min(_STRUCTURES, len(image)) - 2000
    for _ in range(draw.choice((1, 2, 4))):
        source, target, size = draw.randrange(end), draw.randrange(end), draw.choice((8, 40, 328, 2000))
        image[target : target + size] = image[source : source + size]
    return image


def cut_short(case: Case, draw: random.Random) -> bytearray:
    image = bytearray(case.image[: draw.randrange(len(case.image))])
    if draw.random() < 0.5 and len(image) > 48:  # and it claims to be whole
        image[40:48] = len(image).to_bytes(8, "little")
    return image


def more_behind(case: Case, draw: random.Random) -> bytearray:
    return bytearray(case.image + draw.randbytes(draw.choice((1, 8, 5000))))


def lengths(case: Case, draw: random.Random) -> bytearray:
    image = bytearray(case.image)
    for at in draw.sample(case.lengths_at, draw.choice((1, 1, 2, 24))):
        length = draw.choice((*_NUMBERS, *struct.unpack_from("<Q", image, draw.choice(case.lengths_at))))
        image[at : at + 8] = length.to_bytes(8, "little")
    return image


def datasets_swapped(case: Case, draw: random.Random) -> bytearray:
    image = bytearray(case.image)
    one, other = draw.sample(range(len(ITEMS)), 2)
    for places in draw.choice(((case.indices_at,), (case.lengths_at,), (case.indices_at, case.lengths_at))):
        first, second = (slice(places[number], places[number] + 8) for number in (one, other))
        image[first], image[second] = image[second], image[first]
    return image


def indices(case: Case, draw: random.Random) -> bytearray:
    image = bytearray(case.image)
    number = draw.choice([number for number in range(len(ITEMS)) if _index(case, number)])
    at = _index(case, number) + draw.randrange(24 + 40)
    image[at : at + 8] = draw.choice((draw.randbytes(8), draw.choice(_NUMBERS).to_bytes(8, "little")))
    return image


def chunks_replaced(case: Case, draw: random.Random) -> bytearray:
    """Put another stream in place of a chunk: sound or not, too short, too long, or a thousand times too long."""
    image = bytearray(case.image)
    number = draw.choice([number for number in range(len(ITEMS)) if _index(case, number)])
    index = _index(case, number)
    size, address = struct.unpack_from("<I", image, index + 24)[0], _first_chunk(case, number)
    old = zlib.decompress(image[address : address + size])
    streams: tuple[Callable[[], bytes], ...] = (
        lambda: zlib.compress(old, 9),
        lambda: zlib.compress(old, 0),
        lambda: zlib.compress(draw.randbytes(len(old))),
        lambda: zlib.compress(bytes([draw.choice((0x00, 0xC3, 0x7F))]) * len(old)),
        lambda: zlib.compress(old[:-1]),
        lambda: zlib.compress(old + b"\0"),
        lambda: zlib.compress(b""),
        lambda: zlib.compress(bytes(200 * len(old))),
        lambda: zlib.compress(bytes(20_000_000), 9),
        lambda: zlib.compress(old)[:-1],
        lambda: zlib.compress(old) + b"behind",
        lambda: old,
    )
    new = draw.choice(streams)()
    image[index + 24 : index + 28] = len(new).to_bytes(4, "little")
    at = index + 24 + _key_size(number)
    image[at : at + 8] = len(image).to_bytes(8, "little")
    image += new
    image[40:48] = len(image).to_bytes(8, "little")
    return image


def _index(case: Case, number: int) -> int:
    """Return the address of a dataset's index, 0 where it has none."""
    address: int = struct.unpack_from("<Q", case.image, case.indices_at[number])[0]
    return 0 if address >= len(case.image) else address


def _key_size(number: int) -> int:
    return 8 + 8 * (3 if getattr(ITEMS[number], "width", None) else 2)


def _first_chunk(case: Case, number: int) -> int:
    address: int = struct.unpack_from("<Q", case.image, _index(case, number) + 24 + _key_size(number))[0]
    return address


MUTATIONS: tuple[Callable[[Case, random.Random], bytearray], ...] = (
    bits_anywhere, bits_of_structures, numbers_in_structures, pieces_copied, cut_short,
    more_behind, lengths, datasets_swapped, indices, chunks_replaced,
)  # fmt: skip


def example(cases: list[Case], seed: int, number: int) -> tuple[str, Case, bytes]:
    """Return an example: the name of the mutation, what it was done to, and the outcome."""
    draw = random.Random(f"{seed} {number}")
    mutation = MUTATIONS[number % len(MUTATIONS)]
    chosen = draw.choice(cases)
    return mutation.__name__, chosen, bytes(mutation(chosen, draw))


def outcome(parse: Callable[[bytes], Song], image: bytes) -> Song | SongFileError:
    try:
        return parse(image)
    except SongFileError as error:
        return error


def parse_with_h5py(image: bytes, expected_track_id: str | None = None) -> Song:
    """Return every field of a song file, as `parse_song` does, but by h5py alone."""
    song = read_with_h5py(image)
    check_song(song, expected_track_id)
    return song


def judge(original: bytes, image: bytes) -> str:
    """Return what became of an example: a reason, ``song``, or what is wrong, beginning with ``WRONG``."""
    expected, found = outcome(parse_with_h5py, image), outcome(parse_song, image)
    if isinstance(found, SongFileError):
        if isinstance(expected, SongFileError) and expected.reason == found.reason:
            return found.reason
        return f"WRONG: refused with {found}, h5py says {str(expected)[:100]}"
    if isinstance(expected, SongFileError):
        # ISA-L forgives codes that zlib calls incomplete; the checksum vouches for what came out of them.
        if expected.reason == "unreadable_data" and same_song(found, parse_song(original)):
            return "song by a forgiving inflate"
        return f"WRONG: a song where h5py says {expected}"
    return "song" if same_song(found, expected) else "WRONG: another song than h5py's"


def main(folder: str, seed: str, first: str, step: str, count: str) -> None:
    """Try examples ``first``, ``first + step``, … below ``count``; print each one's number, and at last a summary."""
    faulthandler.enable()
    cases = [case(path.read_bytes()) for path in sorted(Path(folder).glob("*.h5"))]
    for known in cases:
        parse_song(known.image)
    before = peak()
    seen: Counter[str] = Counter()
    wrong = []
    for number in range(int(first), int(count), int(step)):
        name, chosen, image = example(cases, int(seed), number)
        print(f"seed {seed}, example {number}: {name}", flush=True)
        found = judge(chosen.image, image)
        seen[found.split(":")[0]] += 1
        if found.startswith("WRONG"):
            wrong.append(f"seed {seed}, example {number}, {name}: {found}")
    print(json.dumps({"seen": seen, "wrong": wrong, "grown": peak() - before}))


if __name__ == "__main__":
    main(*sys.argv[1:])
