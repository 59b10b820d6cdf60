"""Which genres the run learned from: tracks of each genre, and rows of it after resampling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msd_spark.core.schemas import SPLITS
from msd_spark.report.data.sources import Sources
from msd_spark.report.draw.charts import Bars
from msd_spark.report.section import Absent, Section
from msd_spark.report.tables import Table

TRAIN = SPLITS[0]


def examples_section(sources: Sources) -> Section | Absent:
    """Return the histogram of genres before and after resampling, and by split."""
    title = "Examples by genre"
    dataset = sources.dataset
    rows = dataset.get("examples_by_genre")
    if not rows:
        return Absent(title, "the run's dataset is gone, or has no genres")
    tracks = dataset.get("tracks_by_genre") or rows
    balance = dataset.get("balance", {}).get("kind", "none")
    resampled = any(rows[genre].get(TRAIN) != tracks[genre].get(TRAIN) for genre in rows)
    text = (
        f"Only train is resampled (balance {balance}); validation and test hold each track once."
        if resampled
        else f"Nothing was resampled (balance {balance}): every track of train stands there once."
    )
    splits = list(next(iter(rows.values())))
    heads = ("genre", *(f"{split}: tracks" for split in splits), f"{TRAIN}: rows after resampling")
    table = tuple(
        (genre, *(tracks[genre].get(split, 0) for split in splits), rows[genre].get(TRAIN, 0)) for genre in rows
    )
    charts = (resampling(tracks, rows), by_split(tracks))
    return Section("examples", title, (text,), charts, (Table("examples", "By genre", heads, table),))


def _by_size(tracks: Mapping[str, Mapping[str, int]]) -> tuple[str, ...]:
    return tuple(sorted(tracks, key=lambda genre: -sum(tracks[genre].values())))


def resampling(tracks: Mapping[str, Mapping[str, int]], rows: Mapping[str, Mapping[str, Any]]) -> Bars:
    """Return tracks and rows of each genre in the train split, the largest genre first."""
    genres = _by_size(tracks)
    series = {
        "before resampling (tracks)": tuple(tracks[genre].get(TRAIN, 0) for genre in genres),
        "after resampling (rows)": tuple(rows[genre].get(TRAIN, 0) for genre in genres),
    }
    return Bars("genres_train", "The train split before and after resampling", "", "songs", genres, series)


def by_split(tracks: Mapping[str, Mapping[str, int]]) -> Bars:
    """Return the tracks of each genre in each split, the largest genre first."""
    genres = _by_size(tracks)
    splits = list(next(iter(tracks.values())))
    series = {split: tuple(tracks[genre].get(split, 0) for genre in genres) for split in splits}
    return Bars("genres_by_split", "Tracks of each split", "", "songs", genres, series)
