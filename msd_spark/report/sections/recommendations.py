"""Recommendations: for some users and from songs, how good recommenders are, and neighbours in factor space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from msd_spark.catalogue.genres import displayed_genres
from msd_spark.factors.metrics import METRICS
from msd_spark.factors.settings import METADATA_FILE, TABLE
from msd_spark.neighbours.factor_space import read_track_factors
from msd_spark.neighbours.settings import FACTORS, QUALITY_FILE, SEARCH_FILE
from msd_spark.neighbours.settings import TABLE as NEIGHBOURS
from msd_spark.report.data.recommended import names_of, why_absent
from msd_spark.report.data.sources import Sources
from msd_spark.report.draw.charts import Intervals
from msd_spark.report.section import Absent, Section
from msd_spark.report.tables import Table

KEY = "recommendations"
FILLED = "recommend"
"""Id of the box that the page's scripts fill."""

READ_SONGS, READ_NEIGHBOURS = 8, 5
"""Songs whose neighbours are shown for people to read, and how many of each."""

READABLE = {"ndcg": "NDCG", "map": "mAP", "recall": "Recall"}


def recommendations_section(sources: Sources) -> Section | Absent:
    """Return the recommenders' figures and the neighbours in factor space; the lists are the scripts' part."""
    title = "Recommendations"
    why = why_absent(sources)
    if why:
        return Absent(title, why)
    metadata = sources.json(TABLE, METADATA_FILE)
    judged, n_users = metadata.get("judged"), metadata.get("counts", {}).get("test users", 0)
    text = [
        "By listens: implicit ALS. By content: the greatest cosine to the mean of embeddings, each song once. Mixed: "
        "reciprocal-rank fusion of the two (Cormack, Clarke and Büttcher 2009), the sum of 1 / (60 + rank) over the "
        "first 100 of each. What was played, or chosen, is left out. A user is told the best of all tracks.",
    ]
    tables: list[Table] = []
    charts: list[Intervals] = []
    if judged:
        text.append(_how_judged(judged))
        tables.append(judged_table(judged["recommenders"], n_users))
        charts.append(judged_chart(judged["recommenders"], n_users))
    else:
        text.append("The recommenders were not judged (jobs/factors.py --held-out 0).")
    why = _why_no_neighbours(sources)
    if why:
        text.append(f"Neighbours in factor space are not shown: {why}; run jobs/neighbours.py --space factors.")
    else:
        quality = sources.json(NEIGHBOURS, FACTORS, QUALITY_FILE)
        tables += [agreement_table(quality)] if quality else []
        tables.append(_neighbours_to_read(sources))
    return Section(KEY, title, tuple(text), tuple(charts), tuple(tables), filled=FILLED)


def _how_judged(judged: Mapping[str, Any]) -> str:
    ratio, low, high = judged.get("als_over_popularity") or (None, None, None)
    told = (
        "The recommenders are judged on users whom no fit saw: told four fifths of a user's tracks, they rank all "
        "others. Brackets and bars are 95 % intervals from resamples of users."
    )
    if ratio is None:
        return f"{told} Popularity finds nothing, so that ALS cannot be set against it."
    return f"{told} ALS has {ratio:.2f} [{low:.2f}, {high:.2f}] times popularity's NDCG@100."


def readable(figure: str) -> str:
    """Return a figure's name as people read it.

    Examples
    --------
    >>> readable("ndcg@100"), readable("recall@20")
    ('NDCG@100', 'Recall@20')
    """
    name, _, places = figure.partition("@")
    return f"{READABLE.get(name, name)}@{places}"


def _on_users(n_users: int) -> str:
    return f"Recommenders on {n_users:,} held-out user{'' if n_users == 1 else 's'}"


def judged_table(recommenders: Mapping[str, Mapping[str, Any]], n_users: int) -> Table:
    """Return recommenders by figures, each with its interval."""
    rows = tuple(
        (
            name,
            *(f"{of[figure][0]:.4f} [{of[figure][1]:.4f}, {of[figure][2]:.4f}]" for figure in METRICS),
            of["coverage"],
            of["fit_seconds"],
            of["judge_seconds"],
        )
        for name, of in recommenders.items()
    )
    heads = ("recommender", *map(readable, METRICS), "coverage", "seconds to fit", "seconds to judge")
    return Table("recommenders", _on_users(n_users), heads, rows)


