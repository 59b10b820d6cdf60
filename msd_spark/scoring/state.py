"""Record the inputs of ``embeddings/RUN``, from which the next scoring finds stale rows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from msd_spark.core.delta import logical_name
from msd_spark.core.errors import DamagedError
from msd_spark.core.rejections import Rejection
from msd_spark.core.row_groups import RowGroups
from msd_spark.core.schemas import EMBEDDING_FLAGS, EMBEDDINGS
from msd_spark.core.warehouse import READERS, Warehouse
from msd_spark.scoring.settings import STATE_FILE, TABLE
from msd_spark.scoring.slices import SlicedSongs


@dataclass(frozen=True)
class ScoreState:
    """Inputs of a scoring.

    `model` is the hash of the model file and `lyrics` that of ``lyrics/``; if it differs, lyric vectors may have
    changed. `files` maps the name of each file of ``songs/`` to its bytes. `rejected` has the fields of each
    `msd_spark.core.rejections.Rejection`, whose member is the track id.
    """

    model: str
    lyrics: str
    files: dict[str, int]
    rejected: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def read(cls, warehouse: Warehouse, run: str) -> ScoreState | None:
        """Return the state of ``embeddings/RUN``, None if there is none."""
        if not warehouse.exists(TABLE, run, STATE_FILE):
            return None
        return cls(**warehouse.read_json(TABLE, run, STATE_FILE))

    @property
    def rejections(self) -> dict[str, Rejection]:
        """Rejected songs by track id."""
        return {str(item["member"]): Rejection(**item) for item in self.rejected}


@dataclass(frozen=True)
class ScoredRows:
    """The rows of ``embeddings/RUN`` without the output of the model.

    `file` is the index of each row's file in `files`; `flags` has an array of bool, one per row, for each of
    `msd_spark.core.schemas.EMBEDDING_FLAGS`.
    """

    track_ids: pa.Array
    files: tuple[str, ...]
    file: np.ndarray
    flags: dict[str, np.ndarray]

    @classmethod
    def read(cls, warehouse: Warehouse, run: str) -> ScoredRows | None:
        """Read the rows; None if a file is missing or resized, or the columns are outdated."""
        try:
            paths = warehouse.paths(TABLE, run)
        except DamagedError:
            return None
        columns = ["track_id", *EMBEDDING_FLAGS]

        def read(path: str) -> pa.Table | None:
            file = RowGroups(warehouse.filesystem, path).fetch(columns)
            return file.read(columns, use_threads=False) if file.schema_arrow.names == EMBEDDINGS.names else None

        with ThreadPoolExecutor(READERS) as pool:
            tables = [table for table in pool.map(read, paths) if table is not None]
        if len(tables) < len(paths):
            return None
        table = pa.concat_tables([EMBEDDINGS.empty_table().select(columns), *tables])
        return cls(
            table["track_id"].combine_chunks(),
            tuple(logical_name(path.rsplit("/", 1)[-1]) for path in paths),
            np.repeat(np.arange(len(tables)), [part.num_rows for part in tables]),
            {name: table[name].to_numpy() > 0 for name in EMBEDDING_FLAGS},
        )

    def places(self, songs: SlicedSongs) -> np.ndarray:
        """Return the row of each song if it is in the file of the song's slice, otherwise -1."""
        place = pc.fill_null(pc.index_in(songs.track_ids, value_set=self.track_ids), -1)
        place = place.to_numpy(zero_copy_only=False).astype(np.int64)
        number = {name: index for index, name in enumerate(self.files)}
        file_of_slice = np.array([number.get(item.name, -2) for item in songs.slices], np.int64)
        in_file = np.append(self.file, -1)[place] == file_of_slice[songs.slice_of_song()]
        return np.where(in_file, place, -1)
