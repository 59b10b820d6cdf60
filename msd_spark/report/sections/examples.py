"""Class balance: tracks per genre and split, and training rows after resampling."""

from __future__ import annotations

from msd_spark.core.schemas import SPLITS
from msd_spark.report.data.sources import Sources
from msd_spark.report.draw.charts import bars
from msd_spark.report.section import NoContentError, Section
from msd_spark.report.tables import Table

TRAIN = SPLITS[0]


def examples_section(sources: Sources) -> Section:
    """Return tracks per genre by split, and the train split before and after resampling."""
    dataset = sources.dataset
    rows = dataset.get("examples_by_genre")
    if not rows:
        raise NoContentError("the run's dataset is gone, or has no genres")
    tracks = dataset.get("tracks_by_genre") or rows
    balance = dataset.get("balance", {}).get("kind", "none")
    resampled = any(rows[genre].get(TRAIN) != tracks[genre].get(TRAIN) for genre in rows)
    text = (
        f"Only the train split is resampled (balance {balance}); validation and test have each track once."
        if resampled
        else f"Nothing is resampled (balance {balance}): the train split has each track once."
    )
    splits = list(next(iter(rows.values())))
    heads = ("genre", *(f"{split}: tracks" for split in splits), f"{TRAIN}: rows after resampling")
    table = Table(
        "examples",
        "By genre",
        heads,
        tuple((genre, *(tracks[genre].get(split, 0) for split in splits), rows[genre].get(TRAIN, 0)) for genre in rows),
    )
    genres = sorted(tracks, key=lambda genre: -sum(tracks[genre].values()))
    resampling = {
        "before resampling (tracks)": [tracks[genre].get(TRAIN, 0) for genre in genres],
        "after resampling (rows)": [rows[genre].get(TRAIN, 0) for genre in genres],
    }
    by_split = {split: [tracks[genre].get(split, 0) for genre in genres] for split in splits}
    charts = (
        bars("genres_train", "Train split before and after resampling", "songs", genres, resampling),
        bars("genres_by_split", "Tracks per split", "songs", genres, by_split),
    )
    return Section((text,), charts, (table,))
