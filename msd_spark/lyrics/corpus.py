"""All blocks of bags together: the tracks that stand twice, and every line accounted for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from msd_spark.core.rejections import Rejection
from msd_spark.lyrics.blocks import ParsedBlock


@dataclass(frozen=True)
class Corpus:
    """What the driver knows of all blocks together.

    Attributes
    ----------
    n_lines, n_tracks : int
    repeats : dict of int to list of int
        By block, the places of bags whose track stood before.
    rejections : list of Rejection
        In the order of the files and their lines.
    """

    n_lines: int
    n_tracks: int
    repeats: dict[int, list[int]]
    rejections: list[Rejection]


def without_words(block: ParsedBlock) -> ParsedBlock:
    """Return a parsed block with its tracks alone, which is all the driver needs to find repeated ones."""
    none = np.zeros(0, np.int32)
    return replace(block, bags=replace(block.bags, offsets=none, indices=none, counts=none))


def take_stock(blocks: Sequence[ParsedBlock]) -> Corpus:
    """Find the tracks that stand twice, of which the first one counts, and put all rejections in order.

    Parameters
    ----------
    blocks : sequence of ParsedBlock
        In the order of the files and their lines.
    """
    track_ids = np.concatenate([block.bags.track_ids for block in blocks])
    starts = np.cumsum([0, *(len(block.bags) for block in blocks)])
    _, first, group = np.unique(track_ids, return_index=True, return_inverse=True)
    repeats: dict[int, list[int]] = {}
    rejections = [list(block.rejections) for block in blocks]

    def place(row: int) -> tuple[int, int]:
        block = int(np.searchsorted(starts, row, "right")) - 1
        return block, row - int(starts[block])

    for row in np.flatnonzero(first[group] != np.arange(len(track_ids))).tolist():
        block, here = place(row)
        kept_block, kept = place(int(first[group[row]]))
        repeats.setdefault(block, []).append(here)
        line = int(blocks[block].bag_lines[here])
        detail = (
            f"{track_ids[row].decode()} stands in line {blocks[kept_block].bag_lines[kept]} "
            f"of {blocks[kept_block].source} already"
        )
        rejections[block].append((line, Rejection(blocks[block].source, "repeated_track", detail, f"line {line}")))
    ordered = [rejection for part in rejections for _, rejection in sorted(part, key=lambda entry: entry[0])]
    return Corpus(sum(block.n_lines for block in blocks), len(first), repeats, ordered)
