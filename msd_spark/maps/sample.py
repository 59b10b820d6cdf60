"""Seeded stratified samples of songs."""

from __future__ import annotations

import numpy as np

FEWEST_OF_A_STRATUM = 10
"""Fewest songs of a genre in the sample, or all of them; fewer form no cluster to place others into."""


def stratified_sample(strata: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Return increasing row numbers of `size` songs, or of all if there are fewer.

    The sample is proportional by stratum, the genre of a song, with a minimum for rare strata.
    """
    if len(strata) <= size:
        return np.arange(len(strata))
    generator = np.random.default_rng(seed)
    _, stratum, counts = np.unique(strata, return_inverse=True, return_counts=True)
    quotas = shares(counts, size)
    order = generator.permutation(len(strata))
    by_stratum = order[np.argsort(stratum[order], kind="stable")]
    first = np.cumsum(counts) - counts
    rows = [by_stratum[start : start + quota] for start, quota in zip(first, quotas, strict=True)]
    return np.sort(np.concatenate(rows))


def shares(counts: np.ndarray, size: int) -> np.ndarray:
    """Return the number of songs to draw from each stratum.

    Each stratum has at least `FEWEST_OF_A_STRATUM` songs, or all its songs, or an equal part of a small sample.
    The rest is proportional to the remaining songs of the strata, by the largest remainders. Counts are at least 1, and
    `size`, the sum of the result, is at most their sum.

    Examples
    --------
    100 of 1000, 90 and 5 songs: first 10, 10 and 5; the other 75 are shared by 990 to 80, so 69.39 and 5.61, and the
    last one goes to the larger remainder.

    >>> shares(np.array([1000, 90, 5]), 100).tolist()
    [79, 16, 5]
    """
    counts = np.asarray(counts, np.int64)
    floor = np.minimum(counts, min(FEWEST_OF_A_STRATUM, size // len(counts)))
    rest, remaining = size - int(floor.sum()), counts - floor
    if not rest:
        return floor
    exact = rest * remaining / remaining.sum()
    quotas = floor + exact.astype(np.int64)
    missing = size - int(quotas.sum())
    quotas[np.argsort(-(exact % 1), kind="stable")[:missing]] += 1
    return quotas
