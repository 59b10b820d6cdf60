"""The songs to which filters respond most, and the place in each: one place a song, found batch by batch."""

from __future__ import annotations

import numpy as np


class TopSegments:
    """Keeps, for each filter of a layer, the songs with the highest activations seen so far.

    At the same activation the song with the smaller number comes first, and within a song the first place, so that the
    result does not depend on the batches. An activation of 0 or less is none.

    Parameters
    ----------
    n_filters : int
    top : int
        Songs to keep of each filter.

    Attributes
    ----------
    activations : numpy.ndarray
        Shape ``(n_filters, top)``, float32, highest first; 0 where there are no more.
    songs, places : numpy.ndarray
        Shape ``(n_filters, top)``, int64: which song, and which place of the layer in it.
    """

    def __init__(self, n_filters: int, top: int) -> None:
        self.activations = np.zeros((n_filters, top), np.float32)
        self.songs = np.full((n_filters, top), np.iinfo(np.int64).max)
        self.places = np.zeros((n_filters, top), np.int64)

    def add(self, songs: np.ndarray, activations: np.ndarray, there: np.ndarray) -> None:
        """Take in the activations of some songs, each of which comes once.

        Parameters
        ----------
        songs : numpy.ndarray
            Shape ``(n,)``: the songs' numbers.
        activations : numpy.ndarray
            Shape ``(n, n_places, n_filters)``.
        there : numpy.ndarray
            Shape ``(n, n_places)``, bool: places that lie within the song; the others count for nothing.
        """
        heard = np.where(there[:, :, None], activations, -np.inf)
        places = heard.argmax(axis=1)
        best = np.take_along_axis(heard, places[:, None], axis=1)[:, 0]
        best = np.where(best > 0, best, 0).astype(np.float32)
        columns = (
            np.hstack([self.activations, best.T]),
            np.hstack([self.songs, np.broadcast_to(songs, best.T.shape)]),
            np.hstack([self.places, places.T]),
        )
        order = np.lexsort((columns[1], -columns[0]), axis=1)[:, : self.activations.shape[1]]
        self.activations, self.songs, self.places = (np.take_along_axis(part, order, axis=1) for part in columns)

    @property
    def silent(self) -> np.ndarray:
        """Shape ``(n_filters,)``, bool: filters that responded to no song."""
        return self.activations[:, 0] <= 0
