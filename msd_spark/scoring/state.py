"""What ``embeddings/RUN`` was made of: by it the next scoring knows which rows still hold."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from msd_spark.catalogue.songs import READERS
from msd_spark.core.rejections import Rejection
from msd_spark.core.schemas import EMBEDDING_FLAGS, EMBEDDINGS
from msd_spark.core.warehouse import Warehouse
from msd_spark.scoring.settings import STATE_FILE, TABLE
from msd_spark.scoring.slices import SlicedSongs


@dataclass(frozen=True)
class ScoreState:
    """What a scoring saw.

    Attributes
    ----------
    model : str
        Digest of the model's file.
    lyrics : str
        A name for the state of ``lyrics/``; the vector of a track may be another where this is.
    files : dict
        Name of each file of ``songs/`` to its bytes.
    rejected : list of dict
        Of `msd_spark.core.rejections.Rejection`; the member is the track id.
    """

    model: str
    lyrics: str
    files: dict[str, int]
    rejected: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def read(cls, warehouse: Warehouse, run: str) -> ScoreState | None:
        """Return the state of ``embeddings/RUN``, None where there is none."""
        if not (warehouse.is_complete(TABLE, run) and warehouse.exists(TABLE, run, STATE_FILE)):
            return None
        return cls(**warehouse.read_json(TABLE, run, STATE_FILE))

    def to_json(self) -> dict[str, Any]:
        """Return the state as JSON can hold it."""
        return asdict(self)

    @property
    def rejections(self) -> dict[str, Rejection]:
        """Rejected songs by track id."""
        found = (Rejection(**item) for item in self.rejected)
        return {str(item.member): item for item in found}


@dataclass(frozen=True)
class ScoredRows:
    """The rows of ``embeddings/RUN`` without what the model said.

    Attributes
    ----------
    track_ids : pyarrow.Array
    files : tuple of str
        Names of the table's files.
    file : numpy.ndarray
        Shape ``(n_rows,)``: place of each row's file in `files`.
    flags : dict
        By the names of `msd_spark.core.schemas.EMBEDDING_FLAGS`: shape ``(n_rows,)``, bool.
    """

    track_ids: pa.Array
    files: tuple[str, ...]
    file: np.ndarray
    flags: dict[str, np.ndarray]

    @classmethod
    def read(cls, warehouse: Warehouse, run: str) -> ScoredRows | None:
        """Read them; None where the table has other columns than this version writes."""
        paths = warehouse.table_files(TABLE, run).paths
        columns = ["track_id", *EMBEDDING_FLAGS]

        def read(path: str) -> pa.Table | None:
            with warehouse.filesystem.open_input_file(path) as source:
                file = pq.ParquetFile(source, pre_buffer=not warehouse.is_local)
                return file.read(columns, use_threads=False) if file.schema_arrow.names == EMBEDDINGS.names else None

        with ThreadPoolExecutor(READERS) as pool:
            tables = [table for table in pool.map(read, paths) if table is not None]
        if len(tables) < len(paths):
            return None
        together = pa.concat_tables([EMBEDDINGS.empty_table().select(columns), *tables])
        return cls(
            together["track_id"].combine_chunks(),
            tuple(path.rsplit("/", 1)[-1] for path in paths),
            np.repeat(np.arange(len(tables)), [table.num_rows for table in tables]),
            {name: together[name].to_numpy() > 0 for name in EMBEDDING_FLAGS},
        )

    def places(self, songs: SlicedSongs) -> np.ndarray:
        """Return which row is a song's, in the file of the song's slice; -1 where none is."""
        place = np.asarray(
            pc.fill_null(pc.index_in(songs.track_ids, value_set=self.track_ids), -1).to_numpy(zero_copy_only=False),
            np.int64,
        )
        number = {name: place for place, name in enumerate(self.files)}
        of_slice = np.array([number.get(item.name, -2) for item in songs.slices], np.int64)
        same = np.append(self.file, -1)[place] == of_slice[songs.slice_of_song()]
        return np.where(same, place, -1)
