"""Genre label files into ``labels/``: a track's genre in each label set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from msd_spark.errors import StageError
from msd_spark.rejections import Rejection, write_rejections
from msd_spark.schema import LABELS
from msd_spark.summary import Summary
from msd_spark.tagtraum import COMMENT, LabelError, parse_label
from msd_spark.text_files import read_lines
from msd_spark.warehouse import Warehouse

STAGE = "labels"


@dataclass(frozen=True)
class LabelsSettings:
    """What to read.

    Attributes
    ----------
    warehouse : str
    sources : mapping
        Name of each label set to the file that holds it.
    """

    warehouse: str
    sources: Mapping[str, str]


def make_labels(settings: LabelsSettings) -> Summary:
    """Read label files and write ``labels/``; return the summary.

    Some hundred thousand short lines: no engine is needed, and the table fits in memory.

    Raises
    ------
    StageError
        When a file is missing or holds no label.
    """
    summary = Summary(STAGE)
    warehouse = Warehouse(settings.warehouse)
    rows: list[dict[str, str | None]] = []
    rejections: list[Rejection] = []
    for label_set, location in settings.sources.items():
        seen: set[str] = set()
        for number, text, _ in read_lines(STAGE, location):
            if not text or text.startswith(COMMENT):
                continue
            try:
                label = parse_label(text)
            except LabelError as error:
                rejections.append(Rejection(location, error.reason, error.detail, f"line {number}"))
                continue
            if label.track_id in seen:
                rejections.append(Rejection(location, "repeated_track", label.track_id, f"line {number}"))
                continue
            seen.add(label.track_id)
            rows.append(
                {
                    "track_id": label.track_id,
                    "genre": label.genre,
                    "minority_genre": label.minority_genre,
                    "label_set": label_set,
                }
            )
        if not seen:
            raise StageError(STAGE, f"{location} holds no label; is it a tagtraum .cls file?")
        summary.facts[f"tracks in {label_set}"] = len(seen)
    warehouse.write_arrow(pa.Table.from_pylist(rows, LABELS), "labels")
    write_rejections(warehouse, STAGE, rejections)
    summary.facts["rejected"] = len(rejections)
    return summary