def judged_chart(recommenders: Mapping[str, Mapping[str, Any]], n_users: int) -> Intervals:
    """Return the same figures to see."""
    series = {
        name: tuple((of[figure][0], of[figure][1], of[figure][2]) for figure in METRICS)
        for name, of in recommenders.items()
    }
    title = f"{_on_users(n_users)}, with 95 % intervals"
    return Intervals("recommenders", title, "", "", tuple(map(readable, METRICS)), series, zero=True)


def agreement_table(quality: Mapping[str, Any]) -> Table:
    """Return how many neighbours in factor space share a genre or an artist, beside raw features and chance."""
    rows = []
    for kind, by_trait in quality["neighbours_that_share"].items():
        for trait in ("genre", "artist"):
            of = by_trait.get(trait)
            if not of or not of.get("embedding"):
                continue
            raw = of.get("raw") or {}
            rows.append((f"{trait} ({kind})", of["embedding"]["share"], raw.get("share"), of["embedding"]["chance"]))
    heads = ("share of neighbours of the same …", "factors", "raw features", "chance")
    title = f"Neighbours in factor space: {quality['k']} nearest of {quality['queries']:,} tracks"
    return Table("factor_space", title, heads, tuple(rows))


def _why_no_neighbours(sources: Sources) -> str | None:
    if not sources.warehouse.is_complete(NEIGHBOURS, FACTORS):
        return f"there is no {NEIGHBOURS}/{FACTORS}"
    search = sources.json(NEIGHBOURS, FACTORS, SEARCH_FILE) or {}
    if search.get("embeddings") != read_track_factors(sources.warehouse).fingerprint():
        return f"{NEIGHBOURS}/{FACTORS} is of other factors"
    return None


def _neighbours_to_read(sources: Sources) -> Table:
    """Return the neighbours of the most listened tracks, each by another artist, whose names are known."""
    found = sources.rows(pc.field("rank") == 1, ["track_id"], NEIGHBOURS, FACTORS)
    tracks = found["track_id"].sort_values(ignore_index=True)
    popularity = sources.table(["track_id", "listeners"], "popularity")
    if popularity is not None:
        listeners = popularity.drop_duplicates("track_id").set_index("track_id")["listeners"].reindex(tracks).fillna(0)
        tracks = tracks.iloc[(-listeners.to_numpy()).argsort(kind="stable")]
    chosen: dict[str | None, str] = {}
    for track, artist, song in names_of(sources, tracks.tolist()[: 20 * READ_SONGS]):
        if song is not None and len(chosen) < READ_SONGS:
            chosen.setdefault(artist, str(track))
    where = pc.field("track_id").isin(pa.array(chosen.values(), pa.string())) & (pc.field("rank") <= READ_NEIGHBOURS)
    columns = ["track_id", "rank", "neighbour_id", "distance"]
    mine = sources.rows(where, columns, NEIGHBOURS, FACTORS).sort_values("rank", kind="stable")
    ids = sorted({*mine["track_id"], *mine["neighbour_id"]})
    names = {str(track): _named(artist, song, str(track)) for track, artist, song in names_of(sources, ids)}
    genres = {str(track): str(genre) for track, genre in displayed_genres(sources.warehouse, sources.name).items()}
    return read_table(list(chosen.values()), mine, names, genres)


def _named(artist: str | None, song: str | None, track: str) -> str:
    return track if song is None else f"{artist or 'artist not known'} – {song}"


def read_table(
    chosen: Sequence[str], neighbours: pd.DataFrame, names: Mapping[str, str], genres: Mapping[str, str]
) -> Table:
    """Return songs and their neighbours as rows for people to read.

    Parameters
    ----------
    chosen : sequence of str
        Track ids, in the table's order.
    neighbours : pandas.DataFrame
        Their rows of ``neighbours/factors``, by rank.
    names, genres : mapping
        By track id; a genre may be missing.
    """
    rows = []
    for track in chosen:
        of = neighbours[neighbours["track_id"] == track]
        for rank, other, distance in zip(of["rank"], of["neighbour_id"], of["distance"], strict=True):
            rows.append((names[track], genres.get(track), int(rank), names[other], genres.get(other), float(distance)))
    heads = ("song", "genre", "rank", "neighbour", "its genre", "distance")
    return Table("factor_neighbours", "Neighbours in factor space, to read", heads, tuple(rows))
