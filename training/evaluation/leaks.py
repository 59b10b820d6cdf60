"""Overlap of evaluated examples and training examples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Leak:
    """Numbers of evaluated examples, and of tracks and artists that the run was trained on."""

    examples: int
    same_tracks: int
    known_artists: int
    examples_of_known_artists: int

    def warning(self, run: str) -> str | None:
        """Return a warning, None if nothing overlaps."""
        if not self.same_tracks and not self.known_artists:
            return None
        return (
            f"WARNING: {self.examples_of_known_artists} of {self.examples} examples are by {self.known_artists} "
            f"artists that run {run} was trained on, and {self.same_tracks} are training examples; "
            "these metrics say little about unknown artists"
        )


def find_leak(
    track_ids: np.ndarray, artist_groups: np.ndarray, trained_tracks: np.ndarray, trained_groups: np.ndarray
) -> Leak:
    """Compare evaluated examples with training examples, by track id and by artist group.

    Datasets of different catalogues may name the same artist group differently; tracks are compared by id.
    """
    known = np.isin(artist_groups, trained_groups)
    return Leak(
        len(track_ids),
        int(np.isin(track_ids, trained_tracks).sum()),
        len(np.unique(artist_groups[known])),
        int(known.sum()),
    )
