"""Overlap of evaluated examples and training examples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.data.predictions import Predictions
from training.evaluation.baselines import TrainingTruths


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


def find_leak(examples: Predictions, training: TrainingTruths) -> Leak:
    """Compare evaluated examples with training examples, by track id and by artist group.

    Datasets of different catalogues may name the same artist group differently; tracks are compared by id.
    """
    known = np.isin(examples.artist_groups, training.artist_groups)
    same_tracks = int(np.isin(examples.track_ids, training.track_ids).sum())
    known_artists = len(np.unique(examples.artist_groups[known]))
    return Leak(len(examples), same_tracks, known_artists, int(known.sum()))
