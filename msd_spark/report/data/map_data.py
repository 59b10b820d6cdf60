"""Data of the map: names, places and traits of songs. Reads no files."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from msd_spark.report.scripts import packed

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


def _trait(key: str, title: str, values: pd.Series, *, ordered: bool = False, most: int = UNKNOWN) -> dict[str, Any]:
    """Return a trait that colours the map; without names if no song has it."""
    counts = values.value_counts()
    names = sorted(counts.index)
    if not ordered and len(counts) > most:
        names.sort(key=lambda name: -counts[name])
    names = names[: min(most, UNKNOWN)]
    codes = values.map({name: code for code, name in enumerate(names)}).fillna(UNKNOWN).to_numpy(np.uint8)
    return {
        "key": key,
        "title": title,
        "ordered": ordered,
        "names": [str(name) for name in names],
        "counts": [int(counts[name]) for name in names],
        "other": "other artists" if len(names) < len(counts) else "unknown",
        "others": int((codes == UNKNOWN).sum()),
        "codes": packed(codes),
    }


def traits(songs: pd.DataFrame, label_set: str | None) -> list[dict[str, Any]]:
    """Return the traits that can colour the map; `label_set` is that of the genre."""
    decades = (songs["year"].dropna() // 10 * 10).astype(int).astype(str) + "s"
    ends = {1: " (least played)", 10: " (most played)"}
    deciles = (
        (songs["popularity_decile"].dropna() + 1)
        .astype(int)
        .map(lambda number: f"decile {number:2d}{ends.get(number, '')}")
    )
    every = [
        _trait("genre", f"genre ({label_set})" if label_set else "genre", songs["genre"]),
        _trait("predicted", "predicted genre", songs["predicted_genre"]),
        _trait("artist", f"artist (top {MOST_ARTISTS})", songs["artist_name"], most=MOST_ARTISTS),
        _trait("decade", "decade", decades.reindex(songs.index), ordered=True),
        _trait("popularity", "popularity", deciles.reindex(songs.index), ordered=True),
        _trait("split", "split", songs["split"]),
    ]
    return [trait for trait in every if trait["names"]]


def map_data(songs: pd.DataFrame, label_set: str | None) -> dict[str, Any]:
    """Return the data of all songs of the map; the scripts know a song by its row."""
    codes, artists = pd.factorize(songs["artist_name"], sort=True)
    return {
        "ids": songs["track_id"].tolist(),
        "titles": [None if pd.isna(title) else str(title) for title in songs["title"]],
        "artists": {"names": [str(name) for name in artists], "codes": packed((codes + 1).astype(np.uint32))},
        "x": packed(songs["x"].to_numpy(np.float32)),
        "y": packed(songs["y"].to_numpy(np.float32)),
        "traits": traits(songs, label_set),
    }
