from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from msd_spark.factors.confidence import fit_rows, log_scaled
from msd_spark.factors.settings import AlsParameters


def test_a_half_step_by_hand() -> None:
    # Tracks have the factors 1 and 2; a user played the first e - 1 times: log(1 + (e - 1) / 1) = 1.
    plays = sparse.csr_matrix(np.array([[np.e - 1, 0], [0, 0]], np.float32))
    parameters = AlsParameters(rank=1, alpha=3.0, epsilon=1.0, regularisation=0.5, iterations=1)
    fitted = fit_rows(plays, np.array([[1.0], [2.0]]), parameters)
    # Y'Y is 1 + 4 = 5; confidence is 1 + 3 * 1 = 4, so beyond one it adds 3 * 1 * 1; the penalty is 0.5 * one listen.
    # (5 + 3 + 0.5) x = 4 * 1, x = 4 / 8.5. A user without plays has zero factors.
    assert fitted == pytest.approx(np.array([[4 / 8.5], [0.0]]))
    assert log_scaled(np.array([4.0]), 2.0) == pytest.approx([np.log(3)])


def loss(plays: np.ndarray, rows: np.ndarray, columns: np.ndarray, parameters: AlsParameters) -> float:
    confidence = 1 + parameters.alpha * np.log1p(plays / parameters.epsilon)
    heard = plays > 0
    penalty = (heard.sum(axis=1) * (rows**2).sum(axis=1)).sum() + (heard.sum(axis=0) * (columns**2).sum(axis=1)).sum()
    return float((confidence * (heard - rows @ columns.T) ** 2).sum() + parameters.regularisation * penalty)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_half_step_minimises_the_loss(seed: int) -> None:
    generator = np.random.default_rng(seed)
    plays = generator.integers(0, 4, (6, 5)).astype(np.float32)
    plays[:, 0] = 1
    columns = generator.normal(size=(5, 2))
    parameters = AlsParameters(rank=2, alpha=2.0, epsilon=0.5, regularisation=0.1, iterations=1)
    rows = fit_rows(sparse.csr_matrix(plays), columns, parameters).astype(np.float64)
    least = loss(plays, rows, columns, parameters)
    for _ in range(5):
        assert loss(plays, rows + 0.01 * generator.normal(size=rows.shape), columns, parameters) > least


def test_folding_in_equals_the_package_implicit() -> None:
    from implicit.als import AlternatingLeastSquares

    generator = np.random.default_rng(5)
    factors = (generator.normal(size=(300, 16)) / 4).astype(np.float32)
    parameters = AlsParameters(rank=16, alpha=7.0, epsilon=0.7, regularisation=0.03)
    # Its penalty is not scaled by the listens; equal for users of 12 tracks each.
    plays = np.zeros((50, 300), np.float32)
    for user in range(50):
        plays[user, generator.choice(300, 12, replace=False)] = generator.integers(1, 60, 12)
    matrix = sparse.csr_matrix(plays)
    model = AlternatingLeastSquares(factors=16, regularization=0.03 * 12, alpha=1.0, use_gpu=False)
    model.item_factors = factors
    # It takes confidences, and sums those beyond one, as here.
    confidence = sparse.csr_matrix((1 + 7.0 * np.log1p(matrix.data / 0.7), matrix.indices, matrix.indptr), matrix.shape)
    reference = model.recalculate_user(np.arange(50), confidence.astype(np.float32))
    assert fit_rows(matrix, factors, parameters) == pytest.approx(reference, abs=1e-4)
