"""What a worker does with a unit, and the outcome that says it is done."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import pyarrow.parquet as pq

from msd_spark.core.rejections import Rejection
from msd_spark.core.warehouse import Warehouse
from msd_spark.ingest.reading import printable, read_unit
from msd_spark.ingest.settings import OUTCOMES, PARTS, IngestSettings
from msd_spark.ingest.units import Unit
from msd_spark.songfile.batches import songs_to_batch, songs_writer
from msd_spark.songfile.parse import Song

DUPLICATE = "duplicate_track_id"


@dataclass
class Outcome:
    """What became of a unit.

    Attributes
    ----------
    unit, kind, location : str
        The unit's name, how it is packed, and what the command named.
    source : str
        Its first file.
    files : dict
        Name of each Parquet file that the unit has, to its songs.
    track_ids : list of str
        Of the songs in the files, in their order; each once.
    rejected, duplicates : list of Rejection
        Inputs that gave no song, and songs that the unit had already.
    seconds : float
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
        """Inputs that are accounted for."""
        return len(self.track_ids) + len(self.rejected) + len(self.duplicates)

    def to_json(self) -> dict[str, Any]:
        """Return the outcome as JSON can hold it."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Outcome:
        """Return the outcome that `to_json` made."""
        lists = {name: [Rejection(**item) for item in content[name]] for name in ("rejected", "duplicates")}
        return cls(**{**content, **lists})


def unit_worker(
    settings: IngestSettings, count: Callable[[int], None], count_bytes: Callable[[int], None]
) -> Callable[[Unit], None]:
    """Return the function that a worker runs for each unit.

    It writes the unit's files under names that no other attempt has, and then the outcome in
    one go. A worker that dies before leaves files that nobody knows of; one that Spark runs
    twice leaves two sets of files, and the outcome names one.
    """

    def work(unit: Unit) -> None:
        warehouse = Warehouse(settings.warehouse)
        if warehouse.exists(OUTCOMES, f"{unit.name}.json"):
            return  # an earlier attempt at the same task came as far as this unit
        started = time.monotonic()
        outcome = Outcome(unit.name, unit.kind.value, unit.location, "")
        outcome.source = printable(unit.inputs[0].source)
        attempt = uuid.uuid4().hex[:8]
        row_groups = _row_groups(unit, settings.songs_per_row_group, outcome)
        for number, first in enumerate(row_groups):
            name = f"{unit.name}-{number:04d}-{attempt}.parquet"
            with songs_writer(warehouse.path(PARTS, name), warehouse.filesystem) as writer:
                outcome.files[name] = _write(writer, first, row_groups, settings.row_groups_per_file)
        outcome.seconds = round(time.monotonic() - started, 3)
        warehouse.write_json(outcome.to_json(), OUTCOMES, f"{unit.name}.json")
        count(outcome.n_inputs)
        count_bytes(unit.size)

    return work


def _write(writer: pq.ParquetWriter, first: list[Song], following: Iterator[list[Song]], most: int) -> int:
    """Write up to `most` row groups, the first of which was taken already; return the songs."""
    n_songs, row_group = 0, first
    for number in range(most):
        writer.write_batch(songs_to_batch(row_group))
        n_songs += len(row_group)
        if number + 1 == most:
            break
        following_one = next(following, None)
        if following_one is None:
            break
        row_group = following_one
    return n_songs


def _row_groups(unit: Unit, size: int, outcome: Outcome) -> Iterator[list[Song]]:
    """Give a unit's songs in lists of at most `size`, each track once, and note the rest in the outcome."""
    held: list[Song] = []
    seen: set[str] = set()
    for item in read_unit(unit):
        if isinstance(item, Rejection):
            outcome.rejected.append(replace(item, unit=outcome.unit))
            continue
        if item["track_id"] in seen:
            detail = f"{item['track_id']} stands before it in the same unit"
            outcome.duplicates.append(Rejection(item["source"], DUPLICATE, detail, item["member"], outcome.unit))
            continue
        seen.add(item["track_id"])
        outcome.track_ids.append(item["track_id"])
        held.append(item)
        if len(held) == size:
            yield held
            held = []
    if held:
        yield held


def read_outcomes(warehouse: Warehouse) -> dict[str, Outcome]:
    """Return the outcomes that workers have left so far, by unit."""
    names = [info.base_name for info in warehouse.list_files(warehouse.path(OUTCOMES))]
    found = (Outcome.from_json(warehouse.read_json(OUTCOMES, name)) for name in names if name.endswith(".json"))
    outcomes = {outcome.unit: outcome for outcome in found}
    parts = {info.base_name for info in warehouse.list_files(warehouse.path(PARTS))}
    # An outcome whose files someone removed is none.
    return {unit: outcome for unit, outcome in outcomes.items() if parts.issuperset(outcome.files)}
