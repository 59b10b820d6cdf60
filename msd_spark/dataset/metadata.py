"""What a dataset says of itself: its metadata, for training and scoring, and the summary of the job, for people."""

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
from msd_spark.core.moments import Moments
from msd_spark.core.schemas import FACTOR_VECTOR, SPLITS
from msd_spark.core.summary import Summary
from msd_spark.core.warehouse import TableFiles, Warehouse
from msd_spark.dataset.files import normalisation, part_name
from msd_spark.dataset.funnel import Funnel, genre_table
from msd_spark.dataset.plan import count_by_genre
from msd_spark.dataset.settings import DatasetSettings


@dataclass
class DatasetSummary(Summary):
    """The summary of the job, with the funnel and the genres below the facts.

    Attributes
    ----------
    warnings : list of str
        What a person should look at.
    tables : list of str
    """

    warnings: list[str] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)

    def warn(self, text: str) -> None:
        """Say at once, and again in the summary, what a person should look at."""
        self.warnings.append(text)
        self.details["warnings"] = self.warnings
        print(f"{self.stage}: {text}", file=sys.stderr, flush=True)

    def report(self, funnel: Funnel, metadata: dict[str, Any], artist_groups: pd.Series) -> None:
        """Note what became of the songs.

        Parameters
        ----------
        funnel : Funnel
        metadata : dict
            Of the dataset.
        artist_groups : pandas.Series
            Of every song, whether it is an example or not.
        """
        n_rows = sum(file["rows"] for files in metadata["files"].values() for file in files)
        counts = funnel.counts()
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
        for genre, rows in metadata["examples_by_genre"].items():
            missing = [split for split in SPLITS if not rows[split]]
            if missing:
                self.warn(f"no example of {genre} in {', '.join(missing)}")
        self.tables = [funnel.table(), genre_table(funnel.steps, metadata["examples_by_genre"])]

    def table(self) -> str:
        """Return all that the summary has to say, as text."""
        warnings = "\n".join(f"! {text}" for text in self.warnings)
        return "\n\n".join(part for part in (*self.tables, super().table(), warnings) if part)


def describe(
    plan: pd.DataFrame, written: pd.DataFrame, vocabulary: Sequence[str], joined: Joined, settings: DatasetSettings
) -> dict[str, Any]:
    """Return the dataset's metadata: everything that training and scoring must know."""
    files: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
    for row in written.sort_values("file").to_dict("records"):
        files[row["split"]].append({"name": part_name(int(row["file"])), "rows": int(row["rows"])})
    nothing = dict.fromkeys(SPLITS, 0)
    by_genre = {genre: dict(nothing) for genre in vocabulary} | count_by_genre(plan)
    tracks_by_genre = {genre: dict(nothing) for genre in vocabulary} | count_by_genre(plan[plan["copy"] == 0])
    metadata = {
        "name": settings.name,
        "label_set": settings.label_set,
        "labels": list(vocabulary),
        "geometry": asdict(settings.geometry),
        "segments": settings.geometry.segments,
        "require": sorted(settings.require),
        "most_popular": settings.most_popular,
        "tags": joined.tag_vocabulary,
        "n_factors": joined.n_factors if settings.factors else 0,
        "split_rule": asdict(settings.split_rule),
        "split_lists": [PurePosixPath(location).name for location in settings.split_lists or ()],
        "balance": asdict(settings.balance),
        "file_rule": asdict(settings.file_rule),
        "normalisation": normalisation(written) | (factor_moments(plan, joined) if settings.factors else {}),
        "lyric_vectors": joined.lyric_fingerprint,
        "rows": {split: sum(file["rows"] for file in files[split]) for split in SPLITS},
        "examples_by_genre": by_genre,
        "tracks_by_genre": tracks_by_genre,
        "files": files,
    }
    return metadata | {"fingerprint": _fingerprint(plan, metadata)}


def factor_moments(plan: pd.DataFrame, joined: Joined) -> dict[str, dict[str, list[float]]]:
    """Return mean and deviation of the factors of the train split's tracks, each track once."""
    tracks = plan.loc[(plan["split"] == SPLITS[0]) & (plan["copy"] == 0), "number"].to_numpy()
    held = joined.factors.take(tracks[joined.factors.present[tracks]])
    rows = held.flatten().to_numpy(zero_copy_only=False).reshape(-1, joined.n_factors)
    mean, deviation = Moments.of(rows).mean_and_deviation()
    return {FACTOR_VECTOR: {"mean": mean.tolist(), "deviation": deviation.tolist()}}


def _fingerprint(plan: pd.DataFrame, metadata: dict[str, Any]) -> str:
    """Return a name for a dataset's content, the same wherever and whenever it is made."""
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for column in ("track_id", "split", "file", "row", "genre_index"):
        digest.update("\n".join(map(str, plan[column])).encode())
    return digest.hexdigest()[:32]


def fingerprint_of_files(warehouse: Warehouse, files: TableFiles) -> dict[str, Any]:
    """Return how many files and bytes a table has, and a name for it by the names and sizes of its files."""
    root = warehouse.root + "/"
    names = [f"{path.removeprefix(root)}\t{size}" for path, size in zip(files.paths, files.sizes, strict=True)]
    digest = hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()[:32]
    return {"files": len(names), "bytes": sum(files.sizes), "fingerprint": digest}
