"""Factors, metrics and recommendations of a few hundred users, through Spark."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from scipy import sparse

from msd_spark.core.errors import UserError
from msd_spark.core.schemas import FACTORS, PLAYS, RECOMMENDATIONS
from msd_spark.core.warehouse import Warehouse
from msd_spark.factors.confidence import fit_rows
from msd_spark.factors.evaluation import als_recommender, evaluate
from msd_spark.factors.held_out import TRAIN, parts_of, split
from msd_spark.factors.job import make_factors
from msd_spark.factors.listens import TooFewListensError, keep_frequent, read_listens
from msd_spark.factors.settings import METADATA_FILE, SEARCH_FILE, AlsParameters, FactorSettings
from tests.support.dataset_tracks import write_dataset_tracks

PARAMETERS = AlsParameters(rank=6, alpha=8.0, epsilon=0.5, regularisation=0.05, iterations=6)
USERS, TRACKS, GROUPS = 500, 120, 6


def write_plays(folder: Path) -> Warehouse:
    """Write plays of users who each prefer one of six groups of tracks, and a few rare ones."""
    generator = np.random.default_rng(4)
    user, track = np.divmod(np.arange(USERS * TRACKS), TRACKS)
    popular = generator.random(TRACKS) + 0.2
    liked = (user % GROUPS) == (track % GROUPS)
    heard = generator.random(len(user)) < np.where(liked, 0.55, 0.05) * popular[track]
    rows = pd.DataFrame({"user_id": user[heard], "track_id": track[heard]})
    rows["plays"] = generator.geometric(0.4, len(rows))
    rare = pd.DataFrame({"user_id": [USERS, 0, 1], "track_id": [0, TRACKS, TRACKS], "plays": 1})
    rows = pd.concat([rows, rare], ignore_index=True)
    rows["user_id"] = rows["user_id"].map(lambda number: f"user{number:04}")
    rows["track_id"] = rows["track_id"].map(lambda number: f"TR{number:016}")
    warehouse = Warehouse(str(folder))
    warehouse.write_arrow(pa.Table.from_pandas(rows, PLAYS, preserve_index=False), "plays")
    return warehouse


@pytest.fixture(scope="module")
def plays(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    return write_plays(tmp_path_factory.mktemp("factors"))


def factors_of(warehouse: Warehouse, kind: str) -> tuple[np.ndarray, np.ndarray]:
    table = pq.read_table(warehouse.path("factors")).to_pandas()
    rows = table[table["kind"] == kind].sort_values("id")
    assert rows["id"].is_unique
    return rows["id"].to_numpy(str), np.stack(rows["factors"].tolist())


def test_factors_are_evaluated_and_recommend_tracks(
    spark: SparkSession, plays: Warehouse, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = FactorSettings(
        plays.root, PARAMETERS, held_out=0.2, recommendations=15, users_per_task=120, blocks=3, seed=2
    )
    summary = make_factors(spark, settings)
    listens, _ = keep_frequent(read_listens(plays), 5, 5)
    assert summary.facts["pairs in plays/"] - summary.facts["pairs kept"] >= 3
    parts = split(listens, 0.2, 2)
    assert (listens.tracks == parts.train.tracks).all()
    users, user_factors = factors_of(plays, "user")
    tracks, track_factors = factors_of(plays, "track")
    assert users.tolist() == listens.users.tolist()
    assert tracks.tolist() == listens.tracks.tolist()
    assert all(pq.read_schema(path).equals(FACTORS) for path in plays.paths("factors"))

    # Spark's last half-step fits users; held-out users are folded in by the same half-step.
    expected = fit_rows(listens.plays, track_factors, PARAMETERS)
    assert user_factors == pytest.approx(expected, abs=1e-4)

    metadata = plays.read_json("factors", METADATA_FILE)
    judged = metadata["judged"]["recommenders"]
    assert list(judged) == ["random", "popularity", "item-kNN", "EASE", "ALS"]
    assert metadata["judged"]["users"] == summary.facts["test users"] == parts.test.held_out.shape[0]
    again = evaluate(lambda: als_recommender(track_factors, PARAMETERS), parts.test)
    for name, values in again.by_user.items():
        value, low, high = judged["ALS"][name]
        assert value == pytest.approx(values.mean())
        assert low < value < high
    by_ndcg = {name: figures["ndcg@100"][0] for name, figures in judged.items()}
    assert by_ndcg["ALS"] > 1.2 * by_ndcg["popularity"] > 1.2 * by_ndcg["random"]
    ratio = by_ndcg["ALS"] / by_ndcg["popularity"]
    assert metadata["judged"]["als_over_popularity"][0] == pytest.approx(ratio)
    assert "item-kNN" in capsys.readouterr().out

    rows = pq.read_table(plays.path("recommendations"))
    assert rows.schema.equals(RECOMMENDATIONS)
    table = rows.to_pandas()
    assert table["rank"].tolist() == list(range(1, 16)) * len(users)
    scores = user_factors @ track_factors.T
    scores[listens.plays.nonzero()] = -np.inf
    order = np.argsort(-scores, axis=1, kind="stable")[:, :15]
    assert table["score"].to_numpy() == pytest.approx(np.take_along_axis(scores, order, 1).ravel(), rel=1e-5)
    assert (table["track_id"].to_numpy(str) == tracks[order].ravel()).mean() > 0.999  # except for rounding of a product
    heard = read_listens(plays)
    pairs = set(zip(heard.users[heard.plays.nonzero()[0]], heard.tracks[heard.plays.nonzero()[1]], strict=True))
    assert not pairs & set(zip(table["user_id"], table["track_id"], strict=True))

    # A second fit differs by Spark's order of summation only; without recommendations the old ones are removed.
    without = FactorSettings(plays.root, PARAMETERS, held_out=0.2, users_per_task=120, blocks=3, seed=2)
    make_factors(spark, without)
    assert factors_of(plays, "track")[1] == pytest.approx(track_factors, abs=1e-4)
    assert not plays.is_complete("recommendations")


def test_ranking_quality_equals_the_package_implicit(spark: SparkSession, plays: Warehouse) -> None:
    from implicit.als import AlternatingLeastSquares
    from implicit.evaluation import ranking_metrics_at_k

    make_factors(spark, FactorSettings(plays.root, PARAMETERS, held_out=0.2, blocks=3, seed=2))
    judged = plays.read_json("factors", METADATA_FILE)["judged"]["recommenders"]["ALS"]
    parts = split(keep_frequent(read_listens(plays), 5, 5)[0], 0.2, 2)

    def confident(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
        data = 1 + PARAMETERS.alpha * np.log1p(matrix.data / PARAMETERS.epsilon)
        return sparse.csr_matrix((data, matrix.indices, matrix.indptr), matrix.shape, dtype=np.float32)

    # Its penalty is the same for all rows: that of a mean number of listens.
    penalty = PARAMETERS.regularisation * parts.train.plays.nnz / np.mean(parts.train.plays.shape)
    ndcg = []
    for seed in range(3):
        model = AlternatingLeastSquares(
            PARAMETERS.rank, penalty, alpha=1.0, iterations=PARAMETERS.iterations, use_gpu=False, random_state=seed
        )
        model.fit(confident(parts.train.plays), show_progress=False)
        model.user_factors = model.recalculate_user(
            np.arange(parts.test.history.shape[0]), confident(parts.test.history)
        )
        reference = ranking_metrics_at_k(model, parts.test.history, parts.test.held_out, K=100, show_progress=False)
        ndcg.append(reference["ndcg"])
    assert judged["ndcg@100"][0] == pytest.approx(np.mean(ndcg), abs=0.03)


def test_search_selects_the_best_on_validation_users(spark: SparkSession, plays: Warehouse) -> None:
    start = AlsParameters(rank=1, alpha=0.1, regularisation=1.0, iterations=2)
    summary = make_factors(spark, FactorSettings(plays.root, start, held_out=0.2, blocks=2, search=3, refit=True))
    tried = plays.read_json("factors", SEARCH_FILE)["trials"]
    assert len(tried) == 3
    assert (tried[0]["rank"], tried[0]["alpha"]) == (1, 0.1)
    best = max(tried, key=lambda one: one["ndcg@100"])
    metadata = plays.read_json("factors", METADATA_FILE)
    assert metadata["parameters"] == {name: best[name] for name in metadata["parameters"]}
    assert metadata["judged"]["validation_ndcg@100"] == pytest.approx(best["ndcg@100"], abs=0.005)
    assert summary.facts["users with factors"] == summary.facts["users kept"]


def test_cold_tracks_do_not_affect_the_factors_of_users(spark: SparkSession, plays: Warehouse) -> None:
    listens = read_listens(plays)
    cold = listens.tracks[::5]
    train = np.setdiff1d(listens.tracks, [*cold, listens.tracks[1]])
    write_dataset_tracks(plays, "songs", {"train": train, "validation": cold[:4], "test": cold[4:]})
    settings = FactorSettings(plays.root, PARAMETERS, held_out=0, cold_dataset="songs", blocks=2)
    summary = make_factors(spark, settings)
    assert summary.facts["tracks outside the dataset"] == 1
    users, user_factors = factors_of(plays, "user")
    tracks, track_factors = factors_of(plays, "track")
    assert listens.tracks[1] not in tracks
    warm = ~np.isin(tracks, cold)
    fitted_plays = listens.plays[np.searchsorted(listens.users, users)][:, np.searchsorted(listens.tracks, tracks)]
    # Users are fitted to the warm tracks alone, and cold tracks to these users.
    assert user_factors == pytest.approx(fit_rows(fitted_plays[:, warm], track_factors[warm], PARAMETERS), abs=1e-4)
    assert track_factors[~warm] == pytest.approx(
        fit_rows(fitted_plays[:, ~warm].T.tocsr(), user_factors, PARAMETERS), abs=1e-4
    )
    with pytest.raises(UserError, match=r"table .*dataset/other is missing; run msd-spark dataset"):
        make_factors(spark, FactorSettings(plays.root, PARAMETERS, cold_dataset="other"))


def test_missing_or_rare_plays_leave_the_table_unchanged(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"table .*/plays is missing; run msd-spark plays first"):
        make_factors(spark, FactorSettings(str(tmp_path)))
    warehouse = write_plays(tmp_path)
    Warehouse(str(tmp_path)).write_arrow(FACTORS.empty_table(), "factors")
    with pytest.raises(UserError, match="no user has 5 tracks with 900 listeners"):
        make_factors(spark, FactorSettings(str(tmp_path), min_listeners=900))
    assert not pq.read_table(warehouse.path("factors")).num_rows
    assert (parts_of(read_listens(warehouse).users, 0.0, 0) == TRAIN).all()


def test_too_few_plays_remove_the_table_only_if_allowed(tmp_path: Path) -> None:
    warehouse = Warehouse(str(tmp_path))
    columns = {"user_id": ["u", "u", "v"], "track_id": ["TRA", "TRB", "TRA"], "plays": [1, 2, 3]}
    warehouse.write_arrow(pa.Table.from_pydict(columns, PLAYS), "plays")
    older = pa.table({"kind": ["track"], "id": ["TRA"], "factors": [[1.0]]}, FACTORS)
    warehouse.write_arrow(older, "factors")
    settings = FactorSettings(warehouse.root)
    with pytest.raises(TooFewListensError, match="no user has 5 tracks with 5 listeners each; lower --min-tracks"):
        make_factors(cast(SparkSession, None), settings)
    assert warehouse.is_complete("factors")
    summary = make_factors(cast(SparkSession, None), replace(settings, allow_too_few=True))
    assert summary.facts["tracks with factors"] == 0
    assert "no user has 5 tracks" in summary.facts["too few listens"]
    assert not warehouse.is_complete("factors")
