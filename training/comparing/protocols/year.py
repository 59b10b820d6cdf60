"""Year prediction: regression of a song's year, split by the official lists of artists.

References
----------
.. [1] T. Bertin-Mahieux, D. Ellis, B. Whitman, P. Lamere, "The Million Song Dataset", ISMIR 2011.
.. [2] J. M. Hernández-Lobato, R. Adams, "Probabilistic Backpropagation for Scalable Learning of Bayesian Neural
   Networks", ICML 2015.
.. [3] Y. Gal, Z. Ghahramani, "Dropout as a Bayesian Approximation", ICML 2016.
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import pandas as pd
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_error, root_mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from msd_spark.core.split_lists import listed_splits
from msd_spark.core.warehouse import Warehouse
from training.comparing.protocols.contract import (
    TEST,
    TIMBRE,
    TRAIN,
    Anchor,
    Division,
    Lists,
    OfficialList,
    Protocol,
    Truths,
    origin_of,
)
from training.evaluation.bootstrap import Artists, Candidate, Statistic, mean_statistic
from training.evaluation.mapping import Mapper
from training.evaluation.song_features import Features

RMSE, MAE = "rmse", "mae"

OFFICIAL_SONGS = {TRAIN: 466_128, TEST: 49_436}
"""Songs with a year by the artists of the lists, counted in the metadata of all 1,000,000 tracks."""

BY_ARTISTS, UCI = "official artist lists", "UCI's rows: the first 463,715 and the last 51,630"

BOOSTING_ITERATIONS = 300


def year_metrics(true: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Return ``rmse`` and ``mae`` of predicted years, shape ``(n,)``, in years."""
    return {
        RMSE: float(root_mean_squared_error(true, predicted)),
        MAE: float(mean_absolute_error(true, predicted)),
    }


def year_statistic(true: np.ndarray, predicted: np.ndarray, artists: Artists) -> Statistic:
    """Return the statistic of `year_metrics` on resamples of artists."""
    errors = np.abs(true - predicted)
    means = mean_statistic({RMSE: np.square(errors), MAE: errors}, artists)

    def metrics(drawn: np.ndarray) -> dict[str, np.ndarray]:
        of_drawn = means(drawn)
        return of_drawn | {RMSE: np.sqrt(of_drawn[RMSE])}

    return metrics


class Year(Protocol):
    """Year of a song; artists of the test songs are unknown in training."""

    name = "year"
    title = "year of a song, from 12 means and 78 covariances of timbre"
    features = TIMBRE
    fewest_segments = 10
    metrics = (RMSE, MAE)
    files = MappingProxyType(
        {
            TRAIN: OfficialList(
                "year_artists_train.txt", "176e53bf33dcc02b3b81a176c32ceba2754c6a50463b58ccb75ba139ec6b4553"
            ),
            TEST: OfficialList(
                "year_artists_test.txt", "e2e2df4430cac4f64099b429215b84077aac432c4569312c16cbc66d4f67f563"
            ),
        }
    )
    anchors = (
        Anchor("constant", {RMSE: "10.80", MAE: "8.13"}, "Bertin-Mahieux et al., ISMIR 2011", BY_ARTISTS),
        Anchor("50 nearest neighbours", {RMSE: "10.20", MAE: "7.58"}, "Bertin-Mahieux et al., ISMIR 2011", BY_ARTISTS),
        Anchor("Vowpal Wabbit", {RMSE: "8.76", MAE: "6.14"}, "Bertin-Mahieux et al., ISMIR 2011", BY_ARTISTS),
        Anchor("probabilistic backpropagation", {RMSE: "8.879"}, "Hernández-Lobato and Adams, ICML 2015", UCI),
        Anchor("dropout", {RMSE: "8.849"}, "Gal and Ghahramani, ICML 2016", UCI),
        Anchor(
            "range of published results on the 90 features",
            {RMSE: "8.68–8.95"},
            "requirements of this project, without a paper",
            UCI,
        ),
    )
    remarks = (
        "UCI's rows have no track ids, and other numbers of train and test songs than the artist lists, so values on "
        "UCI's rows and on the lists differ even on all songs.",
    )

    def truths(self, warehouse: Warehouse, tracks: pd.DataFrame) -> Truths:
        """Return the years; 0 and null are unknown."""
        years = tracks["year"].fillna(0).to_numpy(np.float64)
        return Truths(years, years > 0)

    def divisions(self, tracks: pd.DataFrame, lists: Lists) -> list[Division]:
        """Divide the tracks by artist."""
        return [Division(BY_ARTISTS, listed_splits(tracks, lists.ids), OFFICIAL_SONGS, origin_of(lists))]

    def candidates(
        self, train: Features, test: Features, class_names: tuple[str, ...], artists: Artists, mapper: Mapper
    ) -> dict[str, Candidate]:
        """Fit gradient boosting, linear regression and the constant."""
        models = {
            "gradient boosting": HistGradientBoostingRegressor(max_iter=BOOSTING_ITERATIONS, random_state=0),
            "linear regression": make_pipeline(StandardScaler(), LinearRegression()),
            "constant": DummyRegressor(),
        }

        def predict(name: str) -> np.ndarray:
            return models[name].fit(train.values, train.true).predict(test.values)

        return {
            name: Candidate(
                year_metrics(test.true, predicted) | {"examples": len(test.true)},
                year_statistic(test.true, predicted, artists),
            )
            for name, predicted in zip(models, mapper(predict, list(models)), strict=True)
        }
