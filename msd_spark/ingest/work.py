"""Work on one unit: its song files, and the outcome that marks it as done."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby
from typing import Any

from msd_spark.core.rejections import Rejection
from msd_spark.core.warehouse import Warehouse
from msd_spark.ingest.reading import read_unit
from msd_spark.ingest.settings import OUTCOMES, PARTS, IngestSettings
from msd_spark.ingest.units import Unit
from msd_spark.io.folders import printable
from msd_spark.songfile.batches import songs_to_batch, songs_writer
from msd_spark.songfile.parse import Song

DUPLICATE = "duplicate_track_id"


@dataclass
class Outcome:
    """Result of a unit.

    `source` is the unit's first file, and `files` has the number of songs in each Parquet file. `track_ids` are in the
    order of these files, each once. `duplicates` are songs repeated within the unit.
    """

    unit: str
    kind: str
    location: str
    source: str
    files: dict[str, int] = field(default_factory=dict)
    track_ids: list[str] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    duplicates: list[Rejection] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def n_inputs(self) -> int:
        """Number of inputs accounted for."""
        return len(self.track_ids) + len(self.rejected) + len(self.duplicates)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Outcome:
        """Return the outcome from the content of `dataclasses.asdict`."""
        lists = {name: [Rejection(**item) for item in content[name]] for name in ("rejected", "duplicates")}
        return cls(**{**content, **lists})


def unit_worker(
    settings: IngestSettings, count: Callable[[int], None], count_bytes: Callable[[int], None]
) -> Callable[[Unit], None]:
    """Return the function that a worker runs for each unit.

    It writes the unit's files under names unique to the attempt, and then the outcome atomically. A worker that dies
    leaves files that no outcome names; if Spark runs a unit twice, the outcome names one set of files.
    """

    def work(unit: Unit) -> None:
        warehouse = Warehouse(settings.warehouse)
        if warehouse.exists(OUTCOMES, f"{unit.name}.json"):
            return  # an earlier attempt at the same task finished this unit
        started = time.monotonic()
        outcome = Outcome(unit.name, unit.kind.value, unit.location, printable(unit.inputs[0].source))
        attempt = uuid.uuid4().hex[:8]
        row_groups = enumerate(_row_groups(unit, settings.songs_per_row_group, outcome))
        for number, groups in groupby(row_groups, lambda numbered: numbered[0] // settings.row_groups_per_file):
            name = f"{unit.name}-{number:04d}-{attempt}.parquet"
            outcome.files[name] = 0
            with songs_writer(warehouse.path(PARTS, name), warehouse.filesystem) as writer:
                for _, songs in groups:
                    writer.write_batch(songs_to_batch(songs))
                    outcome.files[name] += len(songs)
        outcome.seconds = round(time.monotonic() - started, 3)
        warehouse.write_json(asdict(outcome), OUTCOMES, f"{unit.name}.json")
        count(outcome.n_inputs)
        count_bytes(unit.size)

    return work


def _row_groups(unit: Unit, size: int, outcome: Outcome) -> Iterator[list[Song]]:
    """Yield songs in lists of at most `size`, each track once; others go to the outcome."""
    songs: list[Song] = []
    seen: set[str] = set()
    for item in read_unit(unit):
        if isinstance(item, Rejection):
            outcome.rejected.append(replace(item, unit=outcome.unit))
            continue
        track_id = item["track_id"]
        if track_id in seen:
            detail = f"{track_id} occurs earlier in the same unit"
            outcome.duplicates.append(Rejection(item["source"], DUPLICATE, detail, item["member"], outcome.unit))
            continue
        seen.add(track_id)
        outcome.track_ids.append(track_id)
        songs.append(item)
        if len(songs) == size:
            yield songs
            songs = []
    if songs:
        yield songs


def read_outcomes(warehouse: Warehouse) -> dict[str, Outcome]:
    """Return the outcomes written so far, by unit; those whose files were removed are ignored."""
    parts = {info.base_name for info in warehouse.list_files(warehouse.path(PARTS))}
    names = [info.base_name for info in warehouse.list_files(warehouse.path(OUTCOMES))]
    outcomes = [Outcome.from_json(warehouse.read_json(OUTCOMES, name)) for name in names if name.endswith(".json")]
    return {outcome.unit: outcome for outcome in outcomes if parts.issuperset(outcome.files)}
