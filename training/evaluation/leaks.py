"""Whether a run was trained on what it is judged on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Leak:
    """What examples have in common with the ones a run was trained on.

    Attributes
    ----------
    examples : int
        Examples that are judged.
    same_tracks : int
        Those that the run was trained on.
    known_artists : int
        Artist groups among the judged ones that the run was trained on.
    examples_of_known_artists : int
    """

    examples: int
    same_tracks: int
    known_artists: int
    examples_of_known_artists: int

    def warning(self, run: str) -> str | None:
        """Return what to say of it, None where there is nothing in common."""
        if not self.same_tracks and not self.known_artists:
            return None
        return (
            f"WARNING: {self.examples_of_known_artists} of {self.examples} examples are by {self.known_artists} "
            f"artists that run {run} was trained on, and {self.same_tracks} are the very tracks; "
            "these figures say little about artists it never heard"
        )


def find_leak(
    track_ids: np.ndarray, artist_groups: np.ndarray, trained_tracks: np.ndarray, trained_groups: np.ndarray
) -> Leak:
    """Compare judged examples with those a run was trained on, by track id and by artist group.

    A group bears the name of the first artist in it; datasets of other catalogues may link artists
    otherwise and so name a group otherwise. Tracks are found all the same.

    Parameters
    ----------
    track_ids, artist_groups : numpy.ndarray
        Shape ``(n,)``: of the examples that are judged.
    trained_tracks, trained_groups : numpy.ndarray
        Shape ``(n_trained,)``: of the run's training examples.
    """
    known = np.isin(artist_groups, trained_groups)
    return Leak(
        len(track_ids),
        int(np.isin(track_ids, trained_tracks).sum()),
        len(np.unique(artist_groups[known])),
        int(known.sum()),
    )
