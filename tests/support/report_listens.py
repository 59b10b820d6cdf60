"""Write plays, factors and neighbours in factor space for a report, without Spark."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
from scipy import sparse

from msd_spark.catalogue.embeddings import read_embeddings
from msd_spark.core.schemas import FACTORS, PLAYS, SONGS
from msd_spark.core.warehouse import Warehouse
from msd_spark.factors.confidence import fit_rows
from msd_spark.factors.settings import AlsParameters
from msd_spark.neighbours.exact import nearest_of_all
from msd_spark.neighbours.exclusions import Exclusions
from msd_spark.neighbours.factor_space import read_track_factors
from msd_spark.neighbours.space import Space

PARAMETERS = AlsParameters(rank=6)
N_USERS = 12
ELSEWHERE, UNKNOWN = "TRELSEWHERE", "TRUNKNOWN"
"""A track of ``songs/`` without embedding, and one that is not in ``songs/``."""


def write_listens(warehouse: Warehouse, run: str, hostile: tuple[str, ...]) -> None:
    """Write ``plays/``, ``factors/`` and ``neighbours/factors``; every third song of the run has no factors.

    The ids of the first users and the title of a song outside the report are hostile texts.
    """
    generator = np.random.default_rng(5)
    songs = warehouse.read_table(None, "songs").to_pylist()
    songs.append(songs[0] | {"track_id": ELSEWHERE, "title": hostile[1], "artist_name": hostile[0]})
    warehouse.write_arrow(pa.Table.from_pylist(songs, SONGS), "songs")
    embedded = read_embeddings(warehouse, run)
    own = np.flatnonzero(np.arange(len(embedded)) % 3 != 2)
    axes = generator.normal(size=(embedded.vectors.shape[1], PARAMETERS.rank)) / 10
    factors = (embedded.vectors[own] @ axes + 0.05 * generator.normal(size=(len(own), PARAMETERS.rank))) / 5
    tracks = np.array([*embedded.track_ids[own], ELSEWHERE, UNKNOWN])
    factors = np.concatenate([factors, 3 * factors[:2]]).astype(np.float32)  # strong: users get them
    users = [*hostile[:2], *(f"user {number}" for number in range(N_USERS - 2))]
    plays = np.zeros((N_USERS, len(tracks)))
    for user in range(N_USERS):
        close = np.argsort(-(factors[:-2] @ factors[user]))[:20]
        chosen = generator.choice(close, 8, replace=False)
        plays[user, chosen] = generator.integers(1, 20, len(chosen))
    user_of, track_of = np.nonzero(plays)
    triplets: dict[str, Any] = {
        "user_id": np.array(users)[user_of],
        "track_id": tracks[track_of],
        "plays": plays[user_of, track_of],
    }
    columns = [pa.array(triplets[field.name]).cast(field.type) for field in PLAYS]
    warehouse.write_arrow(pa.table(columns, schema=PLAYS), "plays")
    folded = fit_rows(sparse.csr_matrix(plays), factors, PARAMETERS)
    rows = [{"kind": "track", "id": name, "factors": one.tolist()} for name, one in zip(tracks, factors, strict=True)]
    rows += [{"kind": "user", "id": name, "factors": one.tolist()} for name, one in zip(users, folded, strict=True)]
    metadata = {"parameters": asdict(PARAMETERS), "judged": judged(), "counts": {"test users": 3}}
    replace_table(warehouse, pa.Table.from_pylist(rows, FACTORS), {"_factors.json": metadata}, "factors")
    space = Space.of(factors[:-2], "cosine")
    nearest = nearest_of_all(space, 5, Exclusions(np.empty((0, len(own)), np.int32)), np.arange(len(own)), 1)
    search = {"embeddings": read_track_factors(warehouse).fingerprint()}
    side_files = {"_search.json": search, "_quality.json": quality(len(own))}
    replace_table(warehouse, nearest.rows(tracks[:-2], 0), side_files, "neighbours", "factors")


def replace_table(warehouse: Warehouse, rows: pa.Table, side_files: dict[str, dict[str, Any]], *names: str) -> None:
    """Write a table with side files."""
    with warehouse.overwriting(rows.schema, *names) as writer:
        writer.write(rows)
        for name, content in side_files.items():
            writer.write_json(content, name)


def judged() -> dict[str, Any]:
    def row(value: float) -> dict[str, Any]:
        figures = ("recall@20", "recall@50", "ndcg@100", "map@500")
        figure = [value, value / 2, 2 * value]
        return dict.fromkeys(figures, figure) | {"coverage": 0.5, "fit_seconds": 1.5, "judge_seconds": 0.25}

    recommenders = {"random": row(0.01), "popularity": row(0.125), "ALS": row(0.25)}
    return {"recommenders": recommenders, "als_over_popularity": [2.0, 1.5, 2.5]}


def quality(n: int) -> dict[str, Any]:
    def of(share: float) -> dict[str, Any]:
        return {"embedding": {"share": share, "chance": 0.25}, "raw": {"share": 0.5, "chance": 0.25}}

    everyone = {"genre": of(0.75), "artist": of(0.125), "decade": of(0.5), "language": {"embedding": None, "raw": None}}
    others = {"genre": of(0.625), "decade": of(0.5)}
    return {"k": 5, "queries": n, "neighbours_that_share": {"all": everyone, "of other artists": others}}
