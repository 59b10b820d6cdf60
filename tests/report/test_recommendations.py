"""Recommendations in the report, and the section on recommenders."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from msd_spark.catalogue.embeddings import read_embeddings
from msd_spark.core.warehouse import Warehouse
from msd_spark.factors.ranking import NONE
from msd_spark.neighbours.factor_space import read_track_factors
from msd_spark.report.data.listeners import LENGTH, Listeners, by_content, by_plays, unit_rows, users_data
from msd_spark.report.data.recommended import names_of, recommendation_data
from msd_spark.report.data.songs import read_songs
from msd_spark.report.data.sources import Sources
from msd_spark.report.scripts import LEVELS
from msd_spark.report.section import NoContentError
from msd_spark.report.sections.recommendations import recommendations_section
from msd_spark.report.settings import ReportSettings
from tests.support.report_data import restored, unpacked
from tests.support.report_listens import ELSEWHERE, N_USERS, UNKNOWN, replace_table
from tests.support.report_run import HOSTILE, RUN, write_report_run

NAN = float("nan")


def by_hand() -> Listeners:
    """Two users and five tracks: 0 and 1 played by the first; 3 has no embedding, 4 no factors."""
    factors = np.array([[1, 0], [0, 1], [2, 0], [0, 3], [NAN, NAN]])
    directions = unit_rows(np.array([[3, 0], [0, 5], [0, 2], [NAN, NAN], [1, 1]]))
    plays = sparse.csr_matrix(np.array([[1, 7, 0, 0, 0], [0, 0, 0, 4, 0]]))
    return Listeners(["one", "two"], plays, np.array([[1.0, 0.5], [1.0, 0.0]]), factors, directions)


def test_lists_by_hand() -> None:
    als = by_plays(by_hand())
    # The first user: 2 has 2, 3 has 1.5. The second: 2 has 2, 0 has 1, 1 has 0. 4 has no factors.
    assert [row[row != NONE].tolist() for row in als] == [[2, 3], [2, 0, 1]]
    # The first user's centroid points along (1, 1), as 4 does; the second user's only track has no embedding.
    content = by_content(by_hand())
    assert [row[row != NONE].tolist() for row in content] == [[4, 2], []]


def test_lists_of_a_user_by_hand() -> None:
    first, second = users_data(by_hand(), lambda track: 10 * track)
    assert first["played"] == [[10, 7], [0, 1]]
    assert (first["id"], first["tracks"], first["als"], first["content"]) == ("one", 2, [20, 30], [40, 20])
    # 20 is in both: 1/61 + 1/62; 40 has 1/61, 30 has 1/62.
    assert first["mixed"] == [[20, 1, 2], [40, None, 1], [30, 2, None]]
    assert second["mixed"] == [[20, 1, None], [0, 2, None], [10, 3, None]]


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    return write_report_run(tmp_path_factory.mktemp("page"), 60)


def data_of(warehouse: Warehouse, rows: slice = slice(None), **more: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    sources = Sources.open(warehouse, RUN)
    shown = read_songs(sources).table.iloc[rows].reset_index(drop=True)
    users, recommender, (vectors,) = recommendation_data(sources, shown, ReportSettings(warehouse.root, RUN, **more))
    return users, recommender | vectors


def test_lists_of_a_report_are_those_of_the_tables(warehouse: Warehouse) -> None:
    data, songs = data_of(warehouse)
    assert len(data["users"]) == N_USERS
    sources = Sources.open(warehouse, RUN)
    embedded, factored = read_embeddings(warehouse, RUN), read_track_factors(warehouse)
    names = {-1 - place: one[0] for place, one in enumerate(data["others"])}
    names |= dict(enumerate(embedded.track_ids.tolist()))
    assert {one[0] for one in data["others"]} <= {ELSEWHERE, UNKNOWN}
    plays = sources.table(["user_id", "track_id"], "plays")
    own = sources.table(["kind", "id", "factors"], "factors")
    assert plays is not None
    assert own is not None
    vectors = {(kind, name): np.asarray(one) for kind, name, one in own.itertuples(index=False)}
    unit = embedded.vectors / np.linalg.norm(embedded.vectors, axis=1, keepdims=True)
    place = {track: number for number, track in enumerate(embedded.track_ids.tolist())}
    for user in data["users"]:
        played = set(plays[plays["user_id"] == user["id"]]["track_id"])
        left = sorted(set(factored.track_ids.tolist()) - played)
        left.sort(key=lambda track: -float(vectors["user", user["id"]] @ vectors["track", track]))
        assert [names[ref] for ref in user["als"]] == left[:LENGTH]
        centroid = unit[[place[track] for track in sorted(played) if track in place]].mean(axis=0)
        close = [
            track for track in embedded.track_ids[np.argsort(-(unit @ centroid), kind="stable")] if track not in played
        ]
        assert [names[ref] for ref in user["content"]] == close[:LENGTH]
        assert user["tracks"] == len(played)
    factors = restored(songs["factors"])
    known = np.isin(embedded.track_ids, factored.track_ids)
    np.testing.assert_array_equal(np.isfinite(factors).all(axis=1), known)
    for row in np.flatnonzero(known):
        vector = vectors["track", str(embedded.track_ids[row])]
        assert factors[row] == pytest.approx(vector, abs=0.51 * np.ptp(vector) / LEVELS)
    gram = unpacked(songs["gram"]).reshape(6, 6)
    np.testing.assert_allclose(gram, factored.vectors.T @ factored.vectors, rtol=1e-4, atol=1e-5)


def test_a_sample_of_users_is_seeded_and_songs_outside_the_report_have_names(warehouse: Warehouse) -> None:
    def users(**more: Any) -> list[str]:
        return [user["id"] for user in data_of(warehouse, **more)[0]["users"]]

    assert users(users=0) == []
    first = users(users=5)
    assert len(set(first)) == 5
    assert users(users=5) == first != users(users=5, seed=1)
    others = data_of(warehouse, slice(50, 60))[0]["others"]
    assert len(others) > 10
    assert others == names_of(Sources.open(warehouse, RUN), [track for track, *_ in others])


def test_tracks_that_are_not_in_songs_have_no_names(warehouse: Warehouse) -> None:
    names = names_of(Sources.open(warehouse, RUN), [UNKNOWN, ELSEWHERE])
    assert names == [[UNKNOWN, None, None], [ELSEWHERE, HOSTILE[0], HOSTILE[1]]]


def test_the_section_has_recommenders_and_neighbours_beside_chance(warehouse: Warehouse) -> None:
    section = recommendations_section(Sources.open(warehouse, RUN))
    tables = {table.name: table for table in section.tables}
    assert tables["recommenders"].rows[2][:2] == ("ALS", "0.2500 [0.1250, 0.5000]")
    assert tables["recommenders"].heads[1:5] == ("Recall@20", "Recall@50", "NDCG@100", "mAP@500")
    assert tables["recommenders"].title == "Recommenders on 3 held-out users"
    assert "NDCG@100 of ALS is 2.00 [1.50, 2.50] times that of popularity" in section.text[1]
    assert tables["factor_space"].rows == (
        ("genre (all)", 0.75, 0.5, 0.25),
        ("artist (all)", 0.125, 0.5, 0.25),
        ("genre (of other artists)", 0.625, 0.5, 0.25),
    )
    read = tables["factor_neighbours"].rows
    songs = list(dict.fromkeys(row[0] for row in read))
    assert len(read) == 5 * len(songs) == 40
    assert len({song.partition(" - ")[0] for song in songs}) == 8  # no artist twice
    assert [row[2] for row in read[:5]] == [1, 2, 3, 4, 5]
    assert all(one[5] <= other[5] for one, other in pairwise(read[:5]))


def test_missing_tables_are_named(tmp_path: Path) -> None:
    warehouse = write_report_run(tmp_path, 30)
    sources = Sources.open(warehouse, RUN)
    neighbours = warehouse.read_table(None, "neighbours", "factors")
    replace_table(warehouse, neighbours, {"_search.json": {"embeddings": "others"}}, "neighbours", "factors")
    metadata = warehouse.read_json("factors", "_factors.json") | {"judged": None}
    replace_table(warehouse, warehouse.read_table(None, "factors"), {"_factors.json": metadata}, "factors")
    section = recommendations_section(sources)
    assert not section.tables
    assert not section.charts
    assert "not evaluated (msd-spark factors --held-out 0)" in section.text[1]
    assert "neighbours/factors is of other factors; run msd-spark neighbours --space factors" in section.text[2]
    warehouse.remove("neighbours", "factors")
    section = recommendations_section(sources)
    assert "neighbours/factors is missing; run" in section.text[2]
    warehouse.remove("plays")
    with pytest.raises(NoContentError, match="plays/ is missing; run msd-spark plays"):
        recommendations_section(sources)
    warehouse.remove("factors")
    with pytest.raises(NoContentError, match="factors/ is missing; run msd-spark factors"):
        recommendations_section(sources)
