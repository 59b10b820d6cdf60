"""Gather what is known of every embedded song from the tables that are there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from msd_spark.catalogue.embeddings import read_embeddings
from msd_spark.catalogue.genres import displayed_genres
from msd_spark.core.errors import UserError
from msd_spark.core.runs import RUNS
from msd_spark.report.data.catalogue import PLANE, plane
from msd_spark.report.data.sources import Sources

DESCRIBED = ("title", "artist_name", "release", "year", "duration", "tempo", "key", "mode", "n_segments")
"""Columns of ``songs/`` that the page shows."""


@dataclass(frozen=True)
class Songs:
    """Every embedded song.

    Attributes
    ----------
    table : pandas.DataFrame
        By track id: what `msd_spark.report.data.catalogue` and `msd_spark.report.data.details` want.
    map_made_by : str
        What the places are, for people.
    why : str or None
        Why they are no map of ``maps/RUN``; None where they are.
    """

    table: pd.DataFrame
    map_made_by: str
    why: str | None


def read_songs(sources: Sources) -> Songs:
    """Return every embedded song with its names, label, popularity and place on the map.

    Raises
    ------
    UserError
        When there are no embeddings.
    """
    warehouse, run = sources.warehouse, sources.name
    columns = ["track_id", "predicted_genre", "genre_probabilities", "has_lyrics"]
    table = warehouse.read_table(columns, "embeddings", run).to_pandas().sort_values("track_id", ignore_index=True)
    if table.empty:
        raise UserError(f"embeddings/{run} has no songs; run msd-spark score again")
    table = _joined(table, sources.table(["track_id", *DESCRIBED], "songs"), DESCRIBED)
    table["genre"] = displayed_genres(warehouse, run).reindex(table["track_id"]).to_numpy(object)
    popularity = ("plays", "listeners", "popularity_decile")
    table = _joined(table, sources.table(["track_id", *popularity], "popularity"), popularity)
    table["split"] = _splits(sources).reindex(table["track_id"]).to_numpy(object)
    return _placed(table, sources)


def _joined(table: pd.DataFrame, other: pd.DataFrame | None, columns: tuple[str, ...]) -> pd.DataFrame:
    if other is None:
        return table.assign(**dict.fromkeys(columns))
    wanted = other[["track_id", *columns]].drop_duplicates("track_id")
    return table.merge(wanted, on="track_id", how="left", validate="one_to_one")


def _splits(sources: Sources) -> pd.Series:
    """Return each track's part in the run's training, for those that had one."""
    files = {
        "train": (RUNS, sources.name, "training_examples.parquet"),
        "validation": (RUNS, sources.name, "predictions", "validation.parquet"),
        "test": (RUNS, sources.name, "predictions", "test.parquet"),
    }
    parts = []
    for split, names in files.items():
        found = sources.parquet(["track_id"], *names)
        if found is not None:
            parts.append(pd.Series(split, index=found["track_id"].unique(), dtype=object))
    together = pd.concat(parts) if parts else pd.Series(dtype=object)
    return together[~together.index.duplicated()]


def _placed(table: pd.DataFrame, sources: Sources) -> Songs:
    """Give every song its place: that of ``maps/RUN``, or the plane of most variance where there is none."""
    run = sources.name
    places = sources.table(["track_id", "x", "y", "fitted"], "maps", run)
    if places is None:
        why: str | None = f"there is no maps/{run} (jobs/maps.py)"
    else:
        placed = _joined(table, places, ("x", "y", "fitted"))
        lacking = int((~np.isfinite(placed[["x", "y"]].to_numpy(float))).any(axis=1).sum())
        if not lacking:
            fitted = int(placed["fitted"].astype(bool).sum())
            made_by = f"the run's own map, fitted on {fitted:,} of them; the others were placed into it"
            return Songs(placed, made_by if fitted < len(placed) else "the run's own map, fitted on all of them", None)
        why = f"maps/{run} lacks {lacking:,} of the {len(table):,} songs; run jobs/maps.py again"
    embedded = read_embeddings(sources.warehouse, run)
    numbers = pd.Series(np.arange(len(embedded)), index=embedded.track_ids)[table["track_id"]]
    xy = plane(embedded.vectors)[numbers.to_numpy()]
    return Songs(table.assign(x=xy[:, 0], y=xy[:, 1]), PLANE, why)
