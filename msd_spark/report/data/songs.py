"""Join what the tables have of every embedded song."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from msd_spark.catalogue.embeddings import EMBEDDINGS_TABLE, read_embeddings
from msd_spark.catalogue.traits import BAGS, language_batches, read_words
from msd_spark.core.errors import UserError
from msd_spark.report.data.grid import Grid
from msd_spark.report.data.map_data import PLANE, plane
from msd_spark.report.data.sources import Sources

DESCRIBED = ("title", "artist_name", "release", "year", "duration", "tempo", "key", "mode")
"""Columns of ``songs/`` in the report."""


MOST_TAGS = 500
"""Most frequent tags that label regions of the map."""

LEAST_SCORE = 20
"""Minimum score of a tag of a song that labels its region."""


@dataclass(frozen=True)
class Songs:
    """Every embedded song by track id, with null for unknown values.

    `probabilities` has the class probabilities, shape ``(n, classes)``, NaN for songs without them; None if the run has
    no genres.
    """

    table: pd.DataFrame
    probabilities: np.ndarray | None
    map_source: str
    map_missing: str | None  # why the places are not those of maps/RUN

    @property
    def map_description(self) -> str:
        """Origin of the places, and why they are not a map."""
        return self.map_source + (f" ({self.map_missing})" if self.map_missing else "")

    def by_cell(self, rows: np.ndarray) -> Songs:
        """Return some of the songs, ordered by the cells of their grid, then by track id."""
        places = self.table[["x", "y"]].to_numpy(float)[rows]
        rows = rows[np.argsort(Grid.over(places).cells(places), kind="stable")]
        probabilities = None if self.probabilities is None else self.probabilities[rows]
        return replace(self, table=self.table.iloc[rows].reset_index(drop=True), probabilities=probabilities)


def read_songs(sources: Sources) -> Songs:
    """Return every embedded song with its names, genre, popularity, split and place on the map."""
    run = sources.name
    columns = ["track_id", "predicted_genre", "genre_probabilities", "has_lyrics"]
    embedded = sources.warehouse.read_table(columns, EMBEDDINGS_TABLE, run).sort_by("track_id")
    if not embedded.num_rows:
        raise UserError(f"embeddings/{run} has no songs; run msd-spark score again")
    probabilities = _matrix(embedded["genre_probabilities"], len(sources.class_names))
    table = embedded.drop(["genre_probabilities"]).to_pandas()
    del embedded
    table = _joined(table, sources.table(["track_id", *DESCRIBED], "songs"), DESCRIBED)
    table["genre"] = sources.genres.reindex(table["track_id"]).to_numpy(object)
    popularity = ("plays", "listeners", "popularity_decile")
    table = _joined(table, sources.table(["track_id", *popularity], "popularity"), popularity)
    table["split"] = _splits(sources).reindex(table["track_id"]).to_numpy(object)
    return _placed(table, probabilities, sources)


def _matrix(lists: pa.ChunkedArray, width: int) -> np.ndarray | None:
    """Return lists as rows of a float32 matrix, NaN for null or other lengths; None if all are."""
    lists = lists.combine_chunks()
    known = pc.fill_null(pc.equal(pc.list_value_length(lists), width), False).to_numpy(zero_copy_only=False)
    if not known.any():
        return None
    rows = np.full((len(lists), width), np.nan, np.float32)
    rows[known] = lists.filter(pa.array(known)).flatten().to_numpy(zero_copy_only=False).reshape(-1, width)
    return rows


def read_languages(sources: Sources, track_ids: pd.Series) -> np.ndarray:
    """Return the language of each track's lyrics; null if unknown."""
    words = read_words(sources.warehouse)
    if not words:
        return np.full(len(track_ids), None, object)
    bags = sources.warehouse.read_table(BAGS, "lyrics", filter=pc.field("track_id").isin(pa.array(track_ids)))
    batches = language_batches(words, bags.to_batches())
    languages = pd.concat([batch.to_pandas() for batch in batches]).drop_duplicates("track_id")
    return languages.set_index("track_id")["language"].reindex(track_ids).to_numpy(object)


def read_tags(sources: Sources, track_ids: pd.Series) -> pd.DataFrame | None:
    """Return row and term of the `MOST_TAGS` most frequent tags of tracks; None without tags."""
    if not (sources.warehouse.is_complete("tags") and sources.warehouse.is_complete("tag_counts")):
        return None
    names = sources.rows(pc.field("rank") <= MOST_TAGS, ["tag"], "tag_counts")["tag"]
    where = (pc.field("score") >= LEAST_SCORE) & pc.field("tag").isin(pa.array(names, pa.string()))
    tags = sources.warehouse.read_table(["track_id", "tag"], "tags", filter=where)
    rows = pc.fill_null(pc.index_in(tags["track_id"], value_set=pa.array(track_ids, pa.string())), -1).to_numpy()
    return pd.DataFrame({"row": rows, "term": tags["tag"].to_pandas()})[rows >= 0]


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


def _placed(table: pd.DataFrame, probabilities: np.ndarray | None, sources: Sources) -> Songs:
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
            return Songs(placed, probabilities, f"t-SNE map of the run, fitted on {rest}", None)
        missing = f"maps/{run} lacks {n_missing:,} of the {len(table):,} songs (run msd-spark maps again)"
    embedded = read_embeddings(sources.warehouse, run)
    numbers = pd.Series(np.arange(len(embedded)), index=embedded.track_ids)[table["track_id"]]
    xy = plane(embedded.vectors)[numbers.to_numpy()]
    return Songs(table.assign(x=xy[:, 0], y=xy[:, 1]), probabilities, PLANE, missing)
