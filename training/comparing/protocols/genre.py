"""Genre: tagtraum's label sets CD1 and CD2C, by the lists of one of Schreiber's families of splits.

References
----------
.. [1] H. Schreiber, "Improving Genre Annotations for the Million Song Dataset", ISMIR 2015;
   https://www.tagtraum.com/msd_genre_datasets.html has the lists: non-stratified and stratified splits with 90, 80, 66
   and 55 % training data, and splits with a fixed number of songs per genre.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow.dataset as pads

from msd_spark.core.errors import UserError
from msd_spark.core.warehouse import Warehouse
from training.comparing.protocols.classified import learned_candidates
from training.comparing.protocols.contract import SUMMARY, Division, Lists, Protocol, Truths, listed_division
from training.data.targets.genre import Genre
from training.evaluation.bootstrap import Artists, Candidate
from training.evaluation.mapping import Mapper
from training.evaluation.song_features import Features


class GenreProtocol(Protocol):
    """Genre of a song in the label set with the name of the protocol."""

    features = SUMMARY
    metrics = ("accuracy", "macro_f1")
    tables = ("labels",)
    remarks = (
        "No published result of a classifier on these lists is known; the publication has labels and lists only.",
        "The lists are not split by artist unless their names say so.",
    )

    def truths(self, warehouse: Warehouse, tracks: pd.DataFrame) -> Truths:
        """Return the index of each track's genre."""
        rows = warehouse.read_table(
            ["track_id", "genre"], "labels", filter=pads.field("label_set") == self.name
        ).to_pandas()
        if rows.empty:
            raise UserError(f"labels/ has no label set {self.name}; run msd-spark labels --{self.name} FILE")
        names = tuple(sorted(rows["genre"].unique()))
        genre = tracks["track_id"].map(rows.drop_duplicates("track_id").set_index("track_id")["genre"])
        true = pd.Categorical(genre, categories=names).codes.astype(np.int64)
        return Truths(true, true >= 0, names)

    def divisions(self, tracks: pd.DataFrame, lists: Lists) -> list[Division]:
        """Divide the tracks by the lists."""
        return [listed_division(tracks, lists)]

    def candidates(
        self, train: Features, test: Features, class_names: tuple[str, ...], artists: Artists, mapper: Mapper
    ) -> dict[str, Candidate]:
        """Fit the learned baselines."""
        return learned_candidates(Genre(class_names), train, test, artists, mapper)


class CD1(GenreProtocol):
    """Majority genres of CD1: the labels of Top-MAGD."""

    name = "cd1"
    title = "genre of a song in tagtraum's CD1"


class CD2C(GenreProtocol):
    """Genres of CD2C: the labels of CD2 without ambiguous songs."""

    name = "cd2c"
    title = "genre of a song in tagtraum's CD2C"
