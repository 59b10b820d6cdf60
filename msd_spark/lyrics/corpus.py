"""Repeated tracks and rejected lines of all blocks together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from msd_spark.core.rejections import Rejection
from msd_spark.lyrics.blocks import ParsedBlock


@dataclass(frozen=True)
class Corpus:
    """Facts about all blocks together.

    `n_lines` does not count comments, empty lines and lines of words. `repeats` has, by block, the places of bags whose
    track occurred earlier. `rejections` are in the order of files and lines.
    """

    n_lines: int
    n_tracks: int
    repeats: dict[int, list[int]]
    rejections: list[Rejection]


def without_words(block: ParsedBlock) -> ParsedBlock:
    """Return a block with only its track ids, which suffice to find repeated tracks."""
    none = np.zeros(0, np.int32)
    return replace(block, bags=replace(block.bags, offsets=none, indices=none, counts=none))


def find_repeats(blocks: Sequence[ParsedBlock]) -> Corpus:
    """Reject repeated tracks, and collect the rejections of all blocks in order."""
    track_ids = np.concatenate([block.bags.track_ids for block in blocks])
    starts = np.cumsum([0, *(len(block.bags) for block in blocks)])
    _, first, group = np.unique(track_ids, return_index=True, return_inverse=True)
    repeats: dict[int, list[int]] = {}
    rejections = [list(block.rejections) for block in blocks]

    def place(row: int) -> tuple[int, int]:
        block = int(np.searchsorted(starts, row, "right")) - 1
        return block, row - int(starts[block])

    for row in np.flatnonzero(first[group] != np.arange(len(track_ids))).tolist():
        block, bag = place(row)
        first_block, first_bag = place(int(first[group[row]]))
        repeats.setdefault(block, []).append(bag)
        line = int(blocks[block].bag_lines[bag])
        detail = (
            f"{track_ids[row].decode()} occurs earlier, in line {blocks[first_block].bag_lines[first_bag]} "
            f"of {blocks[first_block].source}"
        )
        rejections[block].append((line, Rejection(blocks[block].source, "repeated_track", detail, f"line {line}")))
    ordered = [rejection for part in rejections for _, rejection in sorted(part, key=lambda entry: entry[0])]
    n_lines = sum(len(block.bags) + len(block.rejections) for block in blocks)
    return Corpus(n_lines, len(first), repeats, ordered)
