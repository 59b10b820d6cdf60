"""Recommendations, metrics of recommenders, and neighbours in factor space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from msd_spark.catalogue.names import display_name
from msd_spark.factors.settings import METADATA_FILE, TABLE
from msd_spark.neighbours.factor_space import read_track_factors
from msd_spark.neighbours.settings import FACTORS, QUALITY_FILE, SEARCH_FILE
from msd_spark.neighbours.settings import TABLE as NEIGHBOURS
from msd_spark.report.data.recommended import missing_table, names_of
from msd_spark.report.data.sources import Sources
from msd_spark.report.draw.charts import intervals
from msd_spark.report.section import NoContentError, Section
from msd_spark.report.sections.results import readable
from msd_spark.report.sections.space import shared_traits
from msd_spark.report.tables import Table

FILLED = "recommend"
"""Id of the element that the report's scripts fill."""

SONGS, NEIGHBOURS_EACH = 8, 5
"""Songs of the table of neighbours, and neighbours of each."""


def recommendations_section(sources: Sources) -> Section:
    """Return metrics of the recommenders and neighbours in factor space; scripts add the lists."""
    missing = missing_table(sources)
    if missing:
        raise NoContentError(missing)
    metadata = sources.json(TABLE, METADATA_FILE)
    evaluation, n_users = metadata.get("judged"), metadata.get("counts", {}).get("test users", 0)
    text = [
        "By plays: implicit ALS. By content: greatest cosine similarity to the mean embedding of the songs, each "
        "counted once. Mixed: reciprocal rank fusion of both lists (Cormack, Clarke and Büttcher 2009), the sum of "
        "1 / (60 + rank) over the first 100 songs of each. Songs that were played or selected are left out.",
    ]
    tables, charts = [], []
    if evaluation:
        text.append(_evaluation_note(evaluation))
        recommenders = evaluation["recommenders"]
        metrics = [name for name in next(iter(recommenders.values()), {}) if "@" in name]
        title = f"Recommenders on {n_users:,} held-out user{'' if n_users == 1 else 's'}"
        tables.append(recommenders_table(title, recommenders, metrics))
        points = {name: [tuple(row[metric]) for metric in metrics] for name, row in recommenders.items()}
        title += ", with 95 % intervals"
        charts.append(intervals("recommenders", title, "", tuple(map(readable, metrics)), points, zero=True))
    else:
        text.append("The recommenders were not evaluated (msd-spark factors --held-out 0).")
    missing = _missing_neighbours(sources)
    if missing:
        text.append(f"Neighbours in factor space are not shown: {missing}; run msd-spark neighbours --space factors.")
    else:
        quality = sources.json(NEIGHBOURS, FACTORS, QUALITY_FILE)
        tables += [agreement_table(quality)] if quality else []
        tables.append(_example_neighbours(sources))
    return Section(tuple(text), tuple(charts), tuple(tables), filled=FILLED)


def _evaluation_note(evaluation: Mapping[str, Any]) -> str:
    ratio, low, high = evaluation.get("als_over_popularity") or (None, None, None)
    text = (
        "The recommenders are evaluated on held-out users: four fifths of a user's tracks are the input, and all "
        "other tracks are ranked. Brackets and bars are 95 % intervals from resamples of users."
    )
    if ratio is None:
        return f"{text} The NDCG@100 of popularity is 0, so there is no ratio to ALS."
    return f"{text} NDCG@100 of ALS is {ratio:.2f} [{low:.2f}, {high:.2f}] times that of popularity."


def recommenders_table(title: str, recommenders: Mapping[str, Mapping[str, Any]], metrics: Sequence[str]) -> Table:
    """Return one row per recommender, each metric with its interval."""
    rows = []
    for name, row in recommenders.items():
        texts = ("{:.4f} [{:.4f}, {:.4f}]".format(*row[metric]) for metric in metrics)
        rows.append((name, *texts, row["coverage"], row["fit_seconds"], row["judge_seconds"]))
    heads = ("recommender", *map(readable, metrics), "coverage", "fit seconds", "evaluation seconds")
    return Table("recommenders", title, heads, tuple(rows))


def agreement_table(quality: Mapping[str, Any]) -> Table:
    """Return the share of neighbours in factor space with the same genre or artist."""
    shared = {name: row for name, row in shared_traits(quality).items() if name.startswith(("genre ", "artist "))}
    rows = tuple((name, *values) for name, values in shared.items() if values[0] is not None)
    heads = ("share of neighbours with the same …", "factors", "raw features", "chance")
    title = f"Neighbours in factor space: {quality['k']} nearest of {quality['queries']:,} tracks"
    return Table("factor_space", title, heads, rows)


def _missing_neighbours(sources: Sources) -> str | None:
    if not sources.warehouse.is_complete(NEIGHBOURS, FACTORS):
        return f"{NEIGHBOURS}/{FACTORS} is missing"
    search = sources.json(NEIGHBOURS, FACTORS, SEARCH_FILE) or {}
    if search.get("embeddings") != read_track_factors(sources.warehouse).fingerprint():
        return f"{NEIGHBOURS}/{FACTORS} is of other factors"
    return None


def _example_neighbours(sources: Sources) -> Table:
    """Return the neighbours of the most popular tracks that have a title, one track per artist."""
    first = sources.rows(pc.field("rank") == 1, ["track_id"], NEIGHBOURS, FACTORS)
    tracks = first["track_id"].sort_values(ignore_index=True)
    popularity = sources.table(["track_id", "listeners"], "popularity")
    if popularity is not None:
        listeners = popularity.drop_duplicates("track_id").set_index("track_id")["listeners"].reindex(tracks).fillna(0)
        tracks = tracks.iloc[(-listeners.to_numpy()).argsort(kind="stable")]
    by_artist: dict[str | None, str] = {}
    for track, artist, song in names_of(sources, tracks.tolist()[: 20 * SONGS]):
        if song is not None and len(by_artist) < SONGS:
            by_artist.setdefault(artist, str(track))
    chosen = list(by_artist.values())
    where = pc.field("track_id").isin(pa.array(chosen, pa.string())) & (pc.field("rank") <= NEIGHBOURS_EACH)
    columns = ["track_id", "rank", "neighbour_id", "distance"]
    rows = sources.rows(where, columns, NEIGHBOURS, FACTORS).sort_values("rank", kind="stable")
    ids = sorted({*rows["track_id"], *rows["neighbour_id"]})
    named = names_of(sources, ids)
    names = {str(track): str(track) if song is None else display_name(artist, song) for track, artist, song in named}
    genres, table = sources.genres, []
    for track in chosen:
        own = rows[rows["track_id"] == track]
        for rank, other, distance in zip(own["rank"], own["neighbour_id"], own["distance"], strict=True):
            table.append((names[track], genres.get(track), int(rank), names[other], genres.get(other), float(distance)))
    heads = ("song", "genre", "rank", "neighbour", "genre of the neighbour", "distance")
    return Table("factor_neighbours", "Examples of neighbours in factor space", heads, tuple(table))
