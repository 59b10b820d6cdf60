"""Leave out of a song's neighbours itself and, optionally, its artist and its duplicates."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

UNKNOWN = -1


@dataclass(frozen=True)
class Exclusions:
    """Keys that two neighbours must not share.

    Codes are ``(n_keys, n)``, int32: one per artist, name or title; `UNKNOWN` matches no other code.
    """

    codes: np.ndarray

    @classmethod
    def of(cls, songs: pd.DataFrame, names: Collection[str]) -> Self:
        """Return the codes of songs for names of `msd_spark.neighbours.settings.EXCLUSIONS`.

        `songs` has ``song_id``, ``artist_id``, ``artist_name`` and ``title``, null if unknown. ``same-artist``: equal
        artist id or normalised name (ignoring case, width and punctuation). ``duplicates``: equal song id, or equal
        normalised artist name and title.
        """
        import pandas as pd  # takes longer to load than the search for one song

        from msd_spark.catalogue.songs import normalised_names

        keys: list[pd.Series] = []
        if names:
            artists = normalised_names(songs["artist_name"])
        if "same-artist" in names:
            keys += [songs["artist_id"], artists]
        if "duplicates" in names:
            keys += [songs["song_id"], artists + "\n" + normalised_names(songs["title"])]
        codes = [pd.factorize(key)[0].astype(np.int32) for key in keys]
        return cls(np.stack(codes) if codes else np.empty((0, len(songs)), np.int32))

    def allowed(self, own: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Return which songs may be neighbours: shape ``(m, count)``, bool.

        `own`, of shape ``(m,)``, has the number of each query's song; negative for a song from outside. `places` is
        ``(m, count)``, or ``(count,)`` if all queries share them; negative for none.
        """
        allowed = (places >= 0) & (places != own[:, None])
        for codes in self.codes:
            own_codes = np.where(own < 0, UNKNOWN, codes[own])[:, None]
            allowed &= (own_codes == UNKNOWN) | (codes[places] != own_codes)
        return allowed
