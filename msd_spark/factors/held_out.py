"""Strong generalisation: users of whom training sees nothing, each with a history and with songs held out of it.

References
----------
.. [1] D. Liang, R. Krishnan, M. Hoffman, T. Jebara, "Variational Autoencoders for Collaborative Filtering", WWW 2018,
   section 4.1 and the paper's own code: held-out users, 80 % of whose songs a recommender is told; users of fewer
   than five songs are not judged.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from msd_spark.factors.listens import Listens, TooFewListensError

LEAST_TRACKS = 5
"""Tracks that a judged user has at least, and of as many one is held out."""
TRAIN, VALIDATION, TEST = 0, 1, 2


@dataclass(frozen=True)
class HeldOut:
    """Held-out users.

    Attributes
    ----------
    history : scipy.sparse.csr_matrix
        Shape ``(users, tracks)``, plays: what a recommender is told of them.
    held : scipy.sparse.csr_matrix
        Shape ``(users, tracks)``, plays: what it is to find. Each user has at least one.
    too_few : int
        Users who are not among them because training knows fewer than `LEAST_TRACKS` of their tracks.
    """

    history: sparse.csr_matrix
    held: sparse.csr_matrix
    too_few: int

    @property
    def n_held(self) -> np.ndarray:
        """Songs held out of each user, shape ``(users,)``."""
        return np.diff(self.held.indptr)


@dataclass(frozen=True)
class Split:
    """Users parted three ways.

    Attributes
    ----------
    tracks : numpy.ndarray
        Ids of the tracks that anybody in training listens to: no other can be recommended.
    train : Listens
    validation, test : HeldOut
    unknown_pairs : int
        Listens of held-out users to other tracks, which are left out.
    """

    train: Listens
    validation: HeldOut
    test: HeldOut
    unknown_pairs: int

    @property
    def tracks(self) -> np.ndarray:
        """Ids of the tracks that can be recommended."""
        return self.train.tracks


def places(keys: np.ndarray, seed: int) -> np.ndarray:
    """Return a number in [0, 1) for each key, by a seeded hash: shape ``(n,)``, float64."""
    digests = [hashlib.blake2b(f"{seed}:{key}".encode(), digest_size=8).digest() for key in keys.tolist()]
    return np.frombuffer(b"".join(digests), ">u8") / 2.0**64


def parts_of(users: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Return the part of each user (`TRAIN`, `VALIDATION`, `TEST`); it depends on the user's id and the seed alone."""
    place = places(users, seed)
    return np.where(place < share, TEST, np.where(place < 2 * share, VALIDATION, TRAIN))


def split(listens: Listens, share: float, seed: int) -> Split:
    """Hold out users for validation and test.

    Raises
    ------
    TooFewListensError
        When a part has no users to train on or to judge by.
    """
    part = parts_of(listens.users, share, seed)
    train = listens.of_users(part == TRAIN)
    known = np.bincount(train.plays.indices, minlength=len(listens.tracks)) > 0
    train = train.of_tracks(known)
    n_unknown = 0
    judged = {}
    for name in (VALIDATION, TEST):
        ours = listens.of_users(part == name)
        inside = ours.of_tracks(known)
        n_unknown += ours.plays.nnz - inside.plays.nnz
        judged[name] = hold_out(inside, seed)
    if not len(train.users) or not judged[VALIDATION].held.nnz or not judged[TEST].held.nnz:
        sizes = f"{len(train.users)}, {judged[VALIDATION].held.shape[0]} and {judged[TEST].held.shape[0]}"
        message = f"{sizes} users to train, validate and test on, of {len(listens.users)}"
        raise TooFewListensError(f"{message}; give more listens or a greater --held-out, or 0 not to judge")
    return Split(train, judged[VALIDATION], judged[TEST], n_unknown)


def hold_out(listens: Listens, seed: int) -> HeldOut:
    """Hold a fifth of each user's tracks out, rounded down; which ones, a hash of user, track and seed says."""
    enough = np.diff(listens.plays.indptr) >= LEAST_TRACKS
    chosen = listens.of_users(enough)
    plays = chosen.plays
    sizes = np.diff(plays.indptr)
    user = np.repeat(np.arange(len(sizes)), sizes)
    keys = np.char.add(np.char.add(chosen.users[user], " "), chosen.tracks[plays.indices])
    order = np.lexsort((places(keys, seed), user))
    place = np.empty(len(user), np.int64)
    place[order] = np.arange(len(user)) - plays.indptr[user]
    # In integers, since a float share of a fifth would round 5 songs' one down now and then.
    out = place < (sizes // LEAST_TRACKS)[user]
    return HeldOut(_where(plays, user, ~out), _where(plays, user, out), int((~enough).sum()))


def _where(matrix: sparse.csr_matrix, row: np.ndarray, chosen: np.ndarray) -> sparse.csr_matrix:
    found = sparse.coo_matrix((matrix.data[chosen], (row[chosen], matrix.indices[chosen])), shape=matrix.shape).tocsr()
    found.sort_indices()
    return found
