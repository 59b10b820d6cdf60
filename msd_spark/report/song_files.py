"""Files with the songs of a report: places, traits, labels, names, details, texts to search, heat maps."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow.compute as pc

from msd_spark.core.schemas import NEIGHBOURS as COLUMNS
from msd_spark.neighbours.settings import TABLE as NEIGHBOURS
from msd_spark.report.data.details import CHUNK, MOST_NEIGHBOURS, Neighbours, chunks, detail_data, name_data
from msd_spark.report.data.grid import Grid
from msd_spark.report.data.heatmaps import Segments, heatmap_data, read_segments
from msd_spark.report.data.map_data import sample_by, traits
from msd_spark.report.data.regions import region_labels
from msd_spark.report.data.search_text import SEARCHED, id_chunks, search_text
from msd_spark.report.data.songs import Songs, read_languages, read_tags
from msd_spark.report.data.sources import Sources
from msd_spark.report.folder import Folder
from msd_spark.report.scripts import packed
from msd_spark.report.settings import ReportSettings
from msd_spark.report.tables import Table, rows_of

SONG_COLUMNS = (
    "track_id", "artist_name", "title", "genre", "predicted_genre", "year", "language", "popularity_decile", "split",
    "x", "y",
)  # fmt: skip
"""Columns of ``tables/songs.csv``."""

ROWS_AT_ONCE = 50_000


def write_songs(folder: Folder, sources: Sources, songs: Songs, settings: ReportSettings) -> dict[int, Segments]:
    """Write the files of songs that are ordered by cell; return the segments of those with heat maps, by row."""
    table = songs.table.assign(language=read_languages(sources, songs.table["track_id"]))
    write_map(folder, sources, table)
    for number, chunk in chunks(len(table), SEARCHED):
        folder.write_data(f"search-{number}", search_text(table.iloc[chunk]))
    _write_details(folder, sources, songs)
    folder.write_pieces("tables/songs.csv", (_csv(table.iloc[chunk]) for _, chunk in chunks(len(table), ROWS_AT_ONCE)))
    return _write_heatmaps(folder, sources, table, settings)


def write_map(folder: Folder, sources: Sources, table: pd.DataFrame) -> None:
    """Write places, traits, ids and labels."""
    places = table[["x", "y"]].to_numpy(np.float64)
    every = traits(table, sources.label_set)
    for trait in every:
        folder.write_data(f"trait-{trait.key}", packed(trait.codes))
    fences, parts = id_chunks(table["track_id"])
    for number, part in enumerate(parts):
        folder.write_data(f"ids-{number}", part)
    facts = {"n": len(table), "chunk": CHUNK, "searched": SEARCHED, "ids": fences, "classes": sources.class_names}
    folder.write_data("songs", facts | Grid.over(places).data(places) | {"traits": [trait.data() for trait in every]})
    columns = {"genre": "predicted_genre" if table["genre"].isna().all() else "genre", "artist": "artist_name"}
    terms = {
        kind: table[column].dropna().rename("term").rename_axis("row").reset_index() for kind, column in columns.items()
    }
    tags = read_tags(sources, table["track_id"])
    folder.write_data("labels", region_labels(places, terms | ({} if tags is None else {"tag": tags})))


def _write_details(folder: Folder, sources: Sources, songs: Songs) -> None:
    neighbours = None
    if sources.warehouse.is_complete(NEIGHBOURS, sources.name):
        nearest = pc.field("rank") <= MOST_NEIGHBOURS
        rows = sources.warehouse.read_table(COLUMNS.names, NEIGHBOURS, sources.name, filter=nearest)
        neighbours = Neighbours.of(rows, songs.table["track_id"])
        del rows
    for number, chunk in chunks(len(songs.table)):
        table = songs.table.iloc[chunk]
        folder.write_data(f"names-{number}", name_data(table))
        probabilities = None if songs.probabilities is None else songs.probabilities[chunk]
        details = detail_data(table, probabilities)
        folder.write_data(
            f"details-{number}", details if neighbours is None else details | {"neighbours": neighbours.data(chunk)}
        )


def _csv(songs: pd.DataFrame) -> bytes:
    """Return rows of ``tables/songs.csv``, with the heads before the first song."""
    lines = Table("songs", "", SONG_COLUMNS, rows_of(songs, SONG_COLUMNS)).as_csv()
    return lines if songs.index[0] == 0 else lines.split(b"\r\n", 1)[1]


def _write_heatmaps(
    folder: Folder, sources: Sources, table: pd.DataFrame, settings: ReportSettings
) -> dict[int, Segments]:
    if not sources.warehouse.is_complete("songs"):
        return {}
    sampled = sample_by(table["predicted_genre"], settings.heatmaps, settings.seed)
    rows = np.union1d(sampled, np.flatnonzero(table["track_id"].isin(settings.show))).astype(int)
    rows_by_track = dict(zip(table["track_id"].iloc[rows], rows.tolist(), strict=True))
    segments = {rows_by_track[song.track_id]: song for song in read_segments(sources.warehouse, list(rows_by_track))}
    for row, song in segments.items():
        folder.write_data(f"heatmap-{row}", heatmap_data(song))
    return segments
