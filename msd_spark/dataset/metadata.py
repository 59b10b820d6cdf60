"""Describe a dataset: its metadata for training and scoring, and the summary of the job."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import Any

import pandas as pd

from msd_spark.catalogue.known_tracks import Joined
from msd_spark.core.examples import DatasetWriter
from msd_spark.core.moments import Moments
from msd_spark.core.normalisation import NORMALISED, WORD_WEIGHTS, normalisation, statistics
from msd_spark.core.schemas import FACTOR_VECTOR, SPLITS
from msd_spark.core.summary import Summary
from msd_spark.core.words import word_weights
from msd_spark.dataset.funnel import Funnel, genre_table
from msd_spark.dataset.plan import count_by_genre
from msd_spark.dataset.settings import DatasetSettings


@dataclass
class DatasetSummary(Summary):
    """Summary of the job, with the funnel, a table of the genres, and warnings."""

    warnings: list[str] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)

    def warn(self, text: str) -> None:
        """Print a warning now, and again at the end of the summary."""
        self.warnings.append(text)
        self.details["warnings"] = self.warnings
        print(f"{self.stage}: {text}", file=sys.stderr, flush=True)

    def report(
        self, funnel: Funnel, metadata: dict[str, Any], artist_groups: pd.Series, settings: DatasetSettings
    ) -> None:
        """Add the counts of a dataset; `artist_groups` also has the songs that are not examples."""
        counts, n_rows = funnel.counts(), sum(metadata["rows"].values())
        self.facts = counts | self.facts
        if n_rows != counts["examples"]:
            self.facts["rows after balancing"] = n_rows
        self.facts |= {
            "genres": len(metadata["labels"]),
            "rare genres left out": len(metadata["rare_genres"]),
            "artist groups": artist_groups.nunique(),
            "songs of the largest artist group": int(artist_groups.value_counts().max()),
            "files": sum(map(len, metadata["files"].values())),
        }
        self.warn_of_few(metadata, settings)
        for genre, rows in metadata["examples_by_genre"].items():
            missing = [split for split in SPLITS if not rows[split] and metadata["rows"][split]]
            if missing:
                self.warn(f"no example of {genre} in {', '.join(missing)}")
        self.tables = [funnel.table(), genre_table(funnel.steps, metadata["examples_by_genre"])]

    def warn_of_few(self, metadata: dict[str, Any], settings: DatasetSettings) -> None:
        """Warn if splits are empty, or if the songs have fewer than two genres."""
        empty = [split for split, n_rows in metadata["rows"].items() if not n_rows]
        if empty:
            remedy = "fill the lists" if settings.split_lists else "change --shares or --seed, or ingest more songs"
            self.warn(f"no example in {', '.join(empty)}, so models cannot be evaluated there; {remedy}")
        if len(metadata["labels"]) < 2 and (metadata["labels"] or metadata["rare_genres"]):
            genres = f"one genre, {metadata['labels'][0]}" if metadata["labels"] else "no genre"
            rare = sum(metadata["rare_genres"].values())
            self.warn(
                f"the examples have {genres} ({rare} songs of rare genres left out), so --target genre cannot be "
                "trained; lower --min-examples, or choose another --label-set"
            )

    def table(self) -> str:
        """Return the summary as text."""
        warnings = "\n".join(f"! {text}" for text in self.warnings)
        return "\n\n".join(part for part in (*self.tables, super().table(), warnings) if part)


def describe(
    plan: pd.DataFrame,
    written: pd.DataFrame,
    files: DatasetWriter,
    vocabulary: Sequence[str],
    joined: Joined,
    settings: DatasetSettings,
) -> dict[str, Any]:
    """Return the metadata of a dataset that training and scoring need."""
    no_rows = {genre: dict.fromkeys(SPLITS, 0) for genre in vocabulary}
    metadata = {
        "name": settings.name,
        "label_set": settings.label_set,
        "labels": list(vocabulary),
        "geometry": asdict(settings.geometry(joined.lyric_size)),
        "segments": settings.segments,
        "chroma": settings.stored_chroma,
        "require": list(settings.requirements),
        "most_popular": settings.most_popular,
        "tags": joined.tag_vocabulary,
        "n_factors": joined.n_factors if settings.factors else 0,
        "split_rule": asdict(settings.split_rule),
        "split_lists": [PurePosixPath(location).name for location in settings.split_lists or ()],
        "duplicates": settings.duplicates and PurePosixPath(settings.duplicates).name,
        "balance": asdict(settings.balance_rule),
        "file_rule": asdict(settings.file_rule),
        "normalisation": _normalisation(plan, written, joined, settings),
        "lyric_vectors": joined.lyric_fingerprint,
        "words": {
            "fingerprint": joined.words.known.fingerprint,
            "tracks": list(joined.words.known.tracks),
        },
        "rows": files.rows,
        "examples_by_genre": no_rows | count_by_genre(plan),
        "tracks_by_genre": no_rows | count_by_genre(plan[plan["copy"] == 0]),
        "files": files.files,
    }
    return metadata | {"fingerprint": _fingerprint(plan, metadata)}


def _normalisation(
    plan: pd.DataFrame, written: pd.DataFrame, joined: Joined, settings: DatasetSettings
) -> dict[str, dict[str, list[float]]]:
    """Return the statistics of the train split; a track repeated to balance genres counts once."""
    of_train = written[written["split"] == SPLITS[0]].sort_values("file")
    tracks = plan.loc[(plan["split"] == SPLITS[0]) & (plan["copy"] == 0), "number"].to_numpy()
    bags = joined.words.indices.take(tracks).drop_null()
    words = word_weights(bags.flatten().to_numpy(), len(bags), len(joined.words.known.tracks))
    parts = normalisation(of_train[list(NORMALISED)].to_dict("records")) | {WORD_WEIGHTS: words}
    if settings.factors:
        factors = joined.factors.take(tracks[joined.factors.present[tracks]])
        rows = factors.flatten().to_numpy(zero_copy_only=False).reshape(-1, joined.n_factors)
        parts[FACTOR_VECTOR] = statistics(Moments.of(rows))
    return parts


def _fingerprint(plan: pd.DataFrame, metadata: dict[str, Any]) -> str:
    """Return a hash of a dataset's content that does not depend on when and where it is made."""
    rows = {split: [file["rows"] for file in of_split] for split, of_split in metadata["files"].items()}
    digest = hashlib.sha256(json.dumps(metadata | {"files": rows}, sort_keys=True).encode())
    for column in ("track_id", "split", "file", "row", "genre_index"):
        digest.update("\n".join(map(str, plan[column])).encode())
    return digest.hexdigest()[:32]
