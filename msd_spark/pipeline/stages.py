"""The stages of the pipeline in order, with the sources and tables that they read and write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from msd_spark.core.verbs import VERBS, Verb

DEFAULT_OPTIONS: dict[str, Mapping[str, Any]] = {
    "factors": {"allow-too-few": True},
    "factor-neighbours": {"space": "factors"},
    "dataset": {"require": "genre"},
    "train": {"epochs": 20, "batch-size": 16},
}
"""Options that the pipeline sets unless the settings do."""


@dataclass(frozen=True)
class Stage:
    """One stage of the pipeline.

    Attributes
    ----------
    sources : tuple of str
        Folders of the data folder that it reads.
    reads, writes : tuple of str
        Places in the warehouse, with ``{run}`` and ``{dataset}`` for their names.
    requires : tuple of str
        Those of `reads` without which it fails.
    needs : str or None
        Table without which it is skipped.
    of_run : bool
        Whether it takes ``--run``.
    verb_name : str or None
        Verb that it runs, if not the one of its own name.
    """

    name: str
    sources: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    needs: str | None = None
    of_run: bool = False
    verb_name: str | None = None

    @property
    def verb(self) -> Verb:
        """The verb that it runs."""
        return VERBS[self.verb_name or self.name]

    @property
    def needs_plays(self) -> bool:
        """Whether it is skipped if there are no play counts."""
        return self.name in ("plays", "factors", "factor-neighbours")


_SIDE = ("lyrics", "lyric_words", "labels", "tags", "tag_counts", "plays", "popularity", "factors")
_DATASET, _MODEL, _EMBEDDINGS = "dataset/{dataset}", "models/{run}", "embeddings/{run}"
_OF_RUN = (_MODEL, _EMBEDDINGS, "neighbours/{run}", "maps/{run}", "studies/{run}")

STAGES = (
    Stage("ingest", ("songs", "broken", "additional"), (), ("songs", "ledger")),
    Stage("lyrics", ("musixmatch",), (), ("lyrics", "lyric_words")),
    Stage("labels", ("tagtraum", "magd", "lastfm"), (), ("labels", "tags", "tag_counts")),
    Stage("plays", ("tasteprofile",), ("songs",), ("plays", "popularity"), ("songs",)),
    Stage("factors", (), ("plays",), ("factors",), ("plays",)),
    Stage("dataset", (), ("songs", *_SIDE), (_DATASET,), ("songs",)),
    Stage("train", (), (_DATASET,), (_MODEL,), (_DATASET,), of_run=True),
    Stage("score", (), ("songs", *_SIDE, _MODEL), (_EMBEDDINGS,), ("songs", _MODEL), of_run=True),
    Stage(
        "neighbours",
        (),
        ("songs", *_SIDE, _EMBEDDINGS),
        ("neighbours/{run}",),
        ("songs", _EMBEDDINGS),
        of_run=True,
    ),
    Stage("factor-neighbours", (), ("songs", *_SIDE), ("neighbours/factors",), needs="factors", verb_name="neighbours"),
    Stage("maps", (), (_EMBEDDINGS,), ("maps/{run}",), (_EMBEDDINGS,), of_run=True),
    Stage("listen", (), ("songs", _DATASET, _MODEL), ("studies/{run}",), (_MODEL,), of_run=True),
    Stage(
        "report",
        (),
        ("songs", "rejected", *_SIDE, "neighbours/factors", _DATASET, *_OF_RUN),
        ("reports/{run}",),
        (_MODEL, _EMBEDDINGS),
        of_run=True,
    ),
)
NAMES = tuple(stage.name for stage in STAGES)
BY_NAME = {stage.name: stage for stage in STAGES}
