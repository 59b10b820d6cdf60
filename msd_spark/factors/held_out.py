"""Hold out users, unseen in training, with some of their tracks to predict.

References
----------
.. [1] D. Liang, R. Krishnan, M. Hoffman, T. Jebara, "Variational Autoencoders for Collaborative Filtering", WWW 2018,
   section 4.1 and the paper's code: a recommender sees 80 % of a held-out user's songs; users with fewer than five
   songs are skipped.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from msd_spark.factors.listens import Listens, TooFewListensError

LEAST_TRACKS = 5
"""Fewest tracks of an evaluated user; one in five is held out."""
TRAIN, VALIDATION, TEST = 0, 1, 2


@dataclass(frozen=True)
class HeldOut:
    """Held-out users: the plays that a recommender sees, and the plays to predict.

    Both are of shape ``(users, tracks)``, with at least one play to predict per user. `too_few` counts users skipped
    because they have fewer than `LEAST_TRACKS` tracks that occur in training.
    """

    history: sparse.csr_matrix
    held_out: sparse.csr_matrix
    too_few: int

    @property
    def n_held(self) -> np.ndarray:
        """Tracks to predict per user, shape ``(users,)``."""
        return np.diff(self.held_out.indptr)


@dataclass(frozen=True)
class Split:
    """Users split into train, validation and test; only tracks of `train` can be recommended.

    `unknown_pairs` counts listens of held-out users to tracks that do not occur in training; they are dropped.
    """

    train: Listens
    validation: HeldOut
    test: HeldOut
    unknown_pairs: int


def uniform_hash(keys: np.ndarray, seed: int) -> np.ndarray:
    """Return a number in [0, 1) per key by a seeded hash: shape ``(n,)``, float64."""
    digests = [hashlib.blake2b(f"{seed}:{key}".encode(), digest_size=8).digest() for key in keys.tolist()]
    return np.frombuffer(b"".join(digests), ">u8") / 2.0**64


def parts_of(users: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Return `TRAIN`, `VALIDATION` or `TEST` per user, from the user's id and the seed alone."""
    hashes = uniform_hash(users, seed)
    return np.where(hashes < share, TEST, np.where(hashes < 2 * share, VALIDATION, TRAIN))


def split(listens: Listens, share: float, seed: int) -> Split:
    """Hold out users for validation and test; raise TooFewListensError if a part has no users."""
    part = parts_of(listens.users, share, seed)
    train = listens.of_users(part == TRAIN)
    known = np.bincount(train.plays.indices, minlength=len(listens.tracks)) > 0
    n_unknown = 0
    parts = {}
    for name in (VALIDATION, TEST):
        of_part = listens.of_users(part == name)
        inside = of_part.of_tracks(known)
        n_unknown += of_part.plays.nnz - inside.plays.nnz
        parts[name] = hold_out(inside, seed)
    sizes = [len(train.users), *(len(users.n_held) for users in parts.values())]
    if not all(sizes):
        raise TooFewListensError(
            f"the train, validation and test parts have {sizes[0]}, {sizes[1]} and {sizes[2]} of {len(listens.users)} "
            "users; read more triplets, raise --held-out, or set it to 0 to skip the evaluation"
        )
    return Split(train.of_tracks(known), parts[VALIDATION], parts[TEST], n_unknown)


def hold_out(listens: Listens, seed: int) -> HeldOut:
    """Hold out a fifth of each user's tracks, rounded down, by a seeded hash of user and track."""
    enough = np.diff(listens.plays.indptr) >= LEAST_TRACKS
    frequent = listens.of_users(enough)
    plays = frequent.plays
    sizes = np.diff(plays.indptr)
    user = np.repeat(np.arange(len(sizes)), sizes)
    keys = np.char.add(np.char.add(frequent.users[user], " "), frequent.tracks[plays.indices])
    place = pd.Series(uniform_hash(keys, seed)).groupby(user).rank(method="first").to_numpy() - 1
    # Integer division: with a float share of 0.2, five songs can round down to none.
    out = place < (sizes // LEAST_TRACKS)[user]
    return HeldOut(_masked(plays, user, ~out), _masked(plays, user, out), int((~enough).sum()))


def _masked(matrix: sparse.csr_matrix, row: np.ndarray, mask: np.ndarray) -> sparse.csr_matrix:
    entries = (matrix.data[mask], (row[mask], matrix.indices[mask]))
    masked = sparse.coo_matrix(entries, shape=matrix.shape).tocsr()
    masked.sort_indices()
    return masked
