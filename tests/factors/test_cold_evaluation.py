"""Cold songs ranked by predicted factors, through both jobs."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from scipy import sparse

from msd_spark.catalogue.embeddings import read_embeddings
from msd_spark.core.errors import UserError
from msd_spark.core.runs import METADATA, NEEDED
from msd_spark.core.schemas import PLAYS
from msd_spark.core.warehouse import Warehouse
from msd_spark.factors.cold_evaluation import (
    RANDOM,
    evaluate_cold_songs,
    evaluate_recommenders,
    profiles,
    table,
)
from msd_spark.factors.job import make_factors
from msd_spark.factors.settings import AlsParameters, ColdSettings, FactorSettings
from tests.support.dataset_tracks import write_dataset_tracks
from tests.support.embedded_songs import GENRES, write_embedded_songs

N_USERS = 300
PARAMETERS = AlsParameters(rank=4, iterations=3)


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """Songs of four genres, users who like one each, and a split by artist."""
    warehouse = write_embedded_songs(tmp_path_factory.mktemp("cold"), 150)
    embedded = read_embeddings(warehouse, "tiny")
    genre = np.array([GENRES.index(name) for name in embedded.predicted_genre])
    generator = np.random.default_rng(0)
    chance = np.where(np.arange(N_USERS)[:, None] % len(GENRES) == genre, 0.3, 0.04)
    user, song = np.nonzero(generator.random(chance.shape) < chance)
    listens = [[f"user{number:04}" for number in user], embedded.track_ids[song], generator.geometric(0.5, len(user))]
    warehouse.write_arrow(pa.table(listens, schema=PLAYS), "plays")
    artist = np.arange(len(embedded)) // 3
    rows = {"train": artist % 5 < 3, "validation": artist % 5 == 3, "test": artist % 5 == 4}
    write_dataset_tracks(warehouse, "base", {split: embedded.track_ids[chosen] for split, chosen in rows.items()})
    return warehouse


def tracks_of(warehouse: Warehouse, split: str) -> list[str]:
    examples = warehouse.read_examples(["track_id"], "base").to_pandas()
    return list(examples.query(f"split == '{split}'")["track_id"])


def write_predictions(warehouse: Warehouse, noise: float) -> None:
    factors = pq.read_table(warehouse.path("factors")).to_pandas().query("kind == 'track'").set_index("id")["factors"]
    test = tracks_of(warehouse, "test")
    generator = np.random.default_rng(1)
    rows = [
        {
            "track_id": track,
            "artist_group": track,
            "true": factors.get(track),
            "predicted": (factors.get(track, np.zeros(4)) + noise * generator.normal(size=4)).tolist(),
        }
        for track in test
    ]
    with warehouse.replacing_folder("models", "audio") as folder:
        warehouse.make_folder(f"{folder.path}/predictions")
        pq.write_table(pa.Table.from_pylist(rows), f"{folder.path}/predictions/test.parquet")
        folder.point_by_json(METADATA, dict.fromkeys(NEEDED))


def test_predicted_factors_are_compared_with_chance_and_the_true_factors(spark: SparkSession, heard: Warehouse) -> None:
    make_factors(spark, FactorSettings(heard.root, PARAMETERS, held_out=0, blocks=2))
    write_predictions(heard, 0.1)
    settings = FactorSettings(heard.root, cold=ColdSettings(genre_run="tiny"))
    with pytest.raises(UserError, match=r"factors/ is fitted to all songs, including the cold ones; .* --cold"):
        evaluate_cold_songs(spark, settings, "audio")

    make_factors(spark, FactorSettings(heard.root, PARAMETERS, held_out=0, cold_dataset="base", blocks=2))
    with pytest.raises(UserError, match="factors/ differs from the run's true factors"):
        evaluate_cold_songs(spark, settings, "audio")
    write_predictions(heard, 0.1)
    summary = evaluate_cold_songs(spark, settings, "audio")
    written = heard.read_json("evaluations", "audio", "cold-songs.json")["cold_songs"]
    assert written == summary.details["cold_songs"]
    auc = {name: figures["auc"] for name, figures in written.items()}
    assert list(auc) == [
        "random",
        "predicted from audio",
        "nearest by raw audio",
        "nearest by genre embedding",
        "true factors",
    ]
    assert auc["true factors"][0] >= auc["predicted from audio"][0] > 0.6
    assert auc["nearest by genre embedding"][1] > auc["random"][2]
    assert written["predicted from audio"]["over_random"]["auc"][1] > 0
    assert summary.facts["users"] > 200

    # Test songs that took part in the fit are rejected.
    train, test = tracks_of(heard, "train"), tracks_of(heard, "test")
    write_dataset_tracks(heard, "base", {"train": test, "validation": train, "test": train})
    with pytest.raises(UserError, match=r"test songs of audio are train songs of dataset/base"):
        evaluate_cold_songs(spark, settings, "audio")


def test_profiles_by_hand() -> None:
    # The songs' unit vectors are (1, 0), (0, 1) and (0.6, 0.8); the third user has no plays.
    features = np.array([[2.0, 0], [0, 5], [3, 4]])
    history = sparse.csr_matrix(np.array([[7, 1, 0], [0, 0, 1], [0, 0, 0]], np.float32))
    assert profiles(history, features) == pytest.approx(np.array([[0.5, 0.5], [0.6, 0.8], [0, 0]]))


def test_metrics_of_one_user_by_hand() -> None:
    # Scores are 3, 2, 1; songs 1 and 2 are played. NDCG: (1/log2(3) + 1/2) / (1 + 1/log2(3)) = 1.130930 / 1.630930.
    # Neither pair with song 0 is in order: AUC 0.
    results = evaluate_recommenders(
        {"one": (np.ones((1, 1), np.float32), np.array([[3], [2], [1]], np.float32))},
        sparse.csr_matrix(np.array([[0, 1, 4]], np.float32)),
        seed=0,
    )
    assert results["one"]["ndcg@100"][0] == pytest.approx(1.130930 / 1.630930, rel=1e-5)
    assert results["one"]["auc"] == [0, 0, 0]


def test_true_vectors_beat_chance_and_noise_does_not() -> None:
    generator = np.random.default_rng(0)
    users, songs = (generator.normal(size=(n, 4)).astype(np.float32) for n in (400, 150))
    heard = sparse.csr_matrix(users @ songs.T > 3)
    enough = np.diff(heard.indptr) > 0
    users, heard = users[enough], heard[enough]
    nothing = generator.normal(size=songs.shape).astype(np.float32)
    results = evaluate_recommenders({"true": (users, songs), "noise": (users, nothing)}, heard, seed=1)
    assert results["true"]["auc"] == pytest.approx([1, 1, 1])
    assert results["true"]["ndcg@100"] == pytest.approx([1, 1, 1])
    value, low, high = results[RANDOM]["auc"]
    assert low < 0.5 < high
    assert low < value < high
    lead = results["true"]["over_random"]["auc"]
    assert lead[0] == pytest.approx(1 - value)
    assert lead[1] > 0.4
    assert "over_random" not in results[RANDOM]
    assert len(table(results).splitlines()) == 5
