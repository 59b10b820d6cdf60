"""The songs with the highest activation of each filter, updated batch by batch."""

from __future__ import annotations

import numpy as np


class TopSegments:
    """The highest activations of each filter of a layer.

    A filter has at most one per song, and `top` in all. Ties are resolved in favour of the lower song number and the
    earlier position, so that the result does not depend on the batches. Activations of 0 or less are ignored.

    Attributes
    ----------
    activations : numpy.ndarray
        Shape ``(n_filters, top)``, float32, in descending order; 0 where there are fewer songs.
    songs, places : numpy.ndarray
        Shape ``(n_filters, top)``, int64: number of the song, and position of the layer's output.
    sums : numpy.ndarray
        Shape ``(3, n_filters)``: over all songs, of 1, of the highest activation and of its square.
    """

    def __init__(self, n_filters: int, top: int) -> None:
        self.activations = np.zeros((n_filters, top), np.float32)
        self.songs = np.full((n_filters, top), np.iinfo(np.int64).max)
        self.places = np.zeros((n_filters, top), np.int64)
        self.sums = np.zeros((3, n_filters))

    def add(self, songs: np.ndarray, activations: np.ndarray, inside: np.ndarray) -> None:
        """Add the activations of songs, given their numbers; a song may be added only once.

        `activations` has shape ``(n, n_places, n_filters)``. Positions where `inside` ``(n, n_places)`` is False are
        beyond the end of the song and ignored.
        """
        masked = np.where(inside[:, :, None], activations, -np.inf)
        places = masked.argmax(axis=1)
        highest = np.take_along_axis(masked, places[:, None], axis=1)[:, 0]
        highest = np.where(highest > 0, highest, 0).astype(np.float32)
        self.sums += [(highest.astype(np.float64) ** power).sum(axis=0) for power in range(3)]
        columns = (
            np.hstack([self.activations, highest.T]),
            np.hstack([self.songs, np.broadcast_to(songs, highest.T.shape)]),
            np.hstack([self.places, places.T]),
        )
        order = np.lexsort((columns[1], -columns[0]), axis=1)[:, : self.activations.shape[1]]
        self.activations, self.songs, self.places = (np.take_along_axis(part, order, axis=1) for part in columns)

    @property
    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of the highest activation per song, ``(n_filters,)`` each."""
        count, total, squares = self.sums
        mean = total / count
        return mean, np.sqrt(np.maximum(squares / count - mean**2, 0))

    @property
    def silent(self) -> np.ndarray:
        """Shape ``(n_filters,)``, bool: filters that responded to no song."""
        return self.activations[:, 0] <= 0
