"""Which songs a map is made of: a seeded sample in which every genre has its share."""

from __future__ import annotations

import numpy as np

FEWEST_OF_A_STRATUM = 10
"""Songs that a rare genre sends at least, or all it has: of fewer there is no cluster to place others into."""


def stratified_sample(strata: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Return a sample of songs in which each stratum has its share, rare ones a little more.

    Parameters
    ----------
    strata : numpy.ndarray
        Shape ``(n,)``, str: the genre of each song.
    size : int
        Songs to draw; all where there are no more.
    seed : int

    Returns
    -------
    numpy.ndarray
        Shape ``(min(n, size),)``, int64: places of the songs, increasing.
    """
    if len(strata) <= size:
        return np.arange(len(strata))
    generator = np.random.default_rng(seed)
    _, stratum, counts = np.unique(strata, return_inverse=True, return_counts=True)
    quotas = shares(counts, size)
    order = generator.permutation(len(strata))
    by_stratum = order[np.argsort(stratum[order], kind="stable")]
    first = np.cumsum(counts) - counts
    chosen = [by_stratum[start : start + quota] for start, quota in zip(first, quotas, strict=True)]
    return np.sort(np.concatenate(chosen))


def shares(counts: np.ndarray, size: int) -> np.ndarray:
    """Return how many songs each stratum sends.

    Every stratum sends `FEWEST_OF_A_STRATUM`, or what it has, or an equal part of the sample where that is less; what
    is left is shared in proportion to what the strata have left, by the largest remainders.

    Parameters
    ----------
    counts : numpy.ndarray
        Shape ``(n_strata,)``: songs of each, at least 1.
    size : int
        Songs to draw, at most ``counts.sum()``.

    Returns
    -------
    numpy.ndarray
        Shape ``(n_strata,)``, int64; the sum is `size`.

    Examples
    --------
    Of 1000, 90 and 5 songs, 100 are drawn: 10, 10 and 5 at first; the other 75 go by 990 and 80 that are left, so
    69.39 and 5.61, and the one that rounding leaves goes to the second.

    >>> shares(np.array([1000, 90, 5]), 100).tolist()
    [79, 16, 5]
    """
    counts = np.asarray(counts, np.int64)
    floor = np.minimum(counts, min(FEWEST_OF_A_STRATUM, size // len(counts)))
    rest, left = size - int(floor.sum()), counts - floor
    if not rest:
        return floor
    exact = rest * left / left.sum()
    quotas = floor + exact.astype(np.int64)
    missing = size - int(quotas.sum())
    quotas[np.argsort(-(exact % 1), kind="stable")[:missing]] += 1
    return quotas
