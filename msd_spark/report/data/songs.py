"""Join what the tables have of every embedded song."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from msd_spark.catalogue.embeddings import EMBEDDINGS_TABLE, read_embeddings
from msd_spark.core.errors import UserError
from msd_spark.report.data.map_data import PLANE, plane
from msd_spark.report.data.sources import Sources

DESCRIBED = ("title", "artist_name", "release", "year", "duration", "tempo", "key", "mode", "n_segments")
"""Columns of ``songs/`` in the report."""


@dataclass(frozen=True)
class Songs:
    """Every embedded song by track id, with null for unknown values."""

    table: pd.DataFrame
    map_source: str
    map_missing: str | None  # why the places are not those of maps/RUN

    @property
    def map_description(self) -> str:
        """Origin of the places, and why they are not a map."""
        return self.map_source + (f" ({self.map_missing})" if self.map_missing else "")


def read_songs(sources: Sources) -> Songs:
    """Return every embedded song with its names, genre, popularity, split and place on the map."""
    run = sources.name
    columns = ["track_id", "predicted_genre", "genre_probabilities", "has_lyrics"]
    table = sources.warehouse.read_table(columns, EMBEDDINGS_TABLE, run).to_pandas()
    if table.empty:
        raise UserError(f"embeddings/{run} has no songs; run msd-spark score again")
    table = table.sort_values("track_id", ignore_index=True)
    table = _joined(table, sources.table(["track_id", *DESCRIBED], "songs"), DESCRIBED)
    table["genre"] = pd.Series(sources.genres, dtype=object).reindex(table["track_id"]).to_numpy(object)
    popularity = ("plays", "listeners", "popularity_decile")
    table = _joined(table, sources.table(["track_id", *popularity], "popularity"), popularity)
    table["split"] = _splits(sources).reindex(table["track_id"]).to_numpy(object)
    return _placed(table, sources)


def _joined(table: pd.DataFrame, other: pd.DataFrame | None, columns: tuple[str, ...]) -> pd.DataFrame:
    if other is None:
        return table.assign(**dict.fromkeys(columns))
    unique = other[["track_id", *columns]].drop_duplicates("track_id")
    return table.merge(unique, on="track_id", how="left", validate="one_to_one")


def _splits(sources: Sources) -> pd.Series:
    """Return the split of each track that took part in training or evaluation."""
    files = {
        "train": ("training_examples.parquet",),
        "validation": ("predictions", "validation.parquet"),
        "test": ("predictions", "test.parquet"),
    }
    parts = [pd.Series(dtype=object)]
    for split, names in files.items():
        tracks = sources.parquet(["track_id"], *sources.run_file(*names))
        if tracks is not None:
            parts.append(pd.Series(split, index=tracks["track_id"].unique(), dtype=object))
    splits = pd.concat(parts)
    return splits[~splits.index.duplicated()]


def _placed(table: pd.DataFrame, sources: Sources) -> Songs:
    """Add the places of ``maps/RUN``, or principal components if it lacks a song."""
    run = sources.name
    places = sources.table(["track_id", "x", "y", "fitted"], "maps", run)
    missing = f"maps/{run} is missing (run msd-spark maps)"
    if places is not None:
        placed = _joined(table, places, ("x", "y", "fitted"))
        n_missing = int((~np.isfinite(placed[["x", "y"]].to_numpy(float))).any(axis=1).sum())
        if not n_missing:
            n_fitted = int(placed["fitted"].astype(bool).sum())
            rest = f"{n_fitted:,} songs, with the others added later" if n_fitted < len(placed) else "all songs"
            return Songs(placed, f"t-SNE map of the run, fitted on {rest}", None)
        missing = f"maps/{run} lacks {n_missing:,} of the {len(table):,} songs (run msd-spark maps again)"
    embedded = read_embeddings(sources.warehouse, run)
    numbers = pd.Series(np.arange(len(embedded)), index=embedded.track_ids)[table["track_id"]]
    xy = plane(embedded.vectors)[numbers.to_numpy()]
    return Songs(table.assign(x=xy[:, 0], y=xy[:, 1]), PLANE, missing)
