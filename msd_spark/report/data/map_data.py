"""Places, samples and traits of the songs on the map. Reads no files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

MOST_ARTISTS = 12
"""Artists with their own colour on the map."""

UNKNOWN = 255
"""Code of a missing trait, or of a value without its own colour."""

PLANE = "first two principal components of the embeddings"


def plane(vectors: np.ndarray) -> np.ndarray:
    """Project vectors, shape ``(n, size)``, on their first two principal components."""
    places = np.zeros((len(vectors), 2), np.float32)
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    values, axes = np.linalg.eigh(centred.T @ centred)
    axes = axes[:, np.argsort(-values)[:2]]
    axes *= np.sign(np.take_along_axis(axes, np.abs(axes).argmax(axis=0, keepdims=True), axis=0))  # one of two signs
    places[:, : axes.shape[1]] = centred @ axes
    return places


def sample_by(groups: pd.Series, size: int, seed: int) -> np.ndarray:
    """Return the sorted rows of a stratified sample; each group has its share to within one row.

    Null is a group of its own. All rows are returned if there are no more than `size`. Shuffled rows are ranked within
    their group; those with the least rank relative to the size of the group are taken.
    """
    n = len(groups)
    if size >= n:
        return np.arange(n)
    shuffled = pd.Series(np.random.default_rng(seed).permutation(n))
    codes = pd.Series(pd.factorize(groups)[0])
    rank = shuffled.groupby(codes).rank(method="first") - 0.5
    relative = rank / codes.map(codes.value_counts())
    return np.sort(np.lexsort((shuffled, relative))[:size])


@dataclass(frozen=True)
class Trait:
    """A trait that colours the map or filters its songs.

    Attributes
    ----------
    key, title : str
        Its name in files and addresses, and for readers.
    names, counts : list
        Its values, and the songs with each.
    codes : numpy.ndarray
        The place of each song's value in `names`, uint8; `UNKNOWN` for others.
    other : str
        Name of the songs without one of the values.
    ordered, is_range : bool
        Whether the values are a scale; whether they only filter, from one value to another.
    """

    key: str
    title: str
    names: list[str]
    counts: list[int]
    codes: np.ndarray
    other: str = "unknown"
    ordered: bool = False
    is_range: bool = False

    @classmethod
    def of(cls, key: str, title: str, values: pd.Series, *, ordered: bool = False, most: int = UNKNOWN) -> Trait:
        """Return the trait of a column; only the `most` frequent values have a name."""
        counts = values.value_counts()
        names = sorted(counts.index)
        if not ordered and len(counts) > most:
            names.sort(key=lambda name: -counts[name])
        names = names[: min(most, UNKNOWN)]
        codes = values.map({name: code for code, name in enumerate(names)}).fillna(UNKNOWN).to_numpy(np.uint8)
        other = f"other {key}s" if len(names) < len(counts) else "unknown"
        return cls(
            key, title, [str(name) for name in names], [int(counts[name]) for name in names], codes, other, ordered
        )

    def data(self) -> dict[str, Any]:
        """Return everything but the codes, which have a file of their own."""
        facts = {"key": self.key, "title": self.title, "names": self.names, "counts": self.counts, "other": self.other}
        others = int((self.codes == UNKNOWN).sum())
        return facts | {"others": others, "ordered": self.ordered, "range": self.is_range}


def traits(songs: pd.DataFrame, label_set: str | None) -> list[Trait]:
    """Return the traits that some song has; `label_set` is that of the genre."""
    years = songs["year"].dropna().astype(int)
    decades = (years // 10 * 10).astype(str) + "s"
    ends = {1: " (least played)", 10: " (most played)"}
    deciles = (
        (songs["popularity_decile"].dropna() + 1)
        .astype(int)
        .map(lambda number: f"decile {number:2d}{ends.get(number, '')}")
    )
    every = [
        Trait.of("genre", f"genre ({label_set})" if label_set else "genre", songs["genre"]),
        Trait.of("predicted", "predicted genre", songs["predicted_genre"]),
        Trait.of("artist", f"artist (top {MOST_ARTISTS})", songs["artist_name"], most=MOST_ARTISTS),
        Trait.of("decade", "decade", decades.reindex(songs.index), ordered=True),
        Trait.of("popularity", "popularity", deciles.reindex(songs.index), ordered=True),
        Trait.of("language", "language of the lyrics", songs["language"]),
        Trait.of("split", "split", songs["split"]),
        replace(Trait.of("year", "year", years.astype(str).reindex(songs.index), ordered=True), is_range=True),
    ]
    return [trait for trait in every if trait.names]
