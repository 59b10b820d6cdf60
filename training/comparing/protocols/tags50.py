"""Tagging: the 50 tags of Choi et al., by the usual split and by the official lists of artists.

References
----------
.. [1] K. Choi, G. Fazekas, M. Sandler, "Automatic Tagging Using Deep Convolutional Neural Networks", ISMIR 2016;
   https://github.com/keunwoochoi/MSD_split_for_tagging has the tags and the rule.
.. [2] M. Won, A. Ferraro, D. Bogdanov, X. Serra, "Evaluation of CNN-based Automatic Music Tagging Models", SMC 2020.
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import pandas as pd
import pyarrow.dataset as pads

from msd_spark.core.split_lists import listed_splits
from msd_spark.core.warehouse import Warehouse
from training.comparing.protocols.classified import learned_candidates
from training.comparing.protocols.contract import (
    SUMMARY,
    TEST,
    TRAIN,
    VALIDATION,
    Anchor,
    Division,
    Lists,
    OfficialList,
    Protocol,
    Truths,
    origin_of,
)
from training.data.targets.tags import Tags
from training.evaluation.bootstrap import Artists, Candidate
from training.evaluation.mapping import Mapper
from training.evaluation.song_features import Features

TAGS = (
    *("rock", "pop", "alternative", "indie", "electronic", "female vocalists", "dance", "00s", "alternative rock"),
    *("jazz", "beautiful", "metal", "chillout", "male vocalists", "classic rock", "soul", "indie rock", "mellow"),
    *("electronica", "80s", "folk", "90s", "chill", "instrumental", "punk", "oldies", "blues", "hard rock", "ambient"),
    *("acoustic", "experimental", "female vocalist", "guitar", "hip-hop", "70s", "party", "country"),
    *("easy listening", "sexy", "catchy", "funk", "electro", "heavy metal", "progressive rock", "60s", "rnb"),
    *("indie pop", "sad", "house", "happy"),
)
"""The 50 tags, as ``tags/`` spells them, in the order of the publication [1]_."""

LOWEST_SCORE = 50
"""Lowest score with which a song has a tag: the best of the 50 tags has at least this score in each song of the lists
(3,268 of them are in samples of the Last.fm files)."""

USUAL, BY_ARTISTS = "usual split", "official artist lists"

ARTIST_SONGS = {TRAIN: 214_314, TEST: 28_540}
"""Songs of the three lists by the artists of the artist lists, counted in the metadata of all 1,000,000 tracks."""


class Tags50(Protocol):
    """The 50 most frequent Last.fm tags of a song."""

    name = "tags50"
    title = "50 Last.fm tags of a song"
    features = SUMMARY
    metrics = ("macro_roc_auc", "macro_pr_auc")
    files = MappingProxyType(
        {
            TRAIN: OfficialList("tags50_train.txt", "28d0a85b618502e9195e47565ebce1a633d4dc87f65ece675d90a79b27148e8f"),
            VALIDATION: OfficialList(
                "tags50_valid.txt", "d3440ab289037f0b6a55dc10f89242a5dacf5f4f5239d18a34925077920610a4"
            ),
            TEST: OfficialList("tags50_test.txt", "322fb6c79c26ad23231f5606ee192485f70262784eae05b483f9852d618daa0c"),
            "train artists": OfficialList(
                "tagging_artists_train.txt", "b649383b4e0dd565f4203f977395baef2a1f571ada3b60f1e058febe21c5dcbc"
            ),
            "test artists": OfficialList(
                "tagging_artists_test.txt", "52b75c7ae9d2ad974876baa49bd29391d64e372a161a51d9759d214ca0cc0501"
            ),
        }
    )
    tables = ("tags",)
    anchors = (
        Anchor("FCN-6, audio", {"macro_roc_auc": ".851"}, "Choi et al., ISMIR 2016", USUAL),
        Anchor("Harmonic CNN, audio", {"macro_roc_auc": ".890", "macro_pr_auc": ".330"}, "Won et al., SMC 2020", USUAL),
    )
    remarks = (
        f"A song has a tag if its score is at least {LOWEST_SCORE}.",
        "By artist id, the test list is that of the official test artists, so the usual split has no test artist in "
        "train. Its validation list shares 7,105 of 7,422 artists with train. The artist lists put both into train.",
    )

    def truths(self, warehouse: Warehouse, tracks: pd.DataFrame) -> Truths:
        """Return a vector of 0 and 1 per track; tracks without any of the tags have none."""
        selected = pads.field("tag").isin(list(TAGS)) & (pads.field("score") >= LOWEST_SCORE)
        rows = warehouse.read_table(["track_id", "tag"], "tags", filter=selected).to_pandas()
        places = pd.Index(tracks["track_id"]).get_indexer(rows["track_id"])
        columns = rows["tag"].map({tag: column for column, tag in enumerate(TAGS)}).to_numpy()
        true = np.zeros((len(tracks), len(TAGS)), np.float32)
        true[places[places >= 0], columns[places >= 0]] = 1
        return Truths(true, true.any(axis=1), TAGS)

    def divisions(self, tracks: pd.DataFrame, lists: Lists) -> list[Division]:
        """Divide the tracks of the lists as the lists do, and again by artist."""
        by_track = {split: lists.ids[split] for split in (TRAIN, VALIDATION, TEST)}
        usual = listed_splits(tracks, by_track)
        divisions = [Division(USUAL, usual, {split: len(ids) for split, ids in by_track.items()}, origin_of(lists))]
        if "train artists" in lists.ids:
            artists = {TRAIN: lists.ids["train artists"], TEST: lists.ids["test artists"]}
            divisions.append(
                Division(
                    BY_ARTISTS, listed_splits(tracks, artists).where(usual.notna()), ARTIST_SONGS, origin_of(lists)
                )
            )
        return divisions

    def candidates(
        self, train: Features, test: Features, class_names: tuple[str, ...], artists: Artists, mapper: Mapper
    ) -> dict[str, Candidate]:
        """Fit the learned baselines."""
        return learned_candidates(Tags(class_names), train, test, artists, mapper)
