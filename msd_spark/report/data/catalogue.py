"""The songs of the map: names, places and traits, as a table and as the page's data. No file is read here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from msd_spark.report.scripts import packed

MOST_ARTISTS = 12
"""Artists that have a colour of their own on the map."""

UNKNOWN = 255
"""The code of a trait that is not known of a song, or of a value that has no colour of its own."""

PLANE = "the first two principal components of the embeddings"


def plane(vectors: np.ndarray) -> np.ndarray:
    """Return each song's place in the plane of its embedding's first two principal components.

    Parameters
    ----------
    vectors : numpy.ndarray
        Shape ``(n, size)``, n at least 1.

    Returns
    -------
    numpy.ndarray
        Shape ``(n, 2)``, float32; zero where there are fewer components.
    """
    from sklearn.decomposition import PCA

    places = np.zeros((len(vectors), 2), np.float32)
    if len(vectors) > 1:
        n_components = min(2, *vectors.shape)
        places[:, :n_components] = PCA(n_components, random_state=0).fit_transform(vectors)
    return places


def sample_by(groups: pd.Series, size: int, seed: int) -> np.ndarray:
    """Return which rows a seeded sample holds: each group in its share, to within one row.

    Parameters
    ----------
    groups : pandas.Series
        A group for each row; null is one of them.
    size : int
        Rows wanted; all where there are no more.
    seed : int

    Returns
    -------
    numpy.ndarray
        Sorted.

    Notes
    -----
    Rows in random order are ranked within their group; the rank over the group's size is where in the group a row
    stands, and those that stand foremost are taken.
    """
    n = len(groups)
    if size >= n:
        return np.arange(n)
    shuffled = pd.Series(np.random.default_rng(seed).permutation(n))
    codes = pd.Series(pd.factorize(groups)[0])
    rank = shuffled.groupby(codes).rank(method="first") - 0.5
    standing = rank / codes.map(codes.value_counts())
    return np.sort(np.lexsort((shuffled, standing))[:size])


def _trait(key: str, title: str, values: pd.Series, *, ordered: bool, most: int = UNKNOWN) -> dict[str, Any] | None:
    """Return a trait that the map can be coloured by; None where no song has it."""
    counts = values.value_counts()
    if counts.empty:
        return None
    if ordered or len(counts) <= most:
        names = sorted(counts.index)
    else:
        names = sorted(counts.index, key=lambda name: (-counts[name], name))
    kept = names[: min(most, UNKNOWN)]
    codes = values.map({name: code for code, name in enumerate(kept)}).fillna(UNKNOWN).to_numpy(np.uint8)
    left = int((codes == UNKNOWN).sum())
    return {
        "key": key,
        "title": title,
        "ordered": ordered,
        "names": [str(name) for name in kept],
        "counts": [int(counts[name]) for name in kept],
        "other": "other artists" if len(kept) < len(counts) else "not known",
        "others": left,
        "codes": packed(codes),
    }


def traits(songs: pd.DataFrame, label_set: str | None) -> list[dict[str, Any]]:
    """Return what the map can be coloured by.

    Parameters
    ----------
    songs : pandas.DataFrame
        ``genre``, ``predicted_genre``, ``artist_name``, ``year``, ``popularity_decile`` and ``split``, null where not
        known.
    label_set : str or None
        Whose genres these are.
    """
    artists = songs["artist_name"]
    decades = (songs["year"].dropna() // 10 * 10).astype(int).astype(str) + "s"
    deciles = (songs["popularity_decile"].dropna() + 1).astype(int).map(_decile)
    found = [
        _trait("genre", f"genre ({label_set})" if label_set else "genre", songs["genre"], ordered=False),
        _trait("predicted", "predicted genre", songs["predicted_genre"], ordered=False),
        _trait("artist", f"artist (the {MOST_ARTISTS} with most songs)", artists, ordered=False, most=MOST_ARTISTS),
        _trait("decade", "decade", decades.reindex(songs.index), ordered=True),
        _trait("popularity", "popularity", deciles.reindex(songs.index), ordered=True),
        _trait("split", "part in training", songs["split"], ordered=False),
    ]
    return [trait for trait in found if trait is not None]


def _decile(tenth: int) -> str:
    ends = {1: " (least played)", 10: " (most played)"}
    return f"tenth {tenth:2d}{ends.get(tenth, '')}"


def map_data(songs: pd.DataFrame, label_set: str | None) -> dict[str, Any]:
    """Return the page's data of all songs of the map.

    Parameters
    ----------
    songs : pandas.DataFrame
        As `traits` wants it, with ``track_id``, ``title``, ``x`` and ``y``; a song's row is its number on the page.
    label_set : str or None
    """
    codes, artists = pd.factorize(songs["artist_name"], sort=True)
    return {
        "ids": songs["track_id"].tolist(),
        "titles": [None if pd.isna(title) else str(title) for title in songs["title"]],
        "artists": {"names": [str(name) for name in artists], "codes": packed((codes + 1).astype(np.uint32))},
        "x": packed(songs["x"].to_numpy(np.float32)),
        "y": packed(songs["y"].to_numpy(np.float32)),
        "traits": traits(songs, label_set),
    }
