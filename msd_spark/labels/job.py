"""The labels job: read genre label files into ``labels/``; tags are read by `labels.tags`."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import pandas as pd
import pyarrow as pa

from msd_spark.core.data_folder import DataFolder
from msd_spark.core.errors import UserError
from msd_spark.core.rejections import Rejection, none_accepted, write_rejections
from msd_spark.core.schemas import LABELS
from msd_spark.core.summary import Summary
from msd_spark.core.warehouse import Warehouse
from msd_spark.formats.tagtraum import COMMENT, LabelError, is_quoted, parse_label
from msd_spark.io.lines import read_lines
from msd_spark.labels.label_sets import PRECEDENCE, remove_rare, unite
from msd_spark.labels.settings import UNION, LabelsSettings

VERB = "labels"


def run(settings: LabelsSettings) -> None:
    """Run ``msd-spark labels``; Spark starts only if there are tags."""
    from msd_spark.labels.lastfm_archives import plan_tasks
    from msd_spark.labels.tags import make_tags
    from msd_spark.spark.session import start_spark

    if not (settings.files or settings.tags):
        data = DataFolder.find(settings.data)
        if not (data.labels or data.tags):
            raise data.missing("label files or tags", "genres tags", "--cd1, --source or --tags")
        files: dict[str, Any] = dict(data.labels)
        settings = dataclasses.replace(settings, **files, tags=data.tags)
    tasks = plan_tasks(settings.tags)
    summary = Summary(VERB)
    if settings.files:
        make_labels(settings, summary)
    if settings.tags:
        make_tags(start_spark("msd-spark labels"), settings, tasks, summary)
    summary.finish(Warehouse(settings.warehouse))


def make_labels(settings: LabelsSettings, summary: Summary) -> None:
    """Read the label files, write ``labels/`` and add the counts to the summary.

    Label files have at most a few hundred thousand short lines, which fit in memory without Spark.
    """
    warehouse = Warehouse(settings.warehouse)
    files = {name: read_label_file(location) for name, location in settings.files.items()}
    label_sets = {name: file.labels for name, file in files.items()}
    details: dict[str, Any] = {
        name: {"lines": file.n_lines, "rejected": len(file.rejections), "changed": file.changed}
        for name, file in files.items()
    }
    if set(label_sets) & set(PRECEDENCE):
        n_tracks = pd.concat([label_sets[name]["track_id"] for name in PRECEDENCE if name in label_sets]).nunique()
        label_sets[UNION], dropped = unite(label_sets)
        counts = dropped.reset_index(name="labels").to_numpy().tolist()
        details[UNION] = {
            "tracks_in_any_source": int(n_tracks),
            "tracks_of_other_genres": int(n_tracks - len(label_sets[UNION])),
            "labels_of_other_genres": {f"{source}: {genre}": count for source, genre, count in counts},
        }
    tables = []
    for name, labels in label_sets.items():
        common, rare = remove_rare(labels, settings.min_examples)
        tables.append(pa.Table.from_pandas(common.assign(label_set=name), LABELS, preserve_index=False))
        details[name] |= {
            "tracks": len(common),
            "with_a_second_genre": int(common["minority_genre"].notna().sum()),
            "genres": {str(genre): int(count) for genre, count in common["genre"].value_counts(sort=True).items()},
            "rare_genres": rare,
            "tracks_of_rare_genres": sum(rare.values()),
        }
        _check_sum(name, details[name])
        summary.facts |= _facts(name, details[name])
    check_common(label_sets, details, settings.min_examples)
    rejections = [rejection for file in files.values() for rejection in file.rejections]
    with warehouse.overwriting(LABELS, "labels") as writer:
        writer.write(pa.concat_tables(tables))
        write_rejections(warehouse, VERB, rejections)
    summary.facts["rejected"] = len(rejections)
    summary.details["label_sets"] = details


@dataclass(frozen=True)
class LabelFile:
    """Labels of a file, one row per track, with its rejections and counts.

    Attributes
    ----------
    n_lines : int
        Lines that are neither empty nor comments.
    changed : dict
        Number of labels per kind of change: removed quotes, decoding as Latin-1, letter case.
    """

    labels: pd.DataFrame
    n_lines: int
    rejections: list[Rejection]
    changed: dict[str, int]


def read_label_file(location: str) -> LabelFile:
    """Read a label file; one without labels is a `UserError`.

    Genres that differ only in letter case are merged under the most frequent spelling. A last line without a line feed
    is kept only if all its genres occur in earlier lines; otherwise it is rejected as truncated. A line that is not
    UTF-8 is decoded as Latin-1.
    """
    labels: dict[str, tuple[str, str | None]] = {}
    rejections: list[Rejection] = []
    changed: Counter[str] = Counter()
    n_lines = 0
    for line in read_lines(location):
        if not line.text.strip() or line.text.startswith(COMMENT):
            continue
        n_lines += 1
        place = f"line {line.number}"
        try:
            track_id, genre, minority_genre = parse_label(line.text)
        except LabelError as error:
            rejections.append(Rejection(location, error.reason, error.detail, place))
            continue
        if not line.ended and not {genre, minority_genre} <= {None, *chain.from_iterable(labels.values())}:
            rejections.append(Rejection(location, "truncated_line", repr(line.text[:80]), place))
        elif track_id in labels:
            rejections.append(Rejection(location, "repeated_track", track_id, place))
        else:
            labels[track_id] = genre, minority_genre
            changed["with quotes removed"] += is_quoted(line.text)
            changed["decoded as Latin-1"] += line.is_latin1
    if rejections and not labels:
        raise none_accepted("label", rejections)
    if not labels:
        raise UserError(f"{location} has no label; a label file has lines of track id, tab, genre (.cls, .tsv)")
    spelling = common_spellings(genre for pair in labels.values() for genre in pair if genre)
    frame = pd.DataFrame.from_dict(labels, "index", object, ["genre", "minority_genre"]).rename_axis("track_id")
    frame.loc[frame["genre"] == frame["minority_genre"], "minority_genre"] = None
    merged = frame.apply(lambda column: column.map(spelling))
    changed["respelled in another letter case"] = int((merged.fillna("") != frame.fillna("")).any(axis="columns").sum())
    merged.loc[merged["genre"] == merged["minority_genre"], "minority_genre"] = None
    frame = merged.where(merged.notna(), None).reset_index()
    return LabelFile(frame, n_lines, rejections, {name: count for name, count in sorted(changed.items()) if count})


def common_spellings(genres: Iterable[str]) -> dict[str, str]:
    """Return the most frequent spelling of each genre, among those that differ in letter case.

    Of equally frequent spellings, the first in alphabetical order is used.
    """
    counts = Counter(genres)
    best: dict[str, str] = {}
    for genre in sorted(counts, key=lambda name: (-counts[name], name)):
        best.setdefault(genre.casefold(), genre)
    return {genre: best[genre.casefold()] for genre in counts}


def check_common(label_sets: Mapping[str, pd.DataFrame], details: Mapping[str, Any], min_examples: int) -> None:
    """Raise an error if every genre of every label set is rare."""
    if any(details[name]["tracks"] for name in label_sets):
        return
    counts = {
        (name, genre): count for name in label_sets for genre, count in details[name]["rare_genres"].items() if count
    }
    (name, genre), count = max(counts.items(), key=lambda item: item[1])
    raise UserError(
        f"no genre has {min_examples:,} tracks: the most frequent one, {genre} in {name}, has {count:,}; "
        "the table is unchanged; lower --min-examples"
    )


def _check_sum(name: str, counts: Mapping[str, Any]) -> None:
    """Check that every label is in the table, rejected, or removed with a rare genre."""
    is_union = "tracks_in_any_source" in counts
    n_labels = counts["tracks_in_any_source" if is_union else "lines"]
    n_other = counts["tracks_of_other_genres" if is_union else "rejected"]
    n_accounted = counts["tracks"] + n_other + counts["tracks_of_rare_genres"]
    if n_accounted != n_labels:
        raise UserError(f"{name} has {n_labels:,} labels, and {n_accounted:,} are accounted for; nothing was changed")


def _facts(name: str, counts: Mapping[str, Any]) -> dict[str, int]:
    facts = {
        f"tracks in {name}": counts["tracks"],
        f"with a second genre in {name}": counts["with_a_second_genre"],
    }
    facts |= {f"labels of {name} {change}": count for change, count in counts.get("changed", {}).items()}
    if counts["rare_genres"]:
        facts[f"rare genres left out of {name}"] = len(counts["rare_genres"])
        facts[f"tracks of rare genres left out of {name}"] = counts["tracks_of_rare_genres"]
    if counts.get("tracks_of_other_genres"):
        facts[f"tracks without a genre of {name}"] = counts["tracks_of_other_genres"]
    return facts
