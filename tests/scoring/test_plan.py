"""Which songs are scored again, for several earlier tables."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pyarrow as pa
import pytest

from msd_spark.catalogue.known_tracks import Bags, KnownTracks, Vectors
from msd_spark.core.rejections import Rejection
from msd_spark.core.schemas import ABSENT
from msd_spark.scoring.plan import plan_scores
from msd_spark.scoring.slices import Slice, SlicedSongs
from msd_spark.scoring.state import ScoredRows, ScoreState

FILES = {"a.parquet": 10, "b.parquet": 20}
SONGS = SlicedSongs(
    [
        Slice("a.parquet", 10, (0,), (2,)),
        Slice("a.parquet", 10, (1,), (2,)),
        Slice("b.parquet", 20, (0,), (2,)),
    ],
    pa.array(list("uvwxyz")),
    np.array([5, 5, 5, 0, 5, 5]),
    np.array([0, 2, 4, 6]),
)
STATE = ScoreState("m", "lyrics", FILES)
REFUSED = Rejection("songs/b.parquet", "not_finite", "why", "z")


def known(lyrics: str = "uy", genre: str = "v") -> KnownTracks:
    place = np.array([lyrics.find(track) if track in lyrics else ABSENT for track in "uvwxyz"])
    vectors = pa.array([[float(number)] for number in range(len(lyrics))], pa.list_(pa.float32()))
    labelled = np.array([track in genre for track in "uvwxyz"])
    return KnownTracks(Vectors(place, vectors), labelled, np.zeros(6, bool), Bags.none(6))


def rows(tracks: str = "uvwy", lyrics: str = "uy", genre: str = "v") -> ScoredRows:
    names = ("a-00000.parquet", "a-00001.parquet", "b-00000.parquet")
    file = np.array(["uvwxyz".index(track) // 2 for track in tracks])
    flags = {"has_lyrics": lyrics, "has_genre": genre, "has_listens": ""}
    had = {name: np.array([track in there for track in tracks]) for name, there in flags.items()}
    return ScoredRows(pa.array(list(tracks)), names, file, had)


OLD = replace(STATE, rejected=[asdict(REFUSED)])


@pytest.mark.parametrize(
    ("old", "there", "now", "scored", "tasks"),
    [
        (None, None, known(), "uvwyz", [0, 1, 2]),
        (OLD, rows(), known(), "", []),
        (OLD, rows("uwy"), known(), "v", [0]),
        (replace(OLD, model="other"), rows(), known(), "uvwyz", [0, 1, 2]),
        (replace(OLD, files=FILES | {"a.parquet": 11}), rows(), known(), "uvw", [0, 1]),
        (replace(OLD, lyrics="before"), rows(), known(), "uy", [0, 2]),
        (replace(OLD, lyrics="before"), rows(), known("yw"), "uwy", [0, 1, 2]),
        (OLD, rows(), known(genre="vw"), "", [1]),
        (replace(OLD, rejected=[]), rows(), known(), "z", [2]),
        # Songs in a file of embeddings/ that is not their slice's.
        (OLD, replace(rows(), file=np.array([0, 0, 2, 2])), known(), "w", [1, 2]),
    ],
)
def test_what_is_scored(
    old: ScoreState | None, there: ScoredRows | None, now: KnownTracks, scored: str, tasks: list[int]
) -> None:
    plan = plan_scores(SONGS, now, STATE, old, there)
    assert "".join(np.array(list("uvwxyz"))[plan.score]) == scored
    assert plan.tasks == tasks
    refused = {str(item.member): item.reason for item in plan.refused}
    assert refused in ({}, {"z": "not_finite"})
    assert plan.n_without_segments == 1
    assert int(plan.score.sum() + plan.keep.sum()) + len(plan.refused) + 1 == len(SONGS)
    # Every song that has a row is planned by a task, or in a file that stays.
    planned = [track for table in plan.planned() for track in table["track_id"].to_pylist()]
    copied = [track for number in plan.copies for track in "uvwxyz"[2 * number : 2 * number + 2]]
    gone = set(refused) | {"x"}
    assert sorted({*planned, *copied} - gone) == sorted(set("uvwxyz") - gone)
    assert not set(planned) & set(copied)


def test_the_plan_contains_what_a_worker_needs() -> None:
    plan = plan_scores(SONGS, known(), STATE, replace(OLD, files={"b.parquet": 20}), rows())
    first, second = plan.planned()
    assert first.select(["track_id", "row", "keep", "lyric_vector", "has_genre"]).to_pylist() == [
        {"track_id": "u", "row": 0, "keep": False, "lyric_vector": [0.0], "has_genre": 0.0},
        {"track_id": "v", "row": 1, "keep": False, "lyric_vector": None, "has_genre": 1.0},
    ]
    assert second["track_id"].to_pylist() == ["w"]
    assert plan.copies == [2]
