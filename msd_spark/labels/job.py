"""Genre label files into ``labels/``: a track's genre in each label set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import pyarrow as pa

from msd_spark.core.errors import UserError
from msd_spark.core.rejections import Rejection, write_rejections
from msd_spark.core.schemas import LABELS
from msd_spark.core.summary import Summary
from msd_spark.core.warehouse import Warehouse
from msd_spark.formats.tagtraum import COMMENT, LabelError, parse_label
from msd_spark.io.lines import read_lines
from msd_spark.labels.label_sets import PRECEDENCE, UNION, remove_rare, unite

STAGE = "labels"


@dataclass(frozen=True)
class LabelsSettings:
    """What to read.

    Attributes
    ----------
    warehouse : str
    sources : mapping
        Name of each label set to the file that holds it.
    min_examples : int
        Genres that fewer tracks of a label set have are left out of it. All tracks of the file count, whether
        or not the catalogue has them; a dataset applies a limit of its own to the songs that it joins.
    """

    warehouse: str
    sources: Mapping[str, str]
    min_examples: int = 10


@dataclass
class LabelFile:
    """What was read from a label file.

    Attributes
    ----------
    labels : pandas.DataFrame
        A row a track: ``track_id``, ``genre``, ``minority_genre``.
    lines : int
        Lines that should hold a label: neither empty nor a comment.
    rejections : list of Rejection
    """

    labels: pd.DataFrame
    lines: int
    rejections: list[Rejection] = field(default_factory=list)


def make_labels(settings: LabelsSettings, summary: Summary | None = None) -> Summary:
    """Read label files and write ``labels/``; return the summary.

    Some hundred thousand short lines: no engine is needed, and the table fits in memory.

    Parameters
    ----------
    settings : LabelsSettings
    summary : Summary, optional
        Where the facts are noted; a new one if left out.

    Raises
    ------
    UserError
        When a file is missing or holds no label, or the counts do not add up.
    """
    summary = summary or Summary(STAGE)
    if settings.min_examples < 1:
        raise UserError(f"a genre has at least 1 track, not {settings.min_examples} (--min-examples)")
    if not settings.sources:
        raise UserError("no label file to read; give --cd1 or another one")
    if UNION in settings.sources:
        raise UserError(f"the label set {UNION} is made of the others; give the file another name")
    warehouse = Warehouse(settings.warehouse)
    read = {name: read_label_file(location) for name, location in settings.sources.items()}
    label_sets = {name: one.labels for name, one in read.items()}
    details: dict[str, Any] = {
        name: {"lines": one.lines, "rejected": len(one.rejections)} for name, one in read.items()
    }
    if set(label_sets) & set(PRECEDENCE):
        union, dropped = unite(label_sets)
        anywhere = pd.concat([label_sets[name]["track_id"] for name in PRECEDENCE if name in label_sets]).nunique()
        details[UNION] = {
            "tracks_in_any_source": int(anywhere),
            "tracks_of_other_genres": int(anywhere - len(union)),
            "labels_of_other_genres": {
                f"{source}: {genre}": int(count)
                for source, genre, count in zip(
                    dropped.index.get_level_values(0), dropped.index.get_level_values(1), dropped, strict=True
                )
            },
        }
        label_sets[UNION] = union
    tables = []
    for name, labels in label_sets.items():
        kept, rare = remove_rare(labels, settings.min_examples)
        tables.append(pa.Table.from_pandas(kept.assign(label_set=name), LABELS, preserve_index=False))
        details[name] |= {
            "tracks": len(kept),
            "with_a_second_genre": int(kept["minority_genre"].notna().sum()),
            "genres": {str(genre): int(count) for genre, count in kept["genre"].value_counts(sort=True).items()},
            "rare_genres": rare,
            "tracks_of_rare_genres": sum(rare.values()),
        }
        _check_sum(name, details[name])
        _note(summary, name, details[name])
    warehouse.write_arrow(pa.concat_tables(tables), "labels")
    rejections = [rejection for one in read.values() for rejection in one.rejections]
    write_rejections(warehouse, STAGE, rejections)
    summary.facts["rejected"] = len(rejections)
    summary.details["label_sets"] = details
    return summary


def read_label_file(location: str) -> LabelFile:
    """Return what a label file holds, in its order.

    Raises
    ------
    UserError
        When the file is missing or holds no label.
    """
    labels: dict[str, tuple[str, str | None]] = {}
    rejections: list[Rejection] = []
    lines = 0
    for number, text, _ in read_lines(location):
        if not text.strip() or text.startswith(COMMENT):
            continue
        lines += 1
        try:
            label = parse_label(text)
        except LabelError as error:
            rejections.append(Rejection(location, error.reason, error.detail, f"line {number}"))
            continue
        if label.track_id in labels:
            rejections.append(Rejection(location, "repeated_track", label.track_id, f"line {number}"))
        else:
            labels[label.track_id] = label.genre, label.minority_genre
    if not labels:
        raise UserError(
            f"{location} holds no label; is it a file of track ids and genres, parted by tabs (.cls, .tsv)?"
        )
    genres, seconds = zip(*labels.values(), strict=True)
    frame = pd.DataFrame(
        {"track_id": list(labels), "genre": genres, "minority_genre": pd.Series(seconds, dtype=object)}
    )
    return LabelFile(frame, lines, rejections)


def _check_sum(name: str, counts: Mapping[str, Any]) -> None:
    """Check that what was read is in the table, rejected, or removed with a rare genre."""
    lost, of = (
        ("tracks_of_other_genres", "tracks_in_any_source")
        if "tracks_in_any_source" in counts
        else ("rejected", "lines")
    )
    found = counts["tracks"] + counts[lost] + counts["tracks_of_rare_genres"]
    if found != counts[of]:
        raise UserError(f"{name} has {counts[of]:,} labels, and {found:,} are accounted for; nothing was changed")


def _note(summary: Summary, name: str, counts: Mapping[str, Any]) -> None:
    summary.facts[f"tracks in {name}"] = counts["tracks"]
    summary.facts[f"with a second genre in {name}"] = counts["with_a_second_genre"]
    if counts["rare_genres"]:
        summary.facts[f"rare genres left out of {name}"] = len(counts["rare_genres"])
        summary.facts[f"tracks of rare genres left out of {name}"] = counts["tracks_of_rare_genres"]
    if counts.get("tracks_of_other_genres"):
        summary.facts[f"tracks of no genre of {name}"] = counts["tracks_of_other_genres"]
